"""
Why do so many people never see a doctor?
=========================================

The RAND health insurance experiment: visits to a doctor in a year, by the coinsurance rate (who pays how much
of it) and by health. Three in ten had no visit. Are these people another kind, or is zero a count like
any other?
"""

import statsmodels.datasets

from moestro import MoERegressor, compare
from moestro.plots import ResidualDisplay

people = statsmodels.datasets.randhie.load_pandas().data.iloc[::10]
print(len(people), "people,", f"{(people.mdvis == 0).mean():.0%} without a visit")

# %%
# Four models of the same rows. A family for each expert: ``"zero"`` is a point, whose weight is the gate's.

right = "lncoins + lpi + disea + hlthg + hlthf + hlthp"
formula = f"mdvis ~ {right} | lncoins + disea"
how = {"random_state": 0}
fits = {
    "Poisson": MoERegressor.from_formula(formula, people, family="poisson", n_experts=1, **how),
    "zero-inflated": MoERegressor.from_formula(formula, people, family=["zero", "poisson"], **how),
    "neg. bin.": MoERegressor.from_formula(formula, people, family="negative-binomial", n_experts=1, **how),
    "two groups": MoERegressor.from_formula(formula, people, family="negative-binomial", n_experts=2, **how),
}
for name, fit in fits.items():
    print(f"{name:14s} log-likelihood {fit.log_likelihood_:9.1f}   BIC {fit.bic_:8.1f}   {fit.status_.kind}")

# %%
# The zero-inflated model is far above the Poisson law, and far below the negative binomial one, which has
# no zeros of its own at all: what looked like too many zeros were counts that vary. Two groups have a
# higher likelihood still, but not by enough for their eleven parameters: BIC stays with one.

print(compare(fits["neg. bin."], fits["two groups"], names=["one", "two"]))

# %%
# Quantile residuals are standard normal where a model is right. The Poisson law's zero-inflated model has
# tails that no normal law has; the negative binomial one lies on the line.

_ = ResidualDisplay.from_estimator(fits["zero-inflated"])

# %%

_ = ResidualDisplay.from_estimator(fits["neg. bin."])

# %%
# What the coinsurance rate does to the number of visits, averaged over the people:

fits["neg. bin."].margins(people, of="mixture")

# %%
# **What to report.** The comparison of all four; the slopes of ``lncoins`` with intervals; the effect on
# the mean, which is what the insurer pays.
#
# **What not to believe.** A significant share of "structural" zeros in a zero-inflated *Poisson* model. It
# may only say that the counts are overdispersed: fit the negative binomial law beside it first.
