"""Located models on rows with missing values: the likelihood of what was seen."""

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import integrate
from scipy.stats import multivariate_normal

import moestro
from moestro import DataError, LocatedMoERegressor, MoERegressor, load_dataset, select_experts
from moestro.cli.main import main
from moestro.located import LocatedMeasure, fit_located

STRUCTURES = {
    "full": {},
    "tied": {"tied": True},
    "diagonal": {"covariance": "diagonal", "gate_covariance": "diagonal"},
    "isotropic": {"covariance": "isotropic", "gate_covariance": "isotropic", "gate_tied": True},
    "blocks": {"covariance": "blocks", "blocks": ((0, 1), (2,))},
    "factors": {"covariance": "factors"},
    "inverse": {"direction": "inverse", "covariance": "diagonal"},
}


def simulated(n=160, q=3, lost=0.15, seed=0):
    """Two columns and q responses of two experts, and the same with values missing at random."""
    rng = np.random.default_rng(seed)
    first = rng.random(n) < 0.5
    x = rng.standard_normal((n, 2)) + np.where(first, 2, -2)[:, None] * [1, 0.3]
    slopes = rng.standard_normal((2, q, 2))
    y = np.einsum("nqd,nd->nq", slopes[first.astype(int)], x) + 0.4 * rng.standard_normal((n, q))
    z = np.concatenate([x, y], axis=1)
    z[rng.random(z.shape) < lost] = np.nan
    z = z[~np.isnan(z).all(axis=1)]
    return x, y, z[:, :2], z[:, 2:]


def by_scipy(measure, x, y):
    """Sum of log p of what each row has, by scipy's marginal Gaussians."""
    (mean, covariance), z, total = measure.joint(), np.column_stack([x, y]), 0.0
    for o in np.unique(~np.isnan(z), axis=0):
        rows = z[(~np.isnan(z) == o).all(axis=1)][:, o]
        each = [
            w * multivariate_normal.pdf(rows, m[o], S[np.ix_(o, o)])
            for w, m, S in zip(measure.weights, mean, covariance, strict=True)
        ]
        total += np.log(np.sum(each, axis=0)).sum()
    return total


SOME = ("full", "inverse")  # the others in `make test-all`


@pytest.mark.parametrize(
    "name", [n if n in SOME else pytest.param(n, marks=pytest.mark.slow) for n in STRUCTURES]
)
def test_the_maximum_of_a_likelihood_written_anew(name):
    """The value is scipy's, EM never falls, and the derivatives at its end are zero."""
    _, _, x, y = simulated(120)
    fit = fit_located(x, y, 2, missing="marginal", n_starts=1, seed=0, tol=1e-7, n_jobs=1, **STRUCTURES[name])
    assert by_scipy(fit.measure, x, y) == pytest.approx(fit.log_likelihood, abs=1e-8)
    assert str(fit.status.kind) == "converged"
    values = fit.history.columns["log_likelihood"]
    assert (np.diff(values) >= -1e-9 * np.abs(values[1:])).all()
    m, sides = fit.fitted, (x, y) if fit.specification.direction == "direct" else (y, x)
    for part in ("means", "intercepts", "slopes"):  # free in every structure
        for at in [(0, 0), (1, 1)] if part != "slopes" else [(0, 1, 1), (1, 0, 0)]:
            around = []
            for h in (1e-4, -1e-4):
                moved = np.array(getattr(m, part))
                moved[at] += h
                parts = {"means": m.means, "slopes": m.slopes, "intercepts": m.intercepts, part: moved}
                law = LocatedMeasure(m.weights, covariances=m.covariances, noise=m.noise, **parts)
                around.append(by_scipy(law, *sides))
            assert abs(around[0] - around[1]) / 2e-4 < 1e-2


def test_complete_rows_are_as_without_it():
    x, y, _, _ = simulated(q=1)
    a, b = (fit_located(x, y, 2, missing=m, n_starts=3, seed=0, n_jobs=1) for m in ("error", "marginal"))
    assert a.log_likelihood == b.log_likelihood
    np.testing.assert_array_equal(a.measure.atoms(), b.measure.atoms())


def test_one_missing_number_of_a_row_of_no_weight_changes_nothing():
    """As holes go to zero: the fit of the other rows."""
    x, y, _, _ = simulated(q=1)
    x[0, 0], w = np.nan, np.ones(len(x))
    w[0] = 1e-9
    a = fit_located(x, y, 2, weights=w, missing="marginal", n_starts=3, seed=0, n_jobs=1)
    b = fit_located(x[1:], y[1:], 2, n_starts=3, seed=0, n_jobs=1)
    assert a.log_likelihood == pytest.approx(b.log_likelihood, abs=1e-5)
    np.testing.assert_allclose(a.measure.atoms(), b.measure.atoms(), atol=1e-4)


