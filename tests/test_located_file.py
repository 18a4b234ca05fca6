"""Located models in files and in the shell: what is written is what is read, and damage is named in one
sentence."""

import copy
import csv
import json
import pickle
from dataclasses import asdict

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.base import clone

import moestro
from conftest import DATA
from moestro import DataError, LocatedMoERegressor, load_dataset
from moestro.cli import main
from moestro.datasets import dataset_path
from moestro.errors import FileError


def groups(n=120, d=2, q=2, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.random(n) < 0.4
    x = np.where(z[:, None], 1.5, -1.5) + 0.8 * rng.standard_normal((n, d))
    return x, np.where(z[:, None], x[:, :1], -x[:, :1]) + 0.5 * rng.standard_normal((n, q))


MODELS = [
    {},
    {"direction": "inverse", "covariance": "diagonal"},
    {"student": True},
    {"covariance": "blocks", "blocks": [[0], [1]], "degree": 2},
    {"covariance": "isotropic", "tied": True, "gate_covariance": "diagonal", "gate_tied": True},
]


@pytest.mark.parametrize("how", MODELS)
def test_a_file_gives_the_estimator_back(how, tmp_path):
    x, y = groups()
    moe = LocatedMoERegressor(2, n_starts=2, random_state=0, **how).fit(x, y)
    table = moe.inference("sandwich")
    moe.save(tmp_path / "m.json")
    back = moestro.load_model(tmp_path / "m.json")
    assert isinstance(back, LocatedMoERegressor)
    np.testing.assert_array_equal(back.predict(x), moe.predict(x))
    np.testing.assert_array_equal(back.responsibilities(x, y), moe.responsibilities(x, y))
    np.testing.assert_array_equal(
        back.predict_distribution(x).log_density(y), moe.predict_distribution(x).log_density(y)
    )
    if moe.fit_.specification.degree == 1:
        np.testing.assert_array_equal(back.predict_inverse(y), moe.predict_inverse(y))
    assert str(back.inference("sandwich")) == str(table)
    assert back.summary("sandwich") == moe.summary("sandwich")
    assert back.summary("observed") == moe.summary("observed")
    assert str(back.tidy()) == str(moe.tidy())
    assert str(back.glance()) == str(moe.glance())
    assert (back.status_, back.log_likelihood_, back.bic_) == (moe.status_, moe.log_likelihood_, moe.bic_)
    assert str(back.starts_) == str(moe.starts_)
    assert str(back.history_) == str(moe.history_)
    assert json.dumps(asdict(back.fit_.specification)) == json.dumps(asdict(moe.fit_.specification))
    with pytest.raises(DataError, match=r"bootstrap .* training data.*observed and sandwich"):
        back.inference("bootstrap")
    assert repr(clone(back)) == repr(moe)
    back.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == (tmp_path / "m.json").read_text()


def test_files_of_the_first_format_are_read(tmp_path):
    """Written by version 0.1.0 before files had the estimator's words: 150 tunings, two Student experts, and
    the sandwich. An entry that is zero to rounding need not agree with its mirror image."""
    path, tone = DATA / "located-model-1.json", load_dataset("tone")
    data = json.loads(path.read_text())
    data["covariance"]["matrix"][0][3], data["covariance"]["matrix"][3][0] = 1e-20, -3e-21
    (tmp_path / "m.json").write_text(json.dumps(data))
    old, again = moestro.load_model(path), moestro.load_model(tmp_path / "m.json")
    assert old.joint_log_density(tone).sum() == pytest.approx(old.log_likelihood_, abs=1e-9)
    assert old.log_likelihood_ == pytest.approx(107.15738996873256, abs=1e-9)
    assert old.get_params()["formula"] == "tuned ~ stretchratio"
    assert old.get_params()["student"]
    assert old.selection_["k"] == [2]
    assert "std_error" in old.inference("sandwich").columns
    assert again.inference("sandwich")["std_error"] == old.inference("sandwich")["std_error"]
    with pytest.raises(DataError, match=r"observed .* training data.*sandwich ones"):
        old.inference()
    data["covariance"]["matrix"][0][3] = 0.5
    (tmp_path / "m.json").write_text(json.dumps(data))
    with pytest.raises(FileError, match="not symmetric"):
        moestro.load_model(tmp_path / "m.json")


def test_a_formula_travels_too(tmp_path):
    pytest.importorskip("formulaic")
    ethanol = load_dataset("ethanol")
    moe = LocatedMoERegressor.from_formula(
        "log(nox) ~ equivalence + compression", ethanol, n_experts=2, random_state=0
    )
    moe.save(tmp_path / "m.json")
    back = moestro.load_model(tmp_path / "m.json")
    turned = {name: ethanol[name] for name in reversed(list(ethanol.columns))}  # columns are found by name
    np.testing.assert_array_equal(back.predict(turned), moe.predict(ethanol))
    with pytest.raises(DataError, match="'compression' is missing"):
        back.predict({"equivalence": [1.0]})
    assert "response 'log(nox)'" in back.summary()


def test_column_names_travel_and_are_checked(tmp_path):
    pd = pytest.importorskip("pandas")
    x, y = groups()
    frame = pd.DataFrame(x, columns=["age", "dose"])
    LocatedMoERegressor(2, n_starts=1, random_state=0).fit(frame, y[:, 0]).save(tmp_path / "m.json")
    back = moestro.load_model(tmp_path / "m.json")
    assert back.predict(frame).shape == (120,)
    for wrong, words in (
        (frame[["dose", "age"]], "same order"),
        (frame[["age"]], "feature names should match"),
        (frame.assign(age="old"), "'age' holds text"),
        (frame.where(frame > 0), "'dose' has missing values in 79 rows"),
    ):
        with pytest.raises(ValueError, match=words):
            back.predict(wrong)
    with pytest.raises(DataError, match="'y' has missing values in 120 rows"):
        back.responsibilities(frame, np.full(120, np.nan))


def test_arrays_that_do_not_fit_are_refused():
    import scipy.sparse

    x, y = groups()
    moe = LocatedMoERegressor(1).fit(x, y)
    for wrong, words in ((scipy.sparse.csr_matrix(x), "Sparse"), (x[:, :1], "expecting 2 features")):
        with pytest.raises((TypeError, ValueError), match=words):
            moe.predict(wrong)
    for call_it in (lambda: moe.log_density(x, y[:, 0]), lambda: moe.predict_inverse(y[:, 0])):
        with pytest.raises(DataError, match="y has shape"):
            call_it()


def test_a_pickle_keeps_what_was_computed():
    x, y = groups()
    moe = LocatedMoERegressor(2, n_starts=1, random_state=0).fit(x, y)
    table = moe.inference()
    back = pickle.loads(pickle.dumps(moe))
    assert str(back.inference()) == str(table)
    with pytest.raises(DataError, match="training data"):
        back.inference("bootstrap")


def at(path, value):
    """A change of one place of the file."""

    def change(data):
        for key in path[:-1]:
            data = data[key]
        if value is None:
            del data[path[-1]]
        else:
            data[path[-1]] = value

    return change


DAMAGE = [
    at(["format"], "moestro.located-model/9"),
    at(["measure"], None),
    at(["measure", "weights"], [0.2, 0.2]),
    at(["measure", "noise", 0], [[-1.0, 0.0], [0.0, 1.0]]),
    at(["measure", "covariances", 1], [[1.0, 2.0], [2.0, 1.0]]),
    at(["measure", "means"], [[1.0, 2.0]]),
    at(["measure", "means", 0, 0], "far"),
    at(["fit", "mass"], [1.0]),
    at(["fit", "status", "kind"], "splendid"),
    at(["fit", "log_likelihood"], [1]),
    at(["fit", "starts", "iterations"], [1, 2, 3, 4, 5, 6, 7]),
    at(["specification", "covariance"], "round"),
    at(["specification", "student"], True),
    at(["specification", "age"], 3),
    at(["responses"], ["y"]),
    at(["single"], True),
    at(["design", "names"], ["a"]),
    at(["covariances", 0, "lower"], [1.0]),
    at(["covariances", 0, "lower", 0], -1.0),
    at(["covariances", 0, "notes"], []),
    at(["covariances", 0, "kind"], "guess"),
    at(["estimator", "class"], "Unpickler"),
    at(["estimator", "parameters", "n_experts"], {"$call": "os.system"}),
    at(["estimator", "found"], None),
]


def test_damaged_files_are_named(tmp_path):
    x, y = groups()
    moe = LocatedMoERegressor(2, n_starts=1, random_state=0).fit(x, y)
    path = tmp_path / "m.json"
    moe.save(path)
    whole = path.read_text()
    sound = json.loads(whole)
    for change in DAMAGE:
        data = copy.deepcopy(sound)
        change(data)
        path.write_text(json.dumps(data))
        with pytest.raises(FileError, match=r"m\.json: ") as caught:
            moestro.load_model(path)
        assert "\n" not in str(caught.value)
    number = str(sound["measure"]["weights"][0])
    for text in (
        "",
        whole[: len(whole) // 2],
        whole.replace(number, "NaN"),
        whole.replace(number, "Infinity"),
        "[]",
    ):
        path.write_text(text)
        with pytest.raises(FileError, match=r"m\.json: "):
            moestro.load_model(path)


# The shell

ETHANOL = str(dataset_path("ethanol"))


def call(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_fit_and_predict_from_the_shell(tmp_path):
    pytest.importorskip("formulaic")
    model, picture = tmp_path / "m.json", tmp_path / "p.png"
    done = call(
        "fit",
        ETHANOL,
        "-f",
        "nox ~ equivalence",
        "-k",
        "1-2",
        "--gate",
        "gaussian",
        "-d",
        1,
        "-d",
        2,
        "--out",
        model,
        "--plot",
        picture,
    )
    assert done.exit_code == 0, done.output
    for words in (
        "Models, chosen by BIC",
        "2 experts (full): best optimum found",
        "2 experts (full, degree 2): best optimum found",
        "located experts (full)",
        "mean(equivalence)",
        "equivalence^2",
        "In words",
        "model written",
        "picture written",
    ):
        assert words in done.output
    assert picture.read_bytes()[:4] == b"\x89PNG"
    back = moestro.load_model(model)
    assert "std_error" in back.inference().columns
    done = call("predict", model, ETHANOL, "--gate", "--level", "0.8")
    rows = list(csv.DictReader(done.output.splitlines()))
    ethanol = load_dataset("ethanol")
    np.testing.assert_allclose([float(r["mean"]) for r in rows], back.predict(ethanol), rtol=1e-9)
    low, _ = back.predict_distribution(ethanol).interval(0.8)
    np.testing.assert_allclose([float(r["low"]) for r in rows], low, rtol=1e-8)
    np.testing.assert_allclose(
        sum(float(rows[0][f"gate({e + 1})"]) for e in range(back.n_experts_)), 1, rtol=1e-8
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--covariance", "diagonal"], "--covariance needs --gate gaussian"),
        (["--student"], "--student needs --gate gaussian"),
        (["--gate", "gaussian", "--family", "poisson"], "--family has no meaning"),
        (["--gate", "gaussian", "--solver", "em"], "--solver has no meaning"),
        (["--gate", "gaussian", "--engine", "array"], "--engine has no meaning"),
        (["--gate", "gaussian", "--rank-on", "score"], "--rank-on has no meaning"),
        (["--gate", "gaussian", "--rank", "2"], "--rank applies only to --covariance factors"),
        (["--gate", "gaussian", "--criterion", "ebic"], "counts the columns that a penalty chose from"),
        (["--gate", "gaussian", "--alpha", "1"], "--alpha is the strength of a penalty"),
        (["--gate", "gaussian", "--direction", "inverse", "--degree", "2"], "have no inverse in closed form"),
        (["--gate", "gaussian", "--penalty", "l1"], "a penalty needs the softmax gate"),
        (["--gate", "gaussian", "--out", "/nowhere/m.json"], "folder does not exist"),
    ],
)
def test_options_without_effect_are_refused(arguments, words):
    done = call("fit", ETHANOL, "-f", "nox ~ equivalence", "-k", "2", *arguments)
    assert done.exit_code == 2
    assert words in " ".join(done.output.split())
    assert "Traceback" not in done.output


@pytest.mark.parametrize("how", [{}, {"rank_by": "likelihood"}, {"student": True}])
def test_a_collapsed_fit_is_kept_without_standard_errors(how, tmp_path):
    """At the floor of the covariances no sum over the rows is the same twice."""
    x, y = np.r_[np.arange(6.0), np.full(5, 3.0)][:, None], np.r_[np.arange(6.0) ** 2, np.full(5, 9.0)]
    moe = LocatedMoERegressor(3, n_starts=3, random_state=0, **how).fit(x, y)
    assert not moe.status_.usable
    moe.save(tmp_path / "m.json")
    back = moestro.load_model(tmp_path / "m.json")
    assert back.summary(None) == moe.summary(None)
    assert "none: observed standard errors need the training data" in back.summary()
    with pytest.raises(DataError, match="training data"):
        back.inference()
