"""
Cancer deaths by county: who has how many to lose?
==================================================

Deaths by breast cancer in 301 counties of three southern states, 1950 to 1960 (Rice, *Mathematical Statistics
and Data Analysis*). A county of twice the population has about twice the deaths: the population is an
*exposure*, and its logarithm an offset. Is one rate enough?
"""

import numpy as np
import statsmodels.datasets

from moestro import MoERegressor
from moestro.plots import CriteriaDisplay, ResidualDisplay

counties = statsmodels.datasets.cancer.load_pandas().data
formula = "cancer ~ offset(log(population)) | log(population)"
how = {"family": "poisson", "random_state": 0}
moe = MoERegressor.from_formula(formula, counties, n_experts="bic", max_experts=4, **how)
_ = CriteriaDisplay.from_estimator(moe)

# %%

print(moe.summary())

# %%
# One rate is not enough, by far: the counts vary more than a Poisson law allows. Rates per 1,000 are what
# people read:

for e, rate in enumerate(1000 * np.exp(moe.measure_.intercepts[:, 0]), start=1):
    print(f"group {e}: {rate:.2f} deaths per 1,000")

# %%
# Groups are one account of what one law leaves over; a negative binomial law, in which every county has a
# rate of its own from a gamma law, is another one. Both have the offset, and are compared on the same rows.

smooth = MoERegressor.from_formula(formula, counties, n_experts=1, family="negative-binomial", random_state=0)
print(f"BIC: groups {moe.bic_:.1f}, negative binomial {smooth.bic_:.1f}")

# %%
# Quantile residuals are standard normal where a model is right:

_ = ResidualDisplay.from_estimator(smooth)

# %%
# **What to report.** Which account fits better, and by how much. Here rates vary from county to county
# without falling into groups: the negative binomial law has the smaller BIC with fewer parameters.
#
# **What not to believe.** Groups that a mixture finds are not groups that exist. Overdispersed counts are
# fitted better by *any* mixture than by one Poisson law.
