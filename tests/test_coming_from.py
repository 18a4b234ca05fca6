"""The page for those who come from other programs has their numbers and ours."""

import csv
import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from moestro import LocatedMoERegressor, MoERegressor, load_dataset
from moestro.api import fit_formula
from moestro.search import Options

HERE = Path(__file__).parent
PAGE = (HERE.parent / "docs" / "coming-from.md").read_text()
THERE = json.loads((HERE / "witness" / "coming_from.json").read_text())


def test_what_r_printed_is_on_the_page():
    rows = {
        "| `tuned": "flexmix_tone",
        "| the same with": "flexmix_tone_gate",
        "| `y ~ log": "flexmix_epilepsy",
    }
    for start, key in rows.items():
        assert f"{THERE[key]:.4f}" in [c for r in PAGE.splitlines() if r.startswith(start) for c in r.split()]
    runs = np.array(THERE["mixtools_all"])
    assert f"{runs.max():.3f} once" in PAGE
    assert (runs == runs.max()).sum() == 1


@pytest.mark.parametrize(
    ("start", "formula", "data", "words"),
    [
        ("| `tuned ~ stretchratio`, tone", "tuned ~ stretchratio | 1", "tone", {}),
        ("| the same with", "tuned ~ stretchratio", "tone", {}),
        (
            "| `y ~ log(base)",
            "seizures ~ log(baseline) + treatment | 1",
            "epilepsy",
            {"family": "poisson", "groups": "patient"},
        ),
    ],
)
def test_ours_are(start, formula, data, words):
    pytest.importorskip("formulaic")
    moe = MoERegressor.from_formula(formula, load_dataset(data), n_experts=2, random_state=0, **words)
    row = next(r for r in PAGE.splitlines() if r.startswith(start))
    assert f" {moe.log_likelihood_:.4f} " in row
    assert moe.log_likelihood_ > float(row.replace("\\|", "").split("|")[2]) - 1e-4


# Stata's Base Reference Manual, [R] zip, example 1: `zip count persons livebait, inflate(child camper)`, to
# all digits that are printed there, coefficient and standard error. It is [FMM]'s mixture of a point and a
# Poisson law, `fmm: (pointmass count, lcprob(child camper)) (poisson count persons livebait)`.
STATA_ZIP = {
    "1:persons": (0.8068853, 0.0453288),
    "1:livebait": (1.757289, 0.2446082),
    "1:(intercept)": (-2.178472, 0.2860289),
    "gate:2:child": (1.602571, 0.2797719),
    "gate:2:camper": (-1.015698, 0.365259),
    "gate:2:(intercept)": (-0.4922872, 0.3114562),
}


def test_a_point_and_a_poisson_law_as_stata_has_them():
    pytest.importorskip("formulaic")
    with (HERE / "data" / "fish.csv").open() as file:
        rows = list(csv.DictReader(file))
    fish = {name: np.array([float(r[name]) for r in rows]) for name in rows[0]}
    how = {"family": ["poisson", "zero"], "reference_expert": 1, "random_state": 0, "n_starts": 4}
    moe = MoERegressor.from_formula("count ~ persons + livebait | child + camper", fish, n_experts=2, **how)
    assert moe.log_likelihood_ == pytest.approx(-850.7014181090408, rel=1e-12)  # e(ll)
    table = moe.inference()
    for label, theirs in STATA_ZIP.items():
        i = moe.parameter_names_.index(label)
        for ours, printed in zip((table["estimate"][i], table["std_error"][i]), theirs, strict=True):
            digits = 7 if abs(printed) < 1 else 6
            assert ours == pytest.approx(printed, abs=0.51 * 10.0**-digits)
    line = next(r for r in PAGE.splitlines() if "zip count persons" in r)
    assert line.count(f"{moe.log_likelihood_:.4f}") == 2


@pytest.mark.slow
def test_t_experts_on_mcycle(tmp_path):
    """The maximum of the partition that meteorits reports, and usable fits above its log-likelihood."""
    pytest.importorskip("formulaic")
    if shutil.which("Rscript") is None:
        pytest.skip("the data come with R's package MASS, and there is no R")
    code = f'library(MASS); write.csv(mcycle, "{tmp_path / "mcycle.csv"}", row.names=FALSE)'
    if subprocess.run(["Rscript", "-e", code], capture_output=True).returncode:
        pytest.skip("the data come with R's package MASS, which is not installed")
    times, accel = np.loadtxt(tmp_path / "mcycle.csv", delimiter=",", skiprows=1).T
    data = {"times": times, "accel": accel}
    part = np.repeat([1, 2, 3, 4], [28, 37, 31, 37])[np.argsort(np.argsort(times, kind="stable"))]
    how = {"family": "student", "n_experts": 4, "random_state": 0}
    known = MoERegressor.from_formula("accel ~ poly(times, 2) | times", data, partial=part, n_starts=1, **how)
    start = Options(initial=(known.fit_.theta,), only_initial=True)
    curved = fit_formula("accel ~ poly(times, 2) | times", data, "student", [4], start).sweep.chosen
    assert f"| {curved.log_likelihood:.4f} | no search | {curved.status.kind} |" in PAGE
    straight = MoERegressor.from_formula("accel ~ times", data, **how)
    assert f"| 22 | {straight.log_likelihood_:.4f} | all | {straight.status_.kind} |" in PAGE
    assert straight.log_likelihood_ > -551.4143 + 1.4


def test_stepmix_with_columns_in_the_gate_alone():
    there = json.loads((HERE / "witness" / "coming_from_stepmix.json").read_text())["tone"]
    tone = load_dataset("tone")
    moe = MoERegressor(2, expert_features=[], random_state=0)
    moe.fit(np.array(tone["stretchratio"])[:, None], tone["tuned"])
    assert f"StepMix, best of 50 starts, {there:.4f}; here, one call, {moe.log_likelihood_:.4f}." in PAGE
    assert there - 1e-6 < moe.log_likelihood_ == pytest.approx(there, abs=1e-4)  # EM stopped short of it


def test_the_joint_law_is_a_gaussian_mixture():
    """scikit-learn's mixture, begun at our optimum, stays there."""
    from sklearn.mixture import GaussianMixture

    ethanol = load_dataset("ethanol")
    x, y = np.array(ethanol["equivalence"])[:, None], np.array(ethanol["nox"])
    moe = LocatedMoERegressor(2, random_state=0).fit(x, y)
    assert f"{moe.log_likelihood_:.4f}" in PAGE
    xy, r = np.column_stack([x, y]), moe.responsibilities(x, y)
    mean = (r.T @ xy) / r.sum(axis=0)[:, None]
    precision = [np.linalg.inv(((xy - m).T * r[:, e]) @ (xy - m) / r[:, e].sum()) for e, m in enumerate(mean)]
    there = GaussianMixture(
        2, weights_init=r.mean(axis=0), means_init=mean, precisions_init=precision, tol=1e-10, reg_covar=0.0
    )
    assert there.fit(xy).score(xy) * len(y) == pytest.approx(moe.log_likelihood_, rel=1e-9)
