"""flexmix's `y ~ x | id` as the witness of groups: tests/witness/flexmix_groups.R and what it printed."""

import json
from pathlib import Path

import numpy as np
import pytest

from moestro import MoEClassifier, MoERegressor

STORED = json.loads((Path(__file__).parent / "witness" / "flexmix_groups.json").read_text())
# flexmix stops at a relative change of 1e-12, which leaves a coefficient with some six digits.
CLOSE = 1e-4


def npreg():
    x, yn, yp, yb, id1, id2 = np.array(STORED["npreg"]).T
    return {"x": x, "yn": yn, "yp": yp, "yb": yb, "id1": id1, "id2": id2, "v": id2 % 5 + 2 * (id2 > 25)}


def parameters(name):
    """flexmix's coefficients, one row a component, standard deviations last where there are some."""
    return np.array(STORED[name]["parameters"], dtype=float)


def coefficients(moe, sign=1.0):
    m = moe.measure_
    return sign * np.column_stack([m.intercepts[:, 0], m.slopes[:, 0]])


def in_order(a):
    return a[np.argsort(a[:, 0])]


def check(name, moe, ours, theirs):
    assert moe.log_likelihood_ >= STORED[name]["log_likelihood"] - 1e-3
    assert moe.n_parameters_ == STORED[name]["df"]
    if moe.log_likelihood_ <= STORED[name]["log_likelihood"] + 1e-3:  # the same optimum
        np.testing.assert_allclose(in_order(ours), in_order(theirs), rtol=CLOSE, atol=CLOSE)


@pytest.mark.parametrize(
    ("name", "gate", "groups"),
    [("gaussian", "1", "id2"), ("gaussian pairs", "1", "id1"), ("gate", "v", "id2")],
)
def test_gaussian(name, gate, groups):
    moe = MoERegressor.from_formula(f"yn ~ x + I(x**2) | {gate}", npreg(), groups=groups, random_state=0)
    check(name, moe, coefficients(moe), parameters(name)[:, :3])
    # an M-step of flexmix divides by the rows less the coefficients: its deviations are sqrt(n_e / (n_e - 3))
    # of ours
    ours, theirs = moe.measure_.variances, parameters(name)[:, 3] ** 2
    rows = moe.fit_.mass
    corrected = ours * rows / (rows - 3)
    np.testing.assert_allclose(np.sort(corrected), np.sort(theirs), rtol=0.02)


def test_poisson():
    moe = MoERegressor(2, formula="yp ~ x | 1", family="poisson", random_state=0).fit(npreg(), groups="id2")
    check("poisson", moe, coefficients(moe), parameters("poisson"))


def test_binomial():
    moe = MoEClassifier(2, formula="yb ~ x | 1", random_state=0).fit(npreg(), groups="id2")
    check(
        "binomial", moe, coefficients(moe, -1.0), parameters("binomial")
    )  # ours are log odds of the first class


def test_trials_at_sites():
    site, successes, total = np.array(STORED["mehta"], dtype=int).T
    data = {
        "site": np.repeat(site, total),
        "hit": np.concatenate([np.repeat([1, 0], [s, n - s]) for s, n in zip(successes, total, strict=True)]),
    }
    moe = MoEClassifier(2, formula="hit ~ 1 | 1", random_state=0).fit(data, groups="site")
    check("trials", moe, coefficients(moe, -1.0), parameters("trials").reshape(2, 1))


def test_latent_classes_of_households():
    """Which of 21 brands a household buys: a household is a group of 21 rows, weighted by how often it was
    seen."""
    bought = np.array([[int(c) for c in pattern] for pattern in STORED["whiskey"]])
    weight = np.array(list(STORED["whiskey"].values()), dtype=float)
    n, brands = bought.shape
    data = {"y": bought.ravel(), "brand": [f"b{j:02d}" for j in range(brands)] * n}
    moe = MoEClassifier(2, formula="y ~ C(brand) | 1", random_state=0)
    moe.fit(data, groups=np.repeat(np.arange(n), brands), sample_weight=np.repeat(weight, brands))
    assert moe.log_likelihood_ >= STORED["latent classes"]["log_likelihood"] - 1e-3
    assert moe.n_parameters_ == STORED["latent classes"]["df"]
    first = coefficients(moe)
    p = 1 / (1 + np.exp(np.column_stack([first[:, 0], first[:, :1] + first[:, 1:]])))
    theirs = parameters("latent classes")
    np.testing.assert_allclose(in_order(p), in_order(theirs), atol=1e-3)


def test_gamma():
    """Plants that share their expert, a mean at each concentration: whose link it is does not matter then."""
    there = json.loads((Path(__file__).parent / "witness" / "flexmix_gamma.json").read_text())
    data = {name: np.array(there[name]) for name in ("uptake", "conc", "plant")}
    moe = MoERegressor.from_formula(
        "uptake ~ C(conc) | 1", data, n_experts=2, family="gamma", groups="plant", random_state=0
    )
    assert moe.n_parameters_ == there["df"]
    # flexmix's shapes are from the deviance, those of maximum likelihood are a little better
    assert there["log_likelihood"] <= moe.log_likelihood_ <= there["log_likelihood"] + 1e-3
    first = moe.measure_.intercepts[:, :1]
    means = np.exp(np.hstack([first, first + moe.measure_.slopes[:, 0]]))
    np.testing.assert_allclose(in_order(means), in_order(np.array(there["means"])), rtol=1e-6)