def test_laws_of_rows_and_weights():
    """Order and duplicates."""
    _, _, x, y = simulated(80, 1)
    at = np.random.default_rng(0).permutation(len(x))
    how = {"missing": "marginal", "n_starts": 2, "seed": 0, "n_jobs": 1}
    fit = fit_located(x, y, 2, **how)
    turned = fit_located(x[at], y[at], 2, **how)
    assert turned.log_likelihood == pytest.approx(fit.log_likelihood, abs=1e-9)
    twice = fit_located(np.tile(x, (2, 1)), np.tile(y, (2, 1)), 2, **how)
    weighted = fit_located(x, y, 2, weights=np.full(len(x), 2.0), **how)
    assert twice.log_likelihood == weighted.log_likelihood
    assert twice.log_likelihood == pytest.approx(2 * fit.log_likelihood, abs=1e-6)
    scaled = fit_located(100 * x - 3, y / 7, 2, **how)
    seen = (~np.isnan(x)).sum(), (~np.isnan(y)).sum()
    moved = fit.log_likelihood - seen[0] * np.log(100) + seen[1] * np.log(7)
    assert scaled.log_likelihood == pytest.approx(moved, abs=1e-6)


class TestPredictions:
    def model(self):
        _, _, x, y = simulated(q=1)
        return LocatedMoERegressor(missing="marginal", n_starts=2, random_state=0, n_jobs=1).fit(x, y[:, 0])

    def test_are_integrals_over_what_is_missing(self):
        moe = self.model()
        m, (mean, covariance) = moe.measure_, moe.measure_.joint()

        def joint(a, b, y):
            return sum(
                w * multivariate_normal.pdf([a, b, y], mu, S)
                for w, mu, S in zip(m.weights, mean, covariance, strict=True)
            )

        x = np.array([[np.nan, 0.4], [np.nan, np.nan]])
        law = moe.predict_distribution(x)
        of_x, _ = integrate.quad(lambda a: np.exp(m.marginal_log_density([[a, 0.4]])[0]), -9, 9)
        for y in (-1.0, 0.7):
            both, _ = integrate.quad(lambda a, y=y: joint(a, 0.4, y), -9, 9, limit=200)
            assert law.pdf(np.array([y, y]))[0] == pytest.approx(both / of_x, rel=1e-6)
            assert np.exp(moe.log_density(x, np.array([y, y])))[0] == pytest.approx(both / of_x, rel=1e-6)
            r = moe.responsibilities(x, np.array([y, np.nan]))
            one, _ = integrate.quad(
                lambda a, y=y: m.weights[0] * multivariate_normal.pdf([a, 0.4, y], mean[0], covariance[0]),
                -9, 9, limit=200,
            )  # fmt: skip
            assert r[0, 0] == pytest.approx(one / both, rel=1e-6)
            np.testing.assert_allclose(r[1], m.weights, atol=1e-12)
        value, _ = integrate.quad(lambda y: y * law.pdf(np.array([y, 0.0]))[0], -30, 30, limit=400)
        assert moe.predict(x)[0] == pytest.approx(value, abs=1e-5)
        assert law.mean()[1] == pytest.approx(m.weights @ mean[:, 2], abs=1e-10)
        np.testing.assert_allclose(moe.gate_proba(x)[1], m.weights, atol=1e-12)

    def test_of_several_responses(self):
        _, _, x, y = simulated()
        moe = LocatedMoERegressor(missing="marginal", n_starts=1, random_state=0, n_jobs=1).fit(x, y)
        gaps = np.array([[0.3, np.nan]] * 40_000)
        law = moe.predict_distribution(gaps)
        drawn = law.sample(random_state=0)
        np.testing.assert_allclose(drawn.mean(axis=0), law.mean()[0], atol=0.05)
        np.testing.assert_allclose(np.cov(drawn.T), law.covariance()[0], atol=0.1)
        some = moe.log_density(gaps[:1], np.array([[0.1, np.nan, np.nan]]))
        assert np.exp(some[0]) == pytest.approx(law.marginal(0).pdf(np.full(len(gaps), 0.1))[0], abs=1e-9)
        assert law.log_density(drawn).shape == (len(gaps),)

    def test_follow_from_a_file(self, tmp_path):
        moe = self.model()
        moe.save(tmp_path / "m.json")
        again = moestro.load_model(tmp_path / "m.json")
        x = np.array([[np.nan, 0.4], [1.0, np.nan]])
        np.testing.assert_array_equal(again.predict(x), moe.predict(x))
        assert again.missing == "marginal"
        with pytest.raises(DataError, match="bootstrap"):
            moe.inference()
        assert "bootstrap" in moe.summary()
        assert np.isfinite(moe.inference(cov="bootstrap", n_bootstrap=3)["std_error"][0])


def with_gaps():
    """Fifty rows of `ethanol` without some compressions and responses."""
    d = {n: np.array(c, dtype=float) for n, c in load_dataset("ethanol").columns.items()}
    d["compression"][::7] = np.nan
    d["nox"][3::11] = np.nan
    return d


