"""scikit-learn's own checks with no expected failure, what all estimators have in common, formulas as a
constructor word, and files."""

import inspect
import pickle
import re
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import moestro.rows.rows as rows_in_memory
from conftest import three_classes, two_lines
from moestro import (
    DataError,
    LocatedMoERegressor,
    MoEClassifier,
    MoEClassifierCV,
    MoERegressor,
    MoERegressorCV,
    confident_lower_bound,
    load_dataset,
    load_model,
)
from moestro.errors import FileError
from moestro.experts import Gaussian
from moestro.gates import ActivatedTemperatureGate
from moestro.penalties import L1, AdaptiveL1


@parametrize_with_checks(
    [
        MoEClassifier(n_starts=1, random_state=0),
        MoERegressor(n_starts=1, random_state=0),
        LocatedMoERegressor(1, random_state=0),
        MoERegressor(1, penalty=L1(0.5), random_state=0),
        MoERegressorCV(n_experts=1, alphas=2, cv=2, random_state=0),
    ]
)
def test_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(
    [
        LocatedMoERegressor(n_starts=1, random_state=0),
        MoERegressor(2, penalty=L1(0.5), n_starts=1, random_state=0),
        MoEClassifier(1, penalty=L1(0.05), random_state=0),
        MoEClassifierCV(n_experts=1, alphas=2, cv=2, random_state=0),
    ]
)
def test_scikit_learn_with_a_search(estimator, check):
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
    assert model.log_likelihood_ == pytest.approx(model.log_density(x, y).sum(), abs=1e-8)
    z = clone(transform).fit_transform(x) if hasattr(transform, "fit_transform") else np.tanh(x)
    scores = z @ model.measure_.gate_slopes.T + model.measure_.log_weights
    np.testing.assert_allclose(model.gate_proba(x), softmax(scores, axis=1), rtol=1e-8)


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
    a, b, c = (MoERegressor(n_starts=5, random_state=s).fit(x, y) for s in (7, 7, 8))
    assert a.starts_.to_text() == b.starts_.to_text() != c.starts_.to_text()


@pytest.mark.parametrize("kind", [MoERegressor, LocatedMoERegressor])
def test_verbose_shows_progress(kind, capfd):
    moe = kind(verbose=1, random_state=0).fit(*two_lines())
    said = capfd.readouterr().err
    assert "search" in said
    assert f"best log-likelihood {moe.search_.best:.2f}, found" in said


class Bar:
    """What a notebook's bar is told, for `tqdm.auto` is either."""

    every: ClassVar[list] = []

    def __init__(self, total, desc, leave):
        self.total, self.desc, self.n, self.notes, self.closed = total, desc, 0, [], False
        Bar.every.append(self)

    def set_postfix_str(self, note):
        self.notes.append(note)

    def update(self, n):
        assert not self.closed
        self.n += n

    def close(self):
        self.closed = True


def test_progress_says_how_often_the_best_was_found(monkeypatch):
    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    monkeypatch.setattr(Bar, "every", [])
    moe = MoERegressor(verbose=1, random_state=0).fit(*two_lines())
    bar = next(b for b in Bar.every if b.desc == "search")
    assert bar.closed
    assert bar.n == bar.total
    found = [re.fullmatch(r"best log-likelihood (-?[\d.]+), found (once|\d+ times)", n) for n in bar.notes]
    assert len(found) > 1
    values = [float(m[1]) for m in found]
    assert values == sorted(values)
    times = [1 if m[2] == "once" else int(m[2].split()[0]) for m in found]
    assert values[-1] == round(moe.search_.best, 2)
    assert times[-1] == moe.search_.found


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


