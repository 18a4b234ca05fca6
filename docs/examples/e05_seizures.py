"""
Does a drug work for every patient?
===================================

59 patients with epilepsy were seen at four visits, half of them on progabide (Thall and Vail, 1990). Visits
of one patient are not independent: the four share what the patient is. Do all patients respond alike?
"""

import numpy as np

from moestro import MoERegressor, load_dataset
from moestro.plots import ForestDisplay

visits = load_dataset("epilepsy")
formula = "seizures ~ log(baseline) + treatment | 1"
how = {"family": "negative-binomial", "random_state": 0}
alone = MoERegressor.from_formula(formula, visits, n_experts=2, **how)
moe = MoERegressor.from_formula(formula, visits, groups="patient", n_experts=2, **how)
print(moe.summary())

# %%
# ``groups="patient"`` gives all visits of a patient the same expert. Without it every visit may have another
# one, which is another model with another answer:

for name, fit in (("visits alone", alone), ("patients", moe)):
    print(f"{name:13s} log-likelihood {fit.log_likelihood_:8.1f}   parameters {fit.n_parameters_}")

# %%

_ = ForestDisplay.from_estimator(moe)

# %%
# What is known of a patient helps: with the first three visits as a history the fourth is predicted from the
# posterior of the patient's group instead of the gate.

frame = visits.to_frame("pandas")
before, last = frame[frame.visit < 4], frame[frame.visit == 4]
early = MoERegressor.from_formula(formula, before, groups="patient", n_experts=2, **how)
blind = early.predict(last)
knowing = early.predict(last, groups="patient", history=(before, None, "patient"))
for name, mean in (("without a history", blind), ("with it", knowing)):
    print(f"{name:18s} mean absolute error {np.abs(last.seizures - mean).mean():.2f} seizures")

# %%
# **What to report.** What the drug does within each group, with standard errors that do not trust the law of
# the counts (by group of rows, as everything here):

moe.inference("sandwich")

# %%
# **What not to believe.** Poisson experts in the place of negative binomial ones: their BIC is 1,429
# instead of 1,294, their standard errors are too small, and a history then *harms* the prediction, because
# counts of a patient vary more than such a law allows. With 59 patients two or three groups are what can be
# told.
