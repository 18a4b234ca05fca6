"""
Two ways to ask an engine
=========================

Nitrogen oxides in the exhaust of an engine burning ethanol rise with the mixture's richness, peak, and fall
again (Brinkman, 1981). A softmax gate switches between lines. A located model, in which each expert has a
place of its own among the inputs, also answers the inverse question: which mixture gave this exhaust?
"""

import matplotlib.pyplot as plt
import numpy as np

from moestro import LocatedMoERegressor, MoERegressor, load_dataset
from moestro.plots import FanDisplay, FitDisplay

ethanol = load_dataset("ethanol")
soft = MoERegressor.from_formula("nox ~ equivalence", ethanol, n_experts=3, random_state=0)
_ = FitDisplay.from_estimator(soft)

# %%
# The located model states the joint law of both; its number of experts is chosen by BIC.

joint = LocatedMoERegressor.from_formula("nox ~ equivalence", ethanol, n_experts="bic", random_state=0)
print(joint.glance())

# %%
# The whole law of the response, not the mean alone: half, 80 % and 95 % of the exhaust lie in the bands.

_ = FanDisplay.from_estimator(joint)

# %%
# And backwards. An exhaust of 3.5 belongs to the middle; one of 1.0 has two answers, a lean mixture and a
# rich one, and their mean is a mixture that never gives 1.0:

print(np.round(joint.predict_inverse([1.0, 3.5]), 3).ravel())
x = np.linspace(0.5, 1.3, 400)
log_p = [joint.inverse_distribution(np.full(400, v)).log_density(x[:, None]) for v in (1.0, 3.5)]
for v, density in zip((1.0, 3.5), np.exp(log_p), strict=True):
    plt.plot(x, density, label=f"exhaust of {v}")
plt.xlabel("equivalence")
plt.ylabel("density given the exhaust")
_ = plt.legend(frameon=False)

# %%
# **What to report.** The fan, and how many experts BIC took. Slopes of each line with intervals, from
# ``joint.inference()``.
#
# **What not to believe.** The mean of an inverse prediction: where the law has two peaks, read its density.