EVERY = (MoEClassifier, MoERegressor, LocatedMoERegressor, MoEClassifierCV, MoERegressorCV)
METHODS = (
    "fit", "from_formula", "predict", "gate_proba", "responsibilities", "log_density", "sample", "score",
    "summary", "tidy", "glance", "inference",
    "save", "get_params", "set_params",
)  # fmt: skip
ATTRIBUTES = (
    "measure_", "log_likelihood_", "n_parameters_", "status_", "history_", "starts_", "search_", "selection_",
    "slope_", "dendrogram_",
    "n_experts_", "n_iter_", "n_features_in_", "aic_", "bic_", "icl_",
)  # fmt: skip
WORDS = ("n_experts", "formula", "tol", "random_state", "n_jobs", "verbose", "missing")
SEARCHED = {"max_experts", "n_starts", "max_iter"}  # a search for each number of experts
SOFTMAX = {"gate", "top_k", "rank_on", "solver", "engine", "rank_by", "common", "fixed", "order_by"}
SOFTMAX |= {"reference_expert", "gate_at"}
# Constructor words that not all have, and why.
OWN_WORDS = {
    # classes have an order or none, and no variance
    MoERegressor: SEARCHED | SOFTMAX | {"family", "shared_variance", "variances", "memory_limit", "cache"},
    MoEClassifier: SEARCHED | SOFTMAX | {"family", "levels", "memory_limit", "cache"},
    # they choose on paths, which have their own solver
    MoERegressorCV: {"alphas", "gate_ratios", "criterion", "cv", "family", "shared_variance"},
    MoEClassifierCV: {"alphas", "gate_ratios", "criterion", "cv"},
    LocatedMoERegressor: SEARCHED
    # joint Gaussian laws only
    | {"rank_by", "direction", "covariance", "gate_covariance", "tied", "gate_tied", "degree"}
    | {"rank", "blocks", "student"},
}  # fmt: skip
COLUMNS = {
    "gate_transform",
    "gate_features",
    "expert_features",
    "penalty",
}  # located experts have one set of columns, and no penalty


def small(kind):
    """A cheap estimator of this class, and data for it."""
    words = {"alphas": 4, "cv": 2} if kind in (MoEClassifierCV, MoERegressorCV) else {}
    x, y = three_classes(120) if kind in (MoEClassifier, MoEClassifierCV) else two_lines(120)
    return kind(n_experts=1, random_state=0, **words), x, y


@pytest.mark.parametrize("kind", EVERY)
def test_all_estimators_have_the_same_methods_and_attributes(kind):
    moe, x, y = small(kind)
    moe.fit(x, y)
    missing = {n for n in (*METHODS, *ATTRIBUTES) if not hasattr(moe, n)}
    assert not missing


@pytest.mark.parametrize("kind", EVERY)
def test_loaded_estimators_have_them_too(kind, tmp_path):
    moe, x, y = small(kind)
    moe.fit(x, y).save(tmp_path / "m.json")
    again = load_model(tmp_path / "m.json")
    assert type(again) is kind
    assert not {n for n in (*METHODS, *ATTRIBUTES) if not hasattr(again, n)}
    assert repr(clone(again)) == repr(clone(moe))
    for name in ("log_likelihood_", "n_parameters_", "status_", "search_", "slope_", "aic_", "bic_", "icl_"):
        assert getattr(again, name) == getattr(moe, name)
    for name in ("history_", "starts_", "selection_"):
        assert str(getattr(again, name)) == str(getattr(moe, name))
    for method in ("summary", "tidy", "glance"):
        assert str(getattr(again, method)()) == str(getattr(moe, method)())
    drawn = y if kind not in (MoEClassifier, MoEClassifierCV) else again.predict(x)
    for method in ("responsibilities", "log_density"):
        np.testing.assert_array_equal(getattr(again, method)(x, drawn), getattr(moe, method)(x, drawn))


@pytest.mark.parametrize("kind", EVERY)
def test_all_estimators_have_the_same_words(kind):
    located = kind is LocatedMoERegressor
    expected = {*WORDS, *OWN_WORDS[kind], *(() if located else COLUMNS)}
    assert expected == set(kind().get_params())
    assert next(iter(inspect.signature(kind).parameters)) == "n_experts"


