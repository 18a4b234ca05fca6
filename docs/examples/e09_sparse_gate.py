"""
One expert at a time
====================

A softmax gate mixes all experts everywhere. A top-K gate keeps the K that rank highest at each input: with
K = 1 the line is divided into intervals, each with a regression of its own, and the likelihood jumps where
the ranking changes.
"""

import numpy as np

from moestro import MoERegressor, load_dataset
from moestro.plots import FitDisplay, GateDisplay

ethanol = load_dataset("ethanol")
dense = MoERegressor.from_formula("nox ~ equivalence", ethanol, n_experts=3, random_state=0)
sparse = MoERegressor.from_formula(
    "nox ~ equivalence", ethanol, n_experts=3, top_k=1, rank_on="logit", random_state=0
)
for name, fit in (("softmax", dense), ("top-1", sparse)):
    print(f"{name:8s} log-likelihood {fit.log_likelihood_:7.3f}   {fit.search_}")

# %%
# Both end at the same likelihood: the softmax gate has become a hard switch of its own accord (its status
# says separated), and what it cannot say is where exactly it switches.

print(dense.status_)

# %%

_ = GateDisplay.from_estimator(sparse)

# %%

_ = FitDisplay.from_estimator(sparse)

# %%
# Where it switches:

x = np.linspace(0.5, 1.25, 2000)
chosen = np.argmax(sparse.gate_proba({"equivalence": x}), axis=1)
print("boundaries near", x[1:][np.diff(chosen) != 0].round(3))

# %%
# **What to report.** ``rank_on="logit"`` ranks by intercept and slope, as implementations do; the default
# ranks by the slope alone, as the paper defines the gate. Say which one was used.
#
# **What not to believe.** Standard errors of a boundary: between two neighbouring inputs the likelihood is
# flat, and the boundary may be anywhere there.
