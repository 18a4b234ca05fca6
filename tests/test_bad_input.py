"""Whatever comes in: a clear error or a finite result, never NaN."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from conftest import three_classes, two_lines
from moestro import DataError, LocatedMoERegressor, MoEClassifier, MoERegressor, MoERegressorCV

QUICK = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def finite(model, x):
    values = [model.log_likelihood_, model.aic_, model.bic_, model.icl_]
    assert np.isfinite(values).all()
    assert np.isfinite(model.predict_proba(x) if hasattr(model, "classes_") else model.predict(x)).all()
    assert np.isfinite(model.gate_proba(x)).all()
    assert np.isfinite(model.measure_.atoms()).all()
    assert model.status_.sentence


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["x", "y", "w"])
def test_nan_and_infinity(bad, where):
    x, y = two_lines()
    w = np.ones(len(y))
    {"x": x[:, 0], "y": y, "w": w}[where][3] = bad
    with pytest.raises(ValueError, match=r"missing values|infinite in row 4|infinity|NaN"):
        MoERegressor().fit(x, y, sample_weight=w)


def test_text_in_a_matrix():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [f"person {i}" for i in range(40)], "b": np.arange(40.0)})
    with pytest.raises(
        DataError, match=r"'a' holds text with 40 different values .* too many for categories"
    ):
        MoERegressor().fit(frame, np.arange(40.0))
    dated = frame[["b"]].assign(day=pandas.date_range("2026-01-01", periods=40))
    with pytest.raises(DataError, match="'day' holds dates"):
        MoERegressor().fit(dated, np.arange(40.0))
    with pytest.raises(DataError, match="column 'x0' holds text, such as 'person 0'"):
        MoERegressor().fit(frame.to_numpy(), np.arange(40.0))
    listed = frame.assign(day=[f"2026-01-{i % 30 + 1:02d}" for i in range(40)])
    with pytest.raises(DataError, match="'day' holds dates, such as '2026-01-01'"):
        MoERegressor(formula="b ~ day").fit(listed)


@pytest.mark.parametrize("kind", [MoERegressor, LocatedMoERegressor, MoERegressorCV])
@pytest.mark.parametrize("where", ["X", "response", "sample_weight", "offset"])
@pytest.mark.parametrize("span", [False, True])
def test_dates_are_no_numbers(kind, where, span):
    """NumPy would make them nanoseconds since 1970, or days, without a word."""
    x, y = two_lines(40)
    days = np.datetime64("2026-01-01") + np.arange(40)
    days = days - days[0] if span else days
    given = {"X": x, "y": y} | {
        "y" if where == "response" else where: days[:, None] if where == "X" else days
    }
    if where == "offset" and kind is not MoERegressor:
        pytest.skip("takes none")
    with pytest.raises(DataError, match=f"{where}.* holds dates: turn it into a number"):
        kind(1).fit(**given)
    if where == "X":
        with pytest.raises(DataError, match="X holds dates"):
            kind(1).fit(x, y).predict(days[:, None])
        pandas = pytest.importorskip("pandas")
        with pytest.raises(DataError, match="'a' holds dates"):
            kind(1).fit(pandas.DataFrame({"a": x[:, 0]}), y).predict(pandas.DataFrame({"a": days}))
    if where == "response":
        with pytest.raises(DataError, match="response 'y' holds dates"):
            kind(1).fit(x, y).score(x, days)


def test_text_where_numbers_were_is_told_by_the_column():
    x, y = two_lines(40)
    data = {"y": y, "a": x[:, 0]}
    moe = MoERegressor.from_formula("y ~ a", data, n_experts=1)
    for text in (["u"] * 40, ["u", "v"] * 20):
        with pytest.raises(DataError, match="column 'a' holds text, but the model was fitted on numbers"):
            moe.predict({"a": np.array(text, dtype=object)})


def test_infinite_values_are_counted():
    x, y = two_lines(40)
    far = np.column_stack([x, np.where(np.arange(40) % 4 == 2, np.inf, x[:, 0])])
    for kind in (MoERegressor, LocatedMoERegressor, MoERegressorCV):
        with pytest.raises(DataError, match=r"column 'x1' is infinite in 10 rows \(the first is row 3\)"):
            kind().fit(far, y)
        with pytest.raises(DataError, match=r"column 'x0' is infinite in row 2"):
            kind(1).fit(x, y).predict([[0.0], [-np.inf]])


def test_located_errors_have_the_names_of_the_columns():
    pytest.importorskip("formulaic")
    x, y = two_lines(40)
    data = {"price": np.full(40, 3.0), "size": x[:, 0], "area": 2 * x[:, 0] + 1, "y": y}
    for formula, says in {
        "price ~ size": "column 'price' is constant",
        "y ~ price": "column 'price' is constant",
        "y ~ size + area": "columns 'size' and 'area' are multiples",
    }.items():
        with pytest.raises(DataError, match=says):
            LocatedMoERegressor.from_formula(formula, data)


def test_one_row_one_class_constant_response():
    with pytest.raises(ValueError, match="1 sample"):
        MoERegressor().fit([[1.0]], [1.0])
    with pytest.raises(DataError, match="one class"):
        MoEClassifier().fit([[1.0], [2.0]], ["a", "a"])
    with pytest.raises(DataError, match="constant"):
        MoERegressor().fit([[1.0], [2.0]], [3.0, 3.0])
    with pytest.raises(DataError, match="negative"):
        MoERegressor(family="poisson").fit([[1.0], [2.0]], [3.0, -3.0])


@pytest.mark.parametrize(
    ("classes", "rows", "match"),
    [
        (3, 3, "'y' has 3 classes in 3 rows, one a row"),
        (40, 40, "'y' has 40 classes in 40 rows, one a row"),
        (7, 12, "2 experts of the 7 classes of 'y' have 13 parameters without any column.* 12 rows: use one"),
        (17, 18, "have 33 parameters"),
    ],
)
def test_classes_that_nearly_every_row_has_alone(classes, rows, match):
    x, y = np.arange(float(rows)), np.arange(rows) % classes
    for fit in (
        lambda: MoEClassifier().fit(x[:, None], y),
        lambda: MoEClassifier.from_formula("y ~ x", {"x": x, "y": y}),
        lambda: MoEClassifier(penalty="l1").fit(x[:, None], y),
    ):
        with pytest.raises(DataError, match=match):
            fit()


def test_classes_with_one_row_are_fitted_where_rows_are_enough():
    """Three classes in five rows: within the span of another class the maximum is inside, whatever counts a
    class has; one expert without columns has its shares."""
    x, y = np.arange(5.0)[:, None], np.array([0, 1, 2, 1, 0])
    one = MoEClassifier(1, expert_features=[]).fit(x, y)
    np.testing.assert_allclose(one.predict_proba(x)[0], [0.4, 0.4, 0.2], atol=1e-6)
    logit = MoEClassifier(1).fit(x, y)
    assert str(logit.status_.kind) == "converged"
    assert logit.log_likelihood_ >= one.log_likelihood_
    assert MoEClassifier(2, random_state=0, n_starts=2).fit(x, y).log_likelihood_ >= logit.log_likelihood_


def test_more_experts_than_distinct_rows():
    with pytest.raises(DataError, match="3 experts need at least 3 distinct rows, the data have 2"):
        MoERegressor(n_experts=3).fit([[1.0], [2.0]] * 10, [1.0, 2.0] * 10)


@pytest.mark.parametrize(("w", "match"), [(-1.0, "negative"), (0.0, "every row")])
def test_weights(w, match):
    x, y = two_lines()
    weights = np.full(len(y), w)
    with pytest.raises(DataError, match=match):
        MoERegressor().fit(x, y, sample_weight=weights)


@pytest.mark.parametrize("estimator", [MoERegressor, LocatedMoERegressor])
@pytest.mark.parametrize("w", [1e-300, 1e300, 1e307])
def test_weights_whose_sums_are_no_doubles(estimator, w):
    x, y = two_lines(20)
    with pytest.raises(DataError, match=r"sums to .*rescale the weights"):
        estimator(1).fit(x, y, sample_weight=np.full(20, w))
    small = estimator(1).fit(x, y, sample_weight=np.full(20, 1e-12)).log_likelihood_
    large = estimator(1).fit(x, y, sample_weight=np.full(20, 1e12)).log_likelihood_
    assert large == pytest.approx(1e24 * small, rel=1e-9)


def test_counts_that_are_no_whole_doubles():
    x, _ = two_lines(40)
    for large in (2.0**53 + 2, 1e300):
        with pytest.raises(DataError, match=r"above 2\^53"):
            MoERegressor(family="poisson").fit(x, np.where(np.arange(40) < 9, large, 1.0))


@pytest.mark.parametrize("scale", [1e151, 1e300, 1e307])
def test_located_columns_whose_squares_are_no_doubles(scale):
    x, y = two_lines(40)
    for columns, name in (((scale * x, y), "x0"), ((x, scale * y), "y")):
        with pytest.raises(DataError, match=f"column '{name}' is too large"):
            LocatedMoERegressor(2).fit(*columns)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"n_experts": 0}, "at least 1"),
        ({"n_experts": 2.5}, "whole number"),
        ({"n_experts": "magic"}, "aic, bic, icl"),
        ({"solver": "magic"}, "newton"),
        ({"engine": "magic"}, "native"),
        ({"gate": "magic"}, "softmax"),
        ({"family": "magic"}, "gaussian"),
        ({"n_starts": 0}, "at least 1"),
        ({"n_starts": "many"}, "whole number"),
        ({"tol": 0.0}, "positive"),
        ({"max_iter": 0}, "at least 1"),
        ({"n_jobs": 0}, "all cores"),
        ({"gate_features": ["nothing"]}, "not a column"),
        ({"expert_features": [7]}, "index 7"),
        ({"expert_features": "x0"}, "list"),
    ],
)
def test_parameters(parameters, match):
    with pytest.raises(DataError, match=match):
        MoERegressor(**parameters).fit(*two_lines())


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e6, 1e12, 1e150])
def test_columns_of_any_scale(scale):
    x, y = two_lines()
    plain = MoERegressor(random_state=0, n_starts=6).fit(x, y)
    model = MoERegressor(random_state=0, n_starts=6).fit(scale * x, y)
    assert model.log_likelihood_ == pytest.approx(plain.log_likelihood_, abs=1e-7)
    np.testing.assert_allclose(model.predict(scale * x), plain.predict(x), atol=1e-6)


def test_a_column_whose_spread_has_no_reciprocal_is_constant():
    x, y = two_lines(40)
    tiny = 5e-310 * np.arange(40.0)[:, None]
    model = MoERegressor(1, random_state=0).fit(np.hstack([x, tiny]), y)
    plain = MoERegressor(1, random_state=0).fit(x, y)
    assert model.log_likelihood_ == pytest.approx(plain.log_likelihood_, abs=1e-9)
    assert "constant" in model.summary()


def test_columns_of_all_scales_together():
    x, _ = three_classes()
    rng = np.random.default_rng(0)
    wide = np.column_stack([x[:, 0] * 1e12, x[:, 1] * 1e-12, rng.standard_normal(len(x)) + 1e9])
    y = x[:, 0] - x[:, 1] + 0.3 * rng.standard_normal(len(x))
    finite(MoERegressor(random_state=0).fit(wide, y), wide)


@pytest.mark.parametrize("family", ["gaussian", "poisson"])
def test_identical_rows(family):
    x = np.repeat([[0.0], [1.0]], 30, axis=0)
    y = np.tile([1.0, 2.0, 4.0], 20)
    model = MoERegressor(family=family, random_state=0).fit(x, y)
    finite(model, x)


def test_fewer_rows_than_columns():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((8, 20)), rng.standard_normal(8)
    model = MoERegressor(n_experts=2, random_state=0).fit(x, y)
    finite(model, x)
    assert model._fitted().units.aliased()


finite_floats = st.floats(-1e6, 1e6, allow_nan=False, width=64)


@QUICK
@given(
    x=arrays(float, st.tuples(st.integers(2, 25), st.integers(1, 3)), elements=finite_floats),
    seed=st.integers(0, 3),
    k=st.integers(1, 3),
    shared=st.booleans(),
)
def test_any_numbers_regression(x, seed, k, shared):
    y = np.random.default_rng(seed).standard_normal(len(x)).round(1)
    try:
        model = MoERegressor(
            n_experts=k, shared_variance=shared, n_starts=2, random_state=seed, max_iter=60
        ).fit(x, y)
    except DataError:
        reject()
    finite(model, x)
    law = model.predict_distribution(x)
    assert np.isfinite(law.variance()).all()
    assert np.isfinite(law.quantile([0.1, 0.9])).all()


@QUICK
@given(
    x=arrays(float, st.tuples(st.integers(2, 25), st.integers(1, 3)), elements=finite_floats),
    labels=st.lists(st.sampled_from("abc"), min_size=25, max_size=25),
    w=arrays(float, 25, elements=st.floats(0, 5)),
    k=st.integers(1, 3),
)
def test_any_numbers_classification(x, labels, w, k):
    n = len(x)
    try:
        model = MoEClassifier(n_experts=k, n_starts=2, random_state=0, max_iter=60).fit(x, labels[:n], w[:n])
    except DataError:
        reject()
    finite(model, x)
    assert "nan" not in model.summary("observed")


@QUICK
@given(
    x=arrays(float, st.tuples(st.integers(2, 25), st.just(2)), elements=st.integers(-2, 2).map(float)),
    y=arrays(float, 25, elements=st.integers(0, 500).map(float)),
    k=st.integers(1, 3),
)
def test_any_counts(x, y, k):
    try:
        model = MoERegressor(family="poisson", n_experts=k, n_starts=2, random_state=0, max_iter=60).fit(
            x, y[: len(x)]
        )
    except DataError:
        reject()
    finite(model, x)
    assert "nan" not in model.summary("observed")


def test_folds_need_a_row_for_every_parameter_that_is_free():
    x, y = two_lines(7)
    with pytest.raises(DataError, match=r"2 experts need at least 4 rows, the data have 3.*shared_variance"):
        MoERegressor(2, penalty="l1").fit(x[:3], y[:3])
    fold = r"2 experts need at least 5 rows, and a fold of the cross-validation leaves 4: use fewer experts"
    for n in (5, 6):
        with pytest.raises(DataError, match=fold):
            MoERegressorCV(2).fit(x[:n], y[:n])
    pairs = ((np.arange(7) != i, np.array([i])) for i in range(7))  # read once, though used again
    pairs = ((np.flatnonzero(inside), out) for inside, out in pairs)
    moe = MoERegressorCV(1, alphas=3, cv=pairs, random_state=0).fit(x, y)
    assert moe.selection_["cv"][0] > 0


@pytest.mark.parametrize(("scale", "what"), [(1e200, "large"), (1e-200, "small")])
@pytest.mark.parametrize("penalty", [None, "l1"])
def test_responses_whose_variance_is_no_double(scale, what, penalty):
    x, y = two_lines(40)
    with pytest.raises(DataError, match=f"'y' is too {what}: its variance is beyond double precision"):
        MoERegressor(2, penalty=penalty).fit(x, scale * y)


def test_a_slope_that_is_no_double():
    x, y = two_lines(40)
    with pytest.raises(DataError, match="'x0' is too small beside the response 'y'"):
        MoERegressor(2).fit(1e-200 * x, 1e120 * y)


@pytest.mark.parametrize("value", ["no", 1, None])
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (LocatedMoERegressor, "student"),
        (LocatedMoERegressor, "tied"),
        (LocatedMoERegressor, "gate_tied"),
        (MoERegressor, "shared_variance"),
    ],
)
def test_a_text_is_no_truth_value(kind, name, value):
    """Text, "no" among it, would count as true."""
    x = np.arange(20.0)[:, None]
    with pytest.raises(DataError, match=f"{name} must be True or False, got"):
        kind(2, **{name: value}).fit(x, np.sin(x[:, 0]))