def classes_frame(n=200):
    import pandas as pd

    x, y = three_classes(n)
    return pd.DataFrame(x, columns=["a", "b"][: x.shape[1]]).assign(kind=y)


def lines_frame(n=200, backend="pandas"):
    import narwhals as nw

    x, y = two_lines(n)
    columns = {"x": x[:, 0], "z": np.cos(5 * x[:, 0]), "y": y, "price": np.exp(y / 2)}
    return nw.from_dict({k: v.tolist() for k, v in columns.items()}, backend=backend).to_native()


class TestFormula:
    """The formula as a constructor word; its witness is the same fit on the matrix that it says."""

    @pytest.mark.parametrize("backend", ["pandas", "polars", "pyarrow"])
    def test_fit_reads_the_response_or_takes_it(self, backend):
        pytest.importorskip("formulaic")
        pytest.importorskip(backend)
        x, y = two_lines()
        frame = lines_frame(backend=backend)
        plain = MoERegressor(random_state=0).fit(x, y)
        read, given = (
            MoERegressor(formula="y ~ x", random_state=0).fit(*data) for data in ((frame,), (frame, -y))
        )
        assert read.log_likelihood_ == pytest.approx(plain.log_likelihood_, abs=1e-9)
        assert given.log_likelihood_ == pytest.approx(
            plain.log_likelihood_, abs=1e-6
        )  # -y: the same law mirrored
        np.testing.assert_allclose(given.predict(frame), -read.predict(frame), atol=1e-5)
        assert list(read.feature_names_in_) == ["x"]
        assert read.score(frame) == read.score(frame, y) == pytest.approx(plain.score(x, y), abs=1e-8)

    def test_the_classmethod_is_the_word(self):
        frame = lines_frame()
        a = MoERegressor.from_formula("y ~ x | z", frame, random_state=0)
        b = clone(a).fit(frame)
        assert a.get_params() == b.get_params()
        assert a.log_likelihood_ == b.log_likelihood_

    def test_scikit_learn_refits_it(self):
        frame = lines_frame()
        moe = MoERegressor(formula="y ~ x", n_starts=2, random_state=0)
        by_formula = cross_val_score(moe, frame, frame["y"], cv=3)
        plain = clone(moe).set_params(formula=None)
        by_array = cross_val_score(plain, frame[["x"]].to_numpy(), frame["y"].to_numpy(), cv=3)
        np.testing.assert_allclose(by_formula, by_array, atol=1e-8)
        search = GridSearchCV(moe, {"n_experts": [1, 2], "formula": ["y ~ x", "y ~ z"]}, cv=3)
        search.fit(frame.drop(columns="y"), frame["y"])
        assert search.best_params_ == {"n_experts": 2, "formula": "y ~ x"}
        scaled = make_pipeline(StandardScaler().set_output(transform="pandas"), moe)
        scaled.fit(frame[["x", "z"]], frame["y"])
        np.testing.assert_allclose(
            scaled.predict(frame[["x", "z"]]), moe.fit(frame).predict(frame), atol=1e-6
        )
        x, y = frame[["x"]].to_numpy(), frame["y"].to_numpy()
        bounds = [
            confident_lower_bound(e, *data, max_experts=3, random_state=0)
            for e, data in ((moe, (frame,)), (plain, (x, y)))
        ]
        assert bounds[0].k == bounds[1].k

    def test_a_transformed_response_is_given_in_the_frame_s_units(self):
        frame = lines_frame()
        moe = MoERegressor(formula="log(price) ~ x", random_state=0).fit(frame)
        price, log_price = frame["price"].to_numpy(), np.log(frame["price"].to_numpy())
        plain = MoERegressor(random_state=0).fit(frame[["x"]].to_numpy(), log_price)
        given = clone(moe).fit(frame.drop(columns="price"), price)
        x = frame[["x"]].to_numpy()
        for fitted in (moe, given):
            np.testing.assert_allclose(fitted.predict(frame), plain.predict(x), atol=1e-8)
            for rest in ((frame,), (frame, price)):
                np.testing.assert_allclose(
                    fitted.log_density(*rest), plain.log_density(x, log_price), atol=1e-7
                )
                r = plain.responsibilities(x, log_price)
                np.testing.assert_allclose(fitted.responsibilities(*rest), r, atol=1e-7)
                assert fitted.score(*rest) == pytest.approx(plain.score(x, log_price), abs=1e-8)

    def test_what_the_response_learned_is_remembered(self):
        frame = lines_frame()
        moe = MoERegressor(formula="scale(y) ~ x", random_state=0).fit(frame)
        few = frame.iloc[:7]  # another mean and deviation
        np.testing.assert_allclose(moe.log_density(few), moe.log_density(frame)[:7], rtol=1e-10)

    def test_classes(self):
        frame = classes_frame()
        moe = MoEClassifier(formula="kind ~ a", n_experts=1).fit(frame)
        plain = MoEClassifier(n_experts=1).fit(frame[["a"]].to_numpy(), frame["kind"].to_numpy())
        np.testing.assert_allclose(
            moe.predict_proba(frame), plain.predict_proba(frame[["a"]].to_numpy()), atol=1e-7
        )
        assert moe.score(frame) == plain.score(frame[["a"]].to_numpy(), frame["kind"])

    @pytest.mark.parametrize(
        ("words", "data", "match"),
        [
            ({"formula": 3}, {}, "must be text"),
            ({"formula": "y ~ x", "gate_features": ["x"]}, {}, r"after '\|'"),
            ({"formula": "y ~ x"}, {"y": [1.0, 2.0]}, "2 values, the data have 200 rows"),
            ({"formula": "y + z ~ x"}, {"y": np.ones(200)}, "reads y, z: leave y out"),
            ({"formula": "sales ~ x"}, {}, "'sales' is missing"),
            ({"formula": "price ~ x"}, {"y": ["cheap"] * 200}, "'price' holds text"),
        ],
    )
    def test_mistakes_are_named(self, words, data, match):
        with pytest.raises(DataError, match=match):
            MoERegressor(**words).fit(lines_frame(), **data)

    def test_without_a_formula_y_is_needed(self):
        frame = lines_frame()
        with pytest.raises(ValueError, match="requires y"):
            MoERegressor().fit(frame)
        with pytest.raises(DataError, match="y is missing"):
            MoERegressor(n_experts=1).fit(frame[["x"]], frame["y"]).log_density(frame[["x"]])


