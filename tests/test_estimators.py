"""scikit-learn's own checks with no expected failure, and what they do not look at."""

import pickle

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from conftest import three_classes, two_lines
from moestro import DataError, LocatedMoERegressor, MoEClassifier, MoERegressor, MoERegressorCV
from moestro.penalties import L1


@parametrize_with_checks(
    [
        MoEClassifier(), MoERegressor(), LocatedMoERegressor(), MoERegressor(penalty=L1(0.05)), MoEClassifier(penalty=L1(0.05)),
        MoERegressorCV(n_experts=1, alphas=5),
    ]
)  # fmt: skip
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def classifier():
    x, y = three_classes()
    return MoEClassifier(n_experts=2, random_state=0).fit(x, y), x, y


def test_probabilities_are_the_mixture_of_the_experts(classifier):
    model, x, y = classifier
    m = model.measure_
    g = softmax(m.log_weights + x @ m.gate_slopes.T, axis=1)
    eta = np.einsum("nd,kmd->nkm", x, m.slopes) + m.intercepts
    p = softmax(np.concatenate([eta, np.zeros((len(x), 2, 1))], axis=2), axis=2)
    np.testing.assert_allclose(model.predict_proba(x), np.einsum("nk,nkc->nc", g, p), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(model.gate_proba(x), g, rtol=1e-8, atol=1e-12)
    code = np.searchsorted(model.classes_, y)
    joint = g * p[np.arange(len(x)), :, code]
    np.testing.assert_allclose(
        model.responsibilities(x, y), joint / joint.sum(axis=1, keepdims=True), rtol=1e-8, atol=1e-12
    )
    np.testing.assert_allclose(model.log_density(x, y), np.log(joint.sum(axis=1)), rtol=1e-8)
    assert model.log_likelihood_ == pytest.approx(np.log(joint.sum(axis=1)).sum(), abs=1e-9)


def test_criteria_by_hand(classifier):
    model, x, y = classifier
    L, df = model.log_likelihood_, model.n_parameters_
    assert df == 3 + 2 * 2 * 3
    assert model.aic_ == pytest.approx(-2 * L + 2 * df)
    assert model.bic_ == pytest.approx(-2 * L + df * np.log(len(y)))
    r = model.responsibilities(x, y)
    assert model.icl_ == pytest.approx(model.bic_ - 2 * (r * np.log(np.maximum(r, 1e-300))).sum(), abs=1e-8)


def test_samples_have_the_predicted_shares(classifier):
    model, x, _ = classifier
    draws = model.sample(np.repeat(x[:1], 50_000, axis=0), random_state=0)
    share = [(draws == c).mean() for c in model.classes_]
    np.testing.assert_allclose(share, model.predict_proba(x[:1])[0], atol=0.01)


@pytest.mark.parametrize("labels", [["x", "y"], [True, False], [3, -7], [1.0, 2.0]])
def test_labels_of_any_kind(labels):
    x, y = three_classes()
    y = np.where(y == "a", labels[0], labels[1])
    model = MoEClassifier(n_experts=1).fit(x, y)
    assert set(model.predict(x)) <= set(labels)
    assert np.isfinite(model.log_density(x, y)).all()


def test_unseen_classes_are_refused(classifier):
    model, x, y = classifier
    with pytest.raises(DataError, match="'d', which was not seen"):
        model.log_density(x, np.where(y == "a", "d", y))


def test_gate_and_experts_may_read_other_columns():
    x, y = two_lines()
    wide = np.column_stack([x, np.random.default_rng(0).standard_normal(len(x))])
    model = MoERegressor(n_experts=2, gate_features=[0], expert_features=[0, 1], random_state=0).fit(wide, y)
    assert model.measure_.gate_slopes.shape == (2, 1)
    assert model.measure_.slopes.shape == (2, 1, 2)
    assert model.n_parameters_ == 2 + 2 * 3 + 2
    moved = wide + [[0.0, 5.0]]
    np.testing.assert_array_equal(model.gate_proba(wide), model.gate_proba(moved))
    assert not np.allclose(model.predict(wide), model.predict(moved))


@pytest.mark.parametrize(
    "transform", ["tanh", np.tanh, PolynomialFeatures(2, include_bias=False), StandardScaler()]
)
def test_modified_gate(transform):
    x, y = two_lines()
    model = MoERegressor(n_experts=2, gate_transform=transform, random_state=0).fit(x, y)
    assert np.isfinite(model.predict(x)).all()
    assert model.log_likelihood_ == pytest.approx(model.log_density(x, y).sum(), abs=1e-8)
    if isinstance(transform, str):
        named = np.tanh(x) @ model.measure_.gate_slopes.T + model.measure_.log_weights
        weights = np.exp(named) / np.exp(named).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(model.gate_proba(x), weights, rtol=1e-8)


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        ("warp", "unknown"),
        (3, "name, a callable"),
        (lambda z: z[:3], "one row"),
        (lambda z: z * np.nan, "NaN"),
    ],
)
def test_bad_transforms_are_refused(transform, message):
    with pytest.raises(DataError, match=message):
        MoERegressor(gate_transform=transform).fit(*two_lines())


def test_the_number_of_experts_is_chosen():
    x, y = two_lines(400)
    model = MoERegressor(n_experts="bic", max_experts=3, random_state=0).fit(x, y)
    assert model.n_experts_ == 2
    table = model.selection_
    assert table["k"] == [1, 2, 3]
    assert table["chosen"] == [False, True, False]
    assert table["log_likelihood"] == sorted(table["log_likelihood"])


def test_it_lives_in_pipelines_and_searches():
    x, y = two_lines()
    pipe = make_pipeline(StandardScaler(), MoERegressor(n_starts=4, random_state=0))
    assert cross_val_score(pipe, x, y, cv=3).mean() > 0.3
    search = GridSearchCV(MoERegressor(n_starts=4, random_state=0), {"n_experts": [1, 2]}, cv=3).fit(x, y)
    assert search.best_params_ == {"n_experts": 2}
    assert clone(search.best_estimator_).get_params()["n_experts"] == 2


def test_pickles_predict_the_same(classifier):
    model, x, _ = classifier
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(x), model.predict_proba(x))


def test_random_state_decides():
    x, y = two_lines()
    a, b = (MoERegressor(n_starts=5, random_state=7).fit(x, y) for _ in range(2))
    assert a.starts_.to_text() == b.starts_.to_text()


def test_verbose_shows_progress(capfd):
    MoERegressor(verbose=1, random_state=0).fit(*two_lines())
    assert "search" in capfd.readouterr().err


@pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
def test_frames_of_any_library(backend):
    pytest.importorskip(backend)
    import narwhals as nw

    x, y = two_lines()
    arrays = {"first": x[:, 0], "second": np.sin(7 * x[:, 0])}
    frame = nw.from_dict(arrays, backend=backend).to_native()
    model = MoERegressor(random_state=0).fit(frame, y)
    plain = MoERegressor(random_state=0).fit(np.column_stack(list(arrays.values())), y)
    np.testing.assert_array_equal(model.predict(frame), plain.predict(np.column_stack(list(arrays.values()))))
    if backend != "pyarrow":
        assert list(model.feature_names_in_) == ["first", "second"]
        assert "first" in model.summary()
        renamed = nw.from_dict({"first": x[:, 0], "third": x[:, 0]}, backend=backend).to_native()
        with pytest.raises(ValueError, match="third"):
            model.predict(renamed)
