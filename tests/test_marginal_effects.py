"""The package marginaleffects, called with our fits: the same numbers as `margins`, by its own arithmetic."""

import numpy as np
import pytest

from moestro import LocatedMoERegressor, MoEClassifier, MoERegressor, load_dataset
from moestro.errors import DataError

me = pytest.importorskip("marginaleffects")
pl = pytest.importorskip("polars")
if int(pl.__version__.split(".")[0]) >= 2 and me.__version__ <= "0.6.0":
    pytest.skip("marginaleffects 0.6.0 compares types that polars 2 keeps apart", allow_module_level=True)

FEW = {"n_starts": 3, "random_state": 0}
EPS = {"eps_vcov": 1e-4}  # predictions are linear in the estimates: a large step rounds less


@pytest.fixture(scope="module")
def wages():
    frame = load_dataset("wages")
    formula = "log(wage) ~ education + experience + gender | union + married"
    return MoERegressor.from_formula(formula, frame, n_experts=2, **FEW), frame


@pytest.fixture(scope="module")
def voters():
    frame = load_dataset("voters")
    return MoEClassifier.from_formula("party ~ left_right | income", frame, n_experts=2, **FEW), frame


def assert_same(theirs, ours, rtol=1e-6):
    """Estimates and standard errors; theirs are in an order of their own."""
    a = np.sort(np.column_stack([theirs["estimate"].to_numpy(), theirs["se"].to_numpy()]), axis=0)
    b = np.sort(np.column_stack([ours["estimate"], ours["std_error"]]), axis=0)
    np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-7)


@pytest.mark.parametrize("of", ["mixture", "expert", "gate"])
def test_slopes_of_numbers_and_contrasts_of_categories(wages, of):
    moe, frame = wages
    assert_same(me.avg_slopes(moe.to_marginaleffects(frame, of=of), **EPS), moe.margins(frame, of=of))


@pytest.mark.parametrize("cov", ["observed", "sandwich"])
def test_class_probabilities(voters, cov):
    moe, frame = voters
    model = moe.to_marginaleffects(frame, cov=cov)
    theirs, ours = (
        me.avg_predictions(model, **EPS),
        moe.margins(frame, kind="predictions", of="mixture", cov=cov),
    )
    assert sorted(theirs["group"]) == sorted(ours["outcome"])
    assert_same(theirs, ours)
    assert_same(me.avg_slopes(model, **EPS), moe.margins(frame, of="mixture", cov=cov))


def test_located_experts_and_rows_of_a_grid():
    tone = load_dataset("tone")
    moe = LocatedMoERegressor.from_formula("tuned ~ stretchratio", tone, n_experts=2, **FEW)
    model = moe.to_marginaleffects(tone)
    assert_same(me.avg_slopes(model, **EPS), moe.margins(tone, of="mixture"))
    points = {"stretchratio": [1.5, 2.0, 2.5]}
    assert_same(me.predictions(model, newdata=me.datagrid(model, **points), **EPS), moe.bands(points))


def test_hypotheses_are_of_the_estimates(wages):
    moe, frame = wages
    model = moe.to_marginaleffects(frame)
    places = moe._estimates("observed").places
    a, b = (list(model.get_coefnames()).index(label) for label in ("1:education", "2:education"))
    assert len(places) >= len(model.get_coef())
    found = me.hypotheses(model, f"b{a} = b{b}")
    known = moe.wald_test("1:education = 2:education")
    assert found["statistic"][0] ** 2 == pytest.approx(known.statistic, rel=1e-5)


def test_columns_without_names():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 2))
    moe = MoERegressor(1, **FEW).fit(x, x @ [1.0, -2.0] + rng.normal(size=200))
    assert_same(me.avg_slopes(moe.to_marginaleffects(x), **EPS), moe.margins(x, of="mixture"))


def test_what_is_refused(wages):
    moe, frame = wages
    with pytest.raises(DataError, match="name the standard errors in to_marginaleffects"):
        me.avg_slopes(moe.to_marginaleffects(frame), vcov="HC3")