SAVED = {
    "numbers": lambda: MoERegressor(random_state=0).fit(*two_lines()),
    "chosen": lambda: MoERegressor("ddse", max_experts=4, n_starts=2, random_state=0).fit(*two_lines()),
    "dendrogram": lambda: MoERegressor(
        "dendrogram", max_experts=3, n_starts=2, random_state=0
    ).fit(*two_lines()),
    "counts": lambda: MoERegressor(1, family="poisson").fit(two_lines()[0], np.arange(200) % 7),
    "classes": lambda: MoEClassifier(random_state=0).fit(*three_classes()),
    "labels": lambda: MoEClassifier(1).fit(three_classes()[0], np.arange(300) % 3 - 1),
    "formula": lambda: MoERegressor.from_formula("log(price) ~ x | z", lines_frame(), random_state=0),
    "frame": lambda: MoERegressor(random_state=0, gate_features=["z"]).fit(
        lines_frame()[["x", "z"]], two_lines()[1]),
    "gate": lambda: MoERegressor(
        gate=ActivatedTemperatureGate("sigmoid"), n_starts=2, max_iter=30, random_state=0
    ).fit(*two_lines()),
    "generator": lambda: MoERegressor(
        1, gate_transform="tanh", random_state=np.random.RandomState(3)
    ).fit(*two_lines()),
    "penalised": lambda: MoERegressor(1, penalty=AdaptiveL1(0.1)).fit(*two_lines()),
    "path": lambda: MoERegressorCV(
        n_experts=(1, 2), alphas=np.array([0.3, 0.1]), criterion="bic", random_state=0
    ).fit(*two_lines()),
    "located": lambda: LocatedMoERegressor(n_starts=2, random_state=0).fit(*two_lines()),
    "located chosen": lambda: LocatedMoERegressor(
        "dendrogram", max_experts=3, direction="inverse", n_starts=2, random_state=0
    ).fit(*two_lines()),
    "located slope": lambda: LocatedMoERegressor(
        "ddse", max_experts=4, n_starts=1, covariance=["diagonal", "isotropic"], random_state=0
    ).fit(*two_lines()),
    "located formula": lambda: LocatedMoERegressor.from_formula(
        "log(price) ~ x + z", lines_frame(), n_starts=2, random_state=0),
    "path of "
    "classes": lambda: MoEClassifierCV(
        n_experts=[1], alphas=[0.1], cv=2, random_state=0
    ).fit(*three_classes(90)),
}  # fmt: skip


