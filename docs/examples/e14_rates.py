"""
When do rates of convergence show?
==================================

Theorems say how fast estimates approach the truth: n^(-1/2) where the number of experts is right, slower
where there is one too many. At which sample size does that begin to be seen? The modulus answers without a
simulation: the smallest Hellinger distance at which two measures differ by a given loss.
"""

import matplotlib.pyplot as plt
import numpy as np

from moestro import MoERegressor
from moestro.theory import rates, voronoi_loss

rng = np.random.default_rng(1)


def draw(n):
    """Two lines that cross, and a gate that turns on x."""
    x = rng.uniform(-2, 2, n)
    first = rng.random(n) < 1 / (1 + np.exp(-2 * x))
    return x[:, None], np.where(first, 1 + 2 * x, -1 - x) + 0.5 * rng.standard_normal(n)


# %%
# What is known of this model:

rates(MoERegressor(2))

# %%
# The loss of fits with the right number of experts falls as n^(-1/2):

truth = MoERegressor(2, random_state=0).fit(*draw(400_000)).measure_
sizes, losses = [500, 2_000, 8_000, 32_000], []
for n in sizes:
    fits = [MoERegressor(2, random_state=0).fit(*draw(n)).measure_ for _ in range(5)]
    losses.append(np.mean([voronoi_loss(fit, truth, "softmax-D1") for fit in fits]))
    print(f"{n:6d} rows: mean loss {losses[-1]:.4f}")
slope = np.polyfit(np.log(sizes), np.log(losses), 1)[0]
print(f"slope {slope:.2f}, theory -0.50")
plt.loglog(sizes, losses, "o", label="mean loss of five fits")
plt.loglog(sizes, losses[0] * np.sqrt(sizes[0] / np.array(sizes)), label="slope -1/2")
plt.xlabel("rows")
plt.ylabel("Voronoi loss")
_ = plt.legend(frameon=False)

# %%
# **What to report.** The loss that the theorem is about: raw errors of parameters depend on how experts are
# numbered and how the gate is translated.
#
# **What not to believe.** A slope from four sample sizes and five replicates. `moestro study run` has
# hundreds.
