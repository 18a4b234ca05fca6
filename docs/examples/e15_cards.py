"""
Which credit card, for whom?
============================

A bank showed two credit cards at a time to 946 customers, 14 to 17 times each, and asked which one they would
take (Allenby and Ginter, 1995). One logit says what a low rate is worth against a low fee to the average
customer, who may not exist. Choices of one customer belong together: they are a *panel*.
"""

import numpy as np

from moestro import MoERegressor, load_dataset
from moestro.plots import ForestDisplay

choices = load_dataset("cards").to_frame("pandas")
attributes = [c for c in choices if c not in ("customer", "chosen", "age", "income", "female")]
choices[["customer", "chosen", *attributes[:6]]].head()

# %%
# A column is 1 where only the first card has the attribute, and -1 where only the second has, so that a
# binomial expert is the logit of the difference in utility. The gate has what is known of a customer.
# ``groups="customer"`` lets all choices of a customer share their expert.

formula = f"chosen ~ {' + '.join(attributes)} | age + income + female"
how = {"family": "binomial", "random_state": 0}
fits = {
    k: MoERegressor.from_formula(formula, choices, groups="customer", n_experts=k, **how) for k in (1, 2, 3)
}
for k, fit in fits.items():
    print(f"{k} groups: BIC {fit.bic_:9.1f}   {fit.status_.kind}   {fit.search_}")

# %%
# A second and a third group are worth their parameters many times over.

moe = fits[3]
_ = ForestDisplay.from_estimator(moe)

# %%
# The third group looks at fees and does not mind a bank of another state, the second follows rates, and the
# first stays with its own state and chooses nearly at random otherwise: its coefficients are small. Who they
# are is hardly known, as the gate's coefficients say:

table = moe.inference().to_frame("pandas").query("part == 'gate'")
table[["component", "term", "estimate", "std_error", "p"]]

# %%
# How much of a low rate makes up for a bank out of state? The ratio has no unit, and may be compared between
# groups, where coefficients may not be: a group that chooses more surely has larger ones.

names = moe.measure_.expert_names
rate, state = (moe.measure_.slopes[:, 0, names.index(n)] for n in ("low_fixed_rate", "out_of_state"))
for e, ratio in enumerate(-state / rate, start=1):
    print(f"group {e}: {ratio:5.2f} low rates")

# %%
# A panel knows its customer. The last choice of each is foretold from the attributes alone, and from the
# customer's other choices too, by a model that has seen neither:

last = ~choices.duplicated("customer", keep="last")
before, after = choices[~last], choices[last]
early = MoERegressor.from_formula(formula, before, groups="customer", n_experts=3, **how)
blind = early.predict(after)
knowing = early.predict(after, groups="customer", history=(before, None, "customer"))
for name, p in (("attributes", blind), ("and what was chosen before", knowing)):
    y = after["chosen"].to_numpy()
    lost = -np.mean(np.where(y == 1, np.log(p), np.log(1 - p)))
    print(f"{name:26s} right {np.mean((p > 0.5) == y):.3f}   log loss {lost:.3f}")

# %%
# **What to report.** Ratios of coefficients within a group, with the shares of the groups and their
# intervals; BIC for one, two and three groups; and how often the best optimum was found. Errors that do not
# trust the logit within a customer:

moe.inference("sandwich").to_frame("pandas").query("term == 'low_fee'")

# %%
# **What not to believe.** That there are three kinds of customers: a fourth group lowers BIC again (15,059),
# and its best optimum was found once in 31 runs. Tastes vary without steps, and groups are a way to write
# that down. Nor that income tells the groups apart: of six slopes of the gate one has a p value below
# 0.05, and barely.