class TestFile:
    @pytest.mark.parametrize("name", SAVED)
    def test_a_loaded_model_is_an_estimator_again(self, name, tmp_path):
        moe = SAVED[name]()
        moe.save(tmp_path / "m.json")
        again = load_model(tmp_path / "m.json")
        assert type(again) is type(moe)
        assert repr(again.get_params()) == repr(moe.get_params()) or name == "generator"
        for attribute in (*ATTRIBUTES, "alpha_", "selected_", "support_", "classes_", "feature_names_in_"):
            if attribute not in ("measure_", "dendrogram_") and hasattr(moe, attribute):
                assert str(getattr(again, attribute)) == str(getattr(moe, attribute)), attribute
            assert hasattr(again, attribute) == hasattr(moe, attribute)
        assert again.measure_.to_dict() == moe.measure_.to_dict()
        assert again.summary() == moe.summary()
        assert str(again.tidy()) == str(moe.tidy())
        assert str(again.glance()) == str(moe.glance())
        if moe.dendrogram_ is not None:
            assert str(again.dendrogram_.table()) == str(moe.dendrogram_.table())
            assert again.dendrogram_.stages[2].to_dict() == moe.dendrogram_.stages[2].to_dict()
        X = (
            lines_frame()
            if again.formula
            else lines_frame()[["x", "z"]]
            if name == "frame"
            else moe_input(moe)
        )
        y = moe.sample(X, random_state=1)
        np.testing.assert_array_equal(again.sample(X, random_state=1), y)
        np.testing.assert_array_equal(again.predict(X), moe.predict(X))
        given = np.exp(y) if again.formula else y
        np.testing.assert_array_equal(again.responsibilities(X, given), moe.responsibilities(X, given))
        clone(again)
        for cov in ("observed", "sandwich"):
            if hasattr(moe, "alpha_"):
                with pytest.raises(DataError, match="no standard errors"):
                    again.inference(cov)
            else:  # the file has a triangle of the matrix: symmetric to rounding
                assert again.summary(cov) == moe.summary(cov)

    def test_what_a_file_does_not_keep_is_said(self, tmp_path):
        moe = SAVED["numbers"]()
        moe.save(tmp_path / "m.json", cov=["observed"])
        again = load_model(tmp_path / "m.json")
        assert again.inference()["std_error"] == moe.inference()["std_error"]
        for cov in ("sandwich", "bootstrap"):
            with pytest.raises(
                DataError, match=rf"{cov} standard errors need the training data.*observed ones"
            ):
                again.inference(cov)
        again.save(tmp_path / "twice.json")
        assert load_model(tmp_path / "twice.json").summary("observed") == moe.summary("observed")
        with pytest.raises(DataError, match="sandwich standard errors need"):
            again.save(tmp_path / "m.json", cov=("sandwich",))
        for cov in ("observed", ("bootstrap",)):
            with pytest.raises(DataError, match="cov must be a list of observed and sandwich"):
                moe.save(tmp_path / "m.json", cov=cov)
        pickle.loads(pickle.dumps(again)).inference()

    def test_it_fits_again_as_it_did(self, tmp_path):
        moe = SAVED["formula"]()
        moe.save(tmp_path / "m.json")
        again = clone(load_model(tmp_path / "m.json")).fit(lines_frame())
        assert again.log_likelihood_ == moe.log_likelihood_

    def test_files_of_the_first_format_are_read(self):
        """Written by version 0.1.0 before files had covariances: 150 tunings, two experts, the log-likelihood
        of the README."""
        old = load_model(Path(__file__).parent / "data" / "model-1.json")
        tone = load_dataset("tone")
        assert old.log_likelihood_ == pytest.approx(145.650315, abs=1e-5)
        assert old.log_density(tone).sum() == pytest.approx(old.log_likelihood_, abs=1e-9)
        assert old.get_params()["formula"] == "tuned ~ stretchratio"
        assert old.selection_["k"] == [2]
        with pytest.raises(DataError, match="training data"):
            old.inference()

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            (lambda d: d["estimator"].update({"class": "Unpickler"}), "unknown estimator"),
            (lambda d: d["estimator"].pop("found"), "damaged"),
            (
                lambda d: d["estimator"]["parameters"].update({"n_experts": {"$call": "os.system"}}),
                "unknown kind",
            ),
            (lambda d: d["covariances"][0]["lower"].pop(), "covariance of 8 parameters must be"),
            (lambda d: d["fit"].pop("entropy"), "damaged"),
        ],
    )
    def test_damaged_files_are_refused(self, change, match, tmp_path):
        import json

        path = tmp_path / "m.json"
        SAVED["numbers"]().save(path)
        data = json.loads(path.read_text())
        change(data)
        path.write_text(json.dumps(data))
        with pytest.raises(FileError, match=match):
            load_model(path)

    def test_objects_that_json_cannot_hold_are_refused(self, tmp_path):
        from sklearn.model_selection import KFold

        moe = MoERegressorCV(n_experts=1, alphas=[0.1], cv=KFold(2)).fit(*two_lines())
        with pytest.raises(DataError, match=r"parameter cv holds an object of type KFold.*pickle"):
            moe.save(tmp_path / "m.json")


