"""
Are there two labour markets?
=============================

534 workers of the Current Population Survey of 1985. A wage equation has one return to a year of schooling.
Labour economists have asked since the 1970s whether there are two markets: one in which schooling and
experience pay, and one in which they hardly do. A mixture of two regressions always finds two.
"""

from moestro import MoERegressor, bootstrap_test, load_dataset
from moestro.plots import CriteriaDisplay, FitDisplay, SearchDisplay

wages = load_dataset("wages")
formula = "log(wage) ~ education + experience + gender | union + married"
how = {"data": wages, "random_state": 0}
two = MoERegressor.from_formula(formula, n_experts=2, **how)
print(two.summary())

# %%
# In the larger market a year of schooling is worth 10.7 %, in the smaller one 3.8 %, and experience
# nothing. A reader who stopped here would have a paper. But the summary begins with a warning. Here is why:

chosen = MoERegressor.from_formula(formula, n_experts="bic", max_experts=4, **how)
_ = CriteriaDisplay.from_estimator(chosen)

# %%
# BIC takes one market, AIC as many as it is offered. The likelihood ratio has no chi-squared law;
# simulated, it has a p value between the two answers:

one = MoERegressor.from_formula(formula, n_experts=1, **how)
print(bootstrap_test(one, two, n_replicates=99, random_state=0))

# %%
# The lines over the data: the second market are some low wages with little spread. A row has the colour of
# the expert that it probably has.

_ = FitDisplay.from_estimator(two, term="education")

# %%
# How sure is the optimum? Each point is a run of the search: where it ended, and after how much work.

_ = SearchDisplay.from_estimator(two)

# %%
# **What to report.** All criteria, the test with its number of replicates, and that a second group, if
# there is one, is a sixth of the workers. With one expert, the usual wage equation:

one.inference("sandwich")

# %%
# **What not to believe.** The intervals of the two groups' coefficients. Where one expert would do, 56 to
# 58 % of 95 % intervals hold their coefficient. Nor the gate's coefficient of ``union``: its standard error
# is twice the estimate, as hardly any member is in the second group.
