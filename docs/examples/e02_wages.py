"""
Do schooling and experience pay the same for everybody?
=======================================================

534 workers of the Current Population Survey of 1985. A wage equation has one return to a year of schooling.
Labour economists have asked since the 1970s whether there are two markets: one in which schooling and
experience pay, and one in which they hardly do.
"""

from moestro import MoERegressor, load_dataset
from moestro.plots import FitDisplay, ForestDisplay, SearchDisplay

wages = load_dataset("wages")
formula = "log(wage) ~ education + experience + gender | union + married"
moe = MoERegressor.from_formula(formula, wages, n_experts=2, random_state=0)
print(moe.summary())

# %%
# In the larger market a year of schooling is worth 10.7 %, in the smaller one 3.8 %, and experience nothing.
# Are the two slopes of schooling really different?

moe.wald_test("1:education = 2:education")

# %%
# The lines over the data; a row has the colour of the expert that it probably has.

_ = FitDisplay.from_estimator(moe, term="education")

# %%

_ = ForestDisplay.from_estimator(moe)

# %%
# The likelihood of a mixture has many local maxima. Each point is a run of the search: where it ended, and
# after how much work. The best optimum was found from several starts, so that another one is unlikely.

_ = SearchDisplay.from_estimator(moe)

# %%
# **What to report.** The two returns to schooling with the test of their difference; union members are almost
# all in the first market; the shares with their intervals; how often the best optimum was found.
#
# **What not to believe.** The gate's coefficient of ``union``: its standard error is twice the estimate,
# since hardly any member is in the second market. That is separation in the making: the sign is sure, the
# number is not. And BIC does not settle the number of markets: look at the table.

MoERegressor.from_formula(formula, wages, n_experts="bic", max_experts=4, random_state=0).selection_