def moe_input(moe):
    return three_classes()[0] if hasattr(moe, "classes_") else two_lines()[0]


class TestPenalised:
    def test_support_is_where_a_slope_is(self):
        rng = np.random.default_rng(0)
        x = rng.standard_normal((150, 6))
        y = np.where(x[:, 4] > 0, 2 * x[:, 1], -2 * x[:, 1]) + 0.3 * rng.standard_normal(150)
        moe = MoERegressor(
            2, penalty=L1(0.1), gate_features=[4, 5], expert_features=[3, 1, 0], n_starts=2, random_state=0
        ).fit(x, y)
        m = moe.measure_
        expected = np.zeros(6, dtype=bool)
        expected[[4, 5]] |= m.gate_slopes.any(axis=0)
        expected[[3, 1, 0]] |= m.slopes.any(axis=(0, 1))
        np.testing.assert_array_equal(moe.support_, expected)
        assert set(np.flatnonzero(expected)) >= {1, 4}
        assert {f"x{j}" for j in np.flatnonzero(expected)} == set(moe.selected_)
        mixed = clone(moe).set_params(gate_transform=StandardScaler()).fit(x, y)
        assert mixed.support_[[4, 5]].all()  # an object may mix the columns that it reads
        named = clone(moe).set_params(gate_transform="tanh").fit(x, y)
        assert not named.support_[5]

    def test_support_of_a_formula_is_of_its_columns(self):
        frame = lines_frame()
        moe = MoERegressor.from_formula("y ~ x + z | z", frame, penalty=L1(0.1), n_starts=2, random_state=0)
        names = np.array(["z", "x"])  # the gate's first
        assert list(names[moe.support_]) == moe.selected_

    @pytest.mark.parametrize(
        "words",
        [
            {"solver": "em"}, {"engine": "array"}, {"n_starts": 0}, {"rank_by": "likelihood"},
            {"rank_on": "logit"}, {"max_iter": 0}, {"tol": 1e-3},
            {"tol": 0.0}, {"gate": "sigmoid"}, {"top_k": 1},
        ],
    )  # fmt: skip
    def test_words_that_make_no_sense_beside_a_penalty_are_refused(self, words):
        (name,) = words
        with pytest.raises(DataError, match=name):
            MoERegressor(penalty="l1", **words).fit(*two_lines())

    def test_the_tolerance_is_the_one_given(self):
        x, y = two_lines()
        loose, tight = (
            MoERegressor(penalty=L1(0.02), tol=tol, n_starts=2, random_state=0).fit(x, y)
            for tol in (1e-8, 1e-13)
        )
        assert tight.path_.table["violation"][0] < loose.path_.table["violation"][0] <= 1e-8

    def test_a_fit_without_a_penalty_has_none_of_it(self):
        moe = MoERegressor(1, penalty=L1(0.1)).fit(*two_lines())
        assert hasattr(moe, "path_")
        moe.set_params(penalty=None).fit(*two_lines())
        assert not any(hasattr(moe, n) for n in ("path_", "alpha_", "selected_", "support_"))


