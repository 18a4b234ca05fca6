"""
A million rows
==============

Time should grow with the rows, and no faster: the search runs on a random part of them, and all rows are
needed for the last steps alone. Here a law that was fitted to the tuning data is drawn from a million times,
and fitted again.
"""

from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np

from moestro import MoERegressor, load_dataset

true = MoERegressor.from_formula("tuned ~ stretchratio", load_dataset("tone"), n_experts=2, random_state=0)
rng = np.random.default_rng(0)
x = rng.uniform(1.35, 3.0, 1_000_000)
y = true.predict_distribution({"stretchratio": x}).sample(random_state=1).ravel()

sizes, seconds = (10_000, 100_000, 1_000_000), []
for n in sizes:
    start = perf_counter()
    moe = MoERegressor.from_formula(
        "tuned ~ stretchratio", {"tuned": y[:n], "stretchratio": x[:n]}, n_experts=2, random_state=0
    )
    seconds.append(perf_counter() - start)
    print(f"{n:9,d} rows: {seconds[-1]:5.1f} s   {moe.status_.kind}")
plt.loglog(sizes, seconds, "o-")
plt.xlabel("rows")
_ = plt.ylabel("seconds")

# %%
# Did it find the truth again?

truth = np.sort(true.measure_.slopes[:, 0].ravel())
found = np.sort(moe.measure_.slopes[:, 0].ravel())
print("slopes drawn from", truth.round(4), "found", found.round(4))

# %%
# **What to report.** The same as for a hundred rows. ``moe.history_`` has the passes over all rows.
#
# **What not to believe.** Small p values. With a million rows every difference is significant; look at its
# size.

moe.history_
