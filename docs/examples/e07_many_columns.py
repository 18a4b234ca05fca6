"""
Which of many columns matter, to whom?
======================================

442 patients with diabetes, ten measurements, and how far the disease had come a year later (Efron and others,
2004). Squares and products make 64 columns. Which belong to the regressions, and which say who follows which?
"""

from sklearn.datasets import load_diabetes
from sklearn.preprocessing import PolynomialFeatures

from moestro import MoERegressor, alpha_path
from moestro.penalties import L1
from moestro.plots import PathDisplay

frame, y = load_diabetes(return_X_y=True, as_frame=True)
wide = PolynomialFeatures(2, include_bias=False).set_output(transform="pandas")
X = wide.fit_transform(frame).drop(columns="sex^2")
moe = MoERegressor(2, penalty="l1", random_state=0).fit(X, y)
print(f"{X.shape[1]} columns, strength {moe.alpha_:.3f}, chosen: {', '.join(moe.selected_)}")
print(moe.status_)

# %%
# The path: slopes of gate and experts as the strength falls. The extended BIC chose the line.

_ = PathDisplay.from_estimator(moe)

# %%
# A Lasso is one expert. Is the second one worth it?

one = MoERegressor(1, penalty="l1", random_state=0).fit(X, y)
for name, fit in (("one expert", one), ("two experts", moe)):
    print(f"{name:12s} columns {int(fit.support_.sum()):2d}   score {fit.score(X, y):.3f}")

# %%
# It is not: with one expert the same four columns explain more. Heterogeneity is not found by wishing for it.
#
# The path alone, at strengths of one's own:

path = alpha_path(X, y, n_experts=2, penalty=L1(), random_state=0)
print(
    len(path.alphas),
    "strengths, from",
    round(float(path.alphas[0]), 3),
    "down to",
    round(float(path.alphas[-1]), 4),
)

# %%
# **What to report.** The columns with the criterion that chose them, and how stable the choice is
# (`stability_selection` refits halves of the rows).
#
# **What not to believe.** Standard errors after a selection: there are none here, on purpose. And a score on
# the rows of the fit: use `cross_val_score`.
