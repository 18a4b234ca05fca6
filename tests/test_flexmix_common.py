"""flexmix's FLXMRglmfix as the witness of common coefficients: witness/flexmix_common.R and its output."""

import json
from pathlib import Path

import numpy as np
import pytest

from moestro import MoEClassifier, MoERegressor

STORED = json.loads((Path(__file__).parent / "witness" / "flexmix_common.json").read_text())
# flexmix stops at a relative change of 1e-12: five digits of a coefficient are left. Of Gaussian components
# it divides squares by the rows less the coefficients, and does not end at the maximum: a few percent there.
CLOSE, GAUSSIAN = 5e-4, 0.05


def columns(name):
    return {n: np.array(v) for n, v in STORED[name].items()}


def check(name, moe, own, common, sign=1.0):
    """Log-likelihood, degrees of freedom and, at the same optimum, as it says, all coefficients: `own`
    maps our terms to theirs, as `common` does."""
    theirs = STORED[name]
    assert moe.log_likelihood_ >= theirs["log_likelihood"] - 1e-3
    assert moe.n_parameters_ == theirs["df"]
    gaussian = "sigma" in theirs["parameters"]
    if moe.log_likelihood_ > theirs["log_likelihood"] + (0.5 if gaussian else 1e-3):
        return False
    values = dict(zip(moe.parameter_names_, moe.inference()["estimate"], strict=True))
    k = moe.n_experts_
    outcome = f"{moe.classes_[0]}:" if hasattr(moe, "classes_") else ""

    def of(term):
        return sign * np.array([values[f"{e}:{outcome}{term}"] for e in range(1, k + 1)])

    order, order_theirs = (
        np.argsort(v) for v in (of("(intercept)"), theirs["parameters"]["coef.(Intercept)"])
    )
    close = GAUSSIAN if gaussian else CLOSE
    for ours, there in (own | common).items():
        expected = np.array(theirs["parameters"][f"coef.{there}"])[order_theirs]
        np.testing.assert_allclose(of(ours)[order], expected, rtol=close, atol=close)
        if ours in common:
            assert np.ptp(of(ours)) < 1e-9
    return True


@pytest.mark.parametrize(
    ("name", "k", "gate", "shared"),
    [
        ("gaussian", 2, "1", False),
        ("gaussian three", 3, "1", False),
        ("gaussian variance", 3, "1", True),
        ("gaussian gate", 2, "w", False),
    ],
)
def test_gaussian(name, k, gate, shared):
    how = {"n_experts": k, "common": ["x2"], "shared_variance": shared, "random_state": 0}
    moe = MoERegressor.from_formula(f"y ~ x1 + x2 | {gate}", columns("NregFix"), **how)
    own, common = {"(intercept)": "(Intercept)", "x1": "x1"}, {"x2[T.1]": "x21"}
    assert check(name, moe, own, common)


def test_teeth():
    d = columns("dmft")
    how = {"family": "poisson", "random_state": 0}
    moe = MoERegressor.from_formula("End ~ common(log(Begin + 0.5)) | 1", d, **how)
    common = {"common(log(Begin + 0.5))": "log(Begin + 0.5)"}
    # flexmix stopped on the way to an intercept of minus infinity: a component of zeros
    if check("teeth", moe, {}, common):
        assert moe.measure_.intercepts.max() == pytest.approx(
            max(STORED["teeth"]["parameters"]["coef.(Intercept)"]), abs=CLOSE
        )


def test_teeth_with_a_gate():
    d = columns("dmft")
    names = {"Gender": ["female", "male"], "Ethnic": ["brown", "white", "black"]}
    for name, levels in names.items():
        assert set(d[name]) == set(levels)
    moe = MoERegressor.from_formula(
        "End ~ log(Begin + 0.5) + Gender + Ethnic | Treatment", d, family="poisson",
        common=["log(Begin + 0.5)", "Gender", "Ethnic"], random_state=0,
    )  # fmt: skip
    check("teeth gate", moe, {}, {"log(Begin + 0.5)": "log(Begin + 0.5)", "Gender[T.male]": "Gendermale"})


@pytest.mark.parametrize("slope", [False, True])
def test_articles(slope):
    d = columns("bioChemists")
    shared = ["fem", "mar", "kid5", "phd"] + ([] if slope else ["ment"])
    d["mar"] = np.where(d["mar"] == "Single", "A", "B")  # R's first level
    moe = MoERegressor.from_formula(
        "art ~ fem + mar + kid5 + phd + ment | 1", d, family="poisson", common=shared, random_state=0
    )
    own = {"(intercept)": "(Intercept)"} | ({"ment": "ment"} if slope else {})
    common = {"fem[T.Women]": "femWomen", "mar[T.B]": "marMarried", "kid5": "kid5", "phd": "phd"}
    check("articles slope" if slope else "articles", moe, own, common | ({} if slope else {"ment": "ment"}))


def test_salmonella():
    moe = MoERegressor.from_formula(
        "y ~ common(x) + common(log(x + 10)) | 1", columns("salmonellaTA98"), family="poisson", random_state=0
    )
    check("salmonella", moe, {"(intercept)": "(Intercept)"}, {"common(x)": "x"})


def test_beetles_in_dishes():
    """Counts of trials are groups of single trials."""
    d = columns("tribolium")
    total, yes = d["Total"].astype(int), d["Remaining"].astype(int)
    trials = {
        "species": np.repeat(d["Species"], total),
        "replicate": np.repeat(d["Replicate"], total),
        "hit": np.concatenate([np.repeat([1, 0], [a, n - a]) for a, n in zip(yes, total, strict=True)]),
    }
    moe = MoEClassifier.from_formula(
        "hit ~ species | 1", trials, groups="replicate", common=["species"], random_state=0
    )
    common = {"species[T.Confusum]": "SpeciesConfusum", "species[T.Madens]": "SpeciesMadens"}
    assert check("beetles", moe, {"(intercept)": "(Intercept)"}, common, sign=-1.0)
