"""
What ten wrong rows do
======================

A musician tuned tones to overtones that were stretched (Cohen, 1980): sometimes to the octave, sometimes to
the overtones. Ten rows far away, as in the literature on robust mixtures, pull Gaussian experts off their
lines. Student experts have tails of their own.
"""

import numpy as np
import pandas as pd

from moestro import MoERegressor, load_dataset
from moestro.plots import FitDisplay

tone = load_dataset("tone").to_frame("pandas")
wrong = pd.DataFrame({"stretchratio": np.zeros(10), "tuned": np.full(10, 4.0)})
hurt = pd.concat([tone, wrong], ignore_index=True)
formula = "tuned ~ stretchratio | 1"
fits = {
    (law, name): MoERegressor.from_formula(formula, rows, family=law, n_experts=2, random_state=0)
    for law in ("gaussian", "student")
    for name, rows in (("clean", tone), ("ten wrong", hurt))
}
for (law, name), fit in fits.items():
    slopes = np.sort(fit.measure_.slopes[:, 0].ravel())
    print(f"{law:9s} {name:10s} slopes {slopes[0]:6.3f} {slopes[1]:6.3f}   {fit.status_.kind}")

# %%
# Gaussian experts over the contaminated rows, then Student ones:

_ = FitDisplay.from_estimator(fits["gaussian", "ten wrong"])

# %%

_ = FitDisplay.from_estimator(fits["student", "ten wrong"])

# %%
# **What to report.** Both fits where they differ, and the rows that make the difference:
# ``fit.influence()`` has what leaving each row out would change.
#
# **What not to believe.** That tails cure everything. Ten equal rows are a group, and with a third expert
# they are found as one.

three = MoERegressor.from_formula(formula, hurt, n_experts=3, random_state=0)
print(three.status_)
print(three.classification().shares.to_text(3))