def test_formula_frames_score_and_sweep():
    d, how = with_gaps(), {"missing": "marginal", "random_state": 0, "n_jobs": 1, "n_starts": 2}
    moe = LocatedMoERegressor(formula="nox ~ log(compression) + equivalence", **how).fit(d)
    columns = np.column_stack([np.log(d["compression"]), d["equivalence"]])
    assert by_scipy(moe.measure_, columns, d["nox"]) == pytest.approx(moe.log_likelihood_, abs=1e-8)
    assert np.isfinite(moe.predict(d)).all()
    assert 0 < moe.score(d) <= 1
    frame = pytest.importorskip("pandas").DataFrame(d)
    arrays = LocatedMoERegressor(**how).fit(frame[["compression", "equivalence"]], frame["nox"])
    assert np.isfinite(arrays.predict(frame[["compression", "equivalence"]])).all()
    found = select_experts(
        "nox ~ equivalence + compression", d, model="located", n_experts=[1, 2], missing="marginal",
        random_state=0, n_starts=2, n_jobs=1,
    )  # fmt: skip
    assert found.best.k == 2


def test_command(tmp_path):
    d, path = with_gaps(), tmp_path / "d.csv"
    rows = ["" if np.isnan(v) else str(v) for v in np.column_stack(list(d.values())).ravel()]
    width = len(d)
    text = [",".join(rows[i : i + width]) for i in range(0, len(rows), width)]
    path.write_text("\n".join([",".join(d), *text]) + "\n")
    words = [
        "fit",
        str(path),
        "-f",
        "nox ~ compression + equivalence",
        "-k",
        "2",
        "--starts",
        "2",
        "--cov",
        "none",
    ]
    words += ["--missing", "marginal", "--out", str(tmp_path / "m.json"), "-q"]
    done = CliRunner().invoke(main, [*words, "--gate", "gaussian"])
    assert done.exit_code == 0, done.output
    done = CliRunner().invoke(main, ["predict", str(tmp_path / "m.json"), str(path), "--posterior"])
    assert done.exit_code == 0, done.output
    assert len(done.output.splitlines()) == 1 + len(d["nox"])
    assert ",," not in done.output
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2 and "Gaussian-gated" in done.output


@pytest.mark.parametrize(
    ("options", "change", "says"),
    [
        ({"degree": 2}, None, "degree=1"),
        ({"student": True}, None, "leave student out"),
        ({"covariance": "blocks"}, None, "give blocks"),
        ({"n_experts": "dendrogram", "max_experts": 2}, None, "complete rows"),
        ({}, "row", "every value is missing in row 5"),
        ({}, "column", "column 'x1' has no value"),
        ({}, "infinity", "column 'x0' is infinite in row 4"),
    ],
)
def test_refused(options, change, says):
    _, _, x, y = simulated(60)
    if change == "row":
        x[4], y[4] = np.nan, np.nan
    if change == "column":
        x[:, 1] = np.nan
    if change == "infinity":
        x[3, 0] = np.inf
    with pytest.raises(ValueError, match=says):
        LocatedMoERegressor(**{"n_experts": 2, "missing": "marginal", "n_starts": 1, **options}).fit(x, y)


def test_categories_and_other_gates_are_refused():
    d = with_gaps() | {"g": np.array((["a", "b", None] * 30)[:88], dtype=object)}
    with pytest.raises(DataError, match="'g' is a category"):
        LocatedMoERegressor(formula="nox ~ g + equivalence", missing="marginal").fit(d)
    frame = pytest.importorskip("pandas").DataFrame(d)
    with pytest.raises(DataError, match="'g' is a category"):
        LocatedMoERegressor(missing="marginal").fit(frame[["g", "equivalence"]], frame["nox"])
    with pytest.raises(DataError, match="Gaussian-gated experts"):
        MoERegressor(missing="marginal").fit(np.ones((4, 1)), np.arange(4.0))
    complete = LocatedMoERegressor(1).fit(np.arange(9.0)[:, None] ** 2, np.arange(9.0))
    with pytest.raises(DataError, match="missing"):
        complete.predict(np.array([[np.nan]]))


def test_scikit_learn_knows_that_nan_is_taken():
    from sklearn.utils import estimator_checks, get_tags

    moe = LocatedMoERegressor(1, missing="marginal", n_starts=1, n_jobs=1)
    assert get_tags(moe).input_tags.allow_nan
    assert not get_tags(LocatedMoERegressor()).input_tags.allow_nan
    for check in (
        "check_estimators_dtypes", "check_fit2d_1sample", "check_n_features_in",
        "check_estimators_pickle", "check_regressors_train", "check_complex_data", "check_dict_unchanged",
    ):  # fmt: skip
        getattr(estimator_checks, check)("LocatedMoERegressor", moe)
