"""
How many experts, and how sure is that?
=======================================

Textbooks fit two lines to the tuning data: sometimes the musician tuned to the octave, sometimes to the
overtones. What do criteria, a dendrogram of one large fit, and tests say?
"""

from moestro import MoERegressor, bootstrap_test, confident_lower_bound, load_dataset
from moestro.plots import CriteriaDisplay, DendrogramDisplay

tone = load_dataset("tone")
formula = "tuned ~ stretchratio | 1"
how = {"data": tone, "random_state": 0}
by_bic = MoERegressor.from_formula(formula, n_experts="bic", max_experts=4, **how)
_ = CriteriaDisplay.from_estimator(by_bic)

# %%

by_bic.selection_

# %%
# Three lines by every criterion. The third has a tenth of the rows: it is worth looking at them before
# believing in a third habit.

three = by_bic.classification().shares
three

# %%
# The dendrogram of a fit that is too large:

tree = MoERegressor.from_formula(formula, n_experts="dendrogram", max_experts=4, **how)
_ = DendrogramDisplay.from_estimator(tree)

# %%
# The likelihood ratio of one expert against two has no chi-squared law. Its law is simulated:

one, two = (MoERegressor.from_formula(formula, n_experts=k, **how) for k in (1, 2))
print(bootstrap_test(one, two, n_replicates=49, random_state=0))

# %%
# And a bound that holds without any regularity condition, with 95 % confidence:

X, y = tone.to_frame("pandas")[["stretchratio"]], tone["tuned"]
print(confident_lower_bound(MoERegressor(gate_features=[], random_state=0), X, y))

# %%
# **What to report.** The criterion that was chosen *before* looking, and the others beside it.
#
# **What not to believe.** The criterion with the answer that one likes. BIC and ICL answer two questions:
# how well is the density fitted, and how many groups are apart.