@pytest.mark.parametrize(
    ("estimator", "words"),
    [
        (MoERegressor, {"common": np.array(["x0", "x1"]), "n_experts": np.int64(2)}),
        (MoERegressor, {"fixed": {"x0": np.int64(1), "1:x1": np.float32(0.5)}}),
        (MoERegressor, {"variances": np.array([[1, 2]]), "max_iter": np.int64(50)}),
        (MoERegressor, {"shared_variance": np.True_, "gate_features": np.array([0])}),
        (MoERegressor, {"family": np.array(["gaussian", "student"]), "tol": np.longdouble(1e-8)}),
        (LocatedMoERegressor, {"degree": np.int64(2), "student": np.True_}),
        (LocatedMoERegressor, {"covariance": np.str_("factors"), "rank": np.int64(1), "tied": np.True_}),
        (LocatedMoERegressor, {"covariance": "blocks", "blocks": np.array([[0, 1]])}),
        (LocatedMoERegressor, {"covariance": "blocks", "blocks": [[np.int64(0)], [np.int64(1)]]}),
    ],
)
def test_words_from_numpy_are_those_of_python(tmp_path, estimator, words):
    """As a grid of parameters hands them on."""
    r = np.random.default_rng(0)
    X = r.normal(size=(120, 2))
    Y = np.where(r.random(120) < 0.5, X[:, 0], 1 - X[:, 1])[:, None] + r.normal(size=(120, 2))
    y = Y if estimator is LocatedMoERegressor else Y[:, 0]
    plain = {n: v.tolist() if isinstance(v, np.ndarray | np.generic) else v for n, v in words.items()}
    if "tol" in words:
        plain["tol"] = float(words["tol"])
    one = {"n_experts": 2, "n_starts": 1, "random_state": 0}
    a, b = (estimator(**{**one, **w}).fit(X, y) for w in (words, plain))
    assert a.log_likelihood_ == b.log_likelihood_
    a.save(tmp_path / "m.json")
    assert np.array_equal(load_model(tmp_path / "m.json").predict(X), b.predict(X))


def test_rows_are_read_once(monkeypatch):
    calls = {"merge": 0, "check": 0}
    merge, check = rows_in_memory.merge_rows, Gaussian.check_variety
    monkeypatch.setattr(
        rows_in_memory, "merge_rows", lambda *a: (calls.update(merge=calls["merge"] + 1), merge(*a))[1]
    )
    monkeypatch.setattr(
        Gaussian, "check_variety", lambda *a: (calls.update(check=calls["check"] + 1), check(*a))[1]
    )
    MoERegressor("bic", max_experts=3, n_starts=2, random_state=0).fit(*two_lines())
    assert calls == {"merge": 1, "check": 1}
