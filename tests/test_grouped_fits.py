"""Fits of rows that share their expert: the search, what it says of the fit, and how well it finds the
truth."""

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from conftest import family_of
from moestro.design import ArrayDesign
from moestro.engine import make_engine
from moestro.gates import make_gate
from moestro.inference import Request, covariance, refitted
from moestro.measure import to_user, user_jacobian
from moestro.model import Model
from moestro.problems import fit_mixture
from moestro.rows import read_rows
from moestro.search import Options
from moestro.selection import bic, icl
from moestro.selection.mixture import Mixtures

DESIGN = ArrayDesign(("x0", "x1", "x2", "z"), (0, 1, 2), (3,))
GATE = np.array([[0.3, 1.0], [-0.2, -1.0], [0.0, 0.0]])


def persons(name, n, choices, seed=0, k=3):
    """x, z, y, ids: each person has one of k experts for all their rows, which come in any order."""
    rng = np.random.default_rng(seed)
    z, x = rng.standard_normal((n, 1)), rng.standard_normal((n * choices, 3))
    m = family_of(name).predictors
    B = np.random.default_rng(100).standard_normal((k, m, 4)) * (0.4 if name == "poisson" else 1.0)
    expert = (np.column_stack([np.ones(n), z]) @ GATE[:k].T + rng.gumbel(size=(n, k))).argmax(axis=1)
    ids = rng.permutation(np.repeat(np.arange(n), choices))
    eta = np.einsum("nj,nmj->nm", np.column_stack([np.ones(len(ids)), x]), B[expert[ids]])
    if family_of(name).has_variance:
        eta = np.column_stack([eta, np.full(len(ids), np.log(0.5))])
    return x, z[ids], family_of(name).sample(eta, rng), ids, B


def fitted(name, x, z, y, ids, w=None, k=3, seed=0, **how):
    rows, units = read_rows(DESIGN, x, z, y, w, family_of(name), groups=ids)
    model = Model(make_gate("softmax"), family_of(name), k, rows.q, rows.p)
    return fit_mixture(model, rows, Options(seed=seed, threads=2, **how)), rows, units


@pytest.mark.parametrize("name", ["multinomial", "gaussian", "poisson"])
class TestFits:
    def test_one_optimum_from_every_seed(self, name):
        x, z, y, ids, _ = persons(name, 150, 6)
        values = [fitted(name, x, z, y, ids, seed=seed)[0].log_likelihood for seed in range(2)]
        assert max(values) - min(values) < 1e-6

    def test_the_order_of_rows_and_the_names_of_groups_do_not_matter(self, name):
        x, z, y, ids, _ = persons(name, 60, 5)
        mixed = np.random.default_rng(1).permutation(len(y))
        names = np.array([f"no. {(7 * i) % 60}" for i in range(60)])
        a = fitted(name, x, z, y, ids, k=2)[0]
        b = fitted(name, x[mixed], z[mixed], y[mixed], names[ids[mixed]], k=2)[0]
        assert np.array_equal(a.theta, b.theta)

    def test_weight_two_is_a_group_twice_and_weight_zero_none(self, name):
        x, z, y, ids, _ = persons(name, 60, 5)
        twice, never = ids < 10, ids >= 50
        at = np.r_[np.flatnonzero(~never), np.flatnonzero(twice)]
        again = np.r_[ids[~never], ids[twice] + 100]
        w = np.where(twice, 2.0, np.where(never, 0.0, 1.0))
        a = fitted(name, x, z, y, ids, w, k=2)[0]
        b = fitted(name, x[at], z[at], y[at], again, k=2)[0]
        assert a.log_likelihood == pytest.approx(b.log_likelihood, rel=1e-10)
        assert bic(a) == pytest.approx(bic(b), rel=1e-10)
        np.testing.assert_allclose(a.theta, b.theta, atol=1e-5)

    def test_solvers_and_engines_agree(self, name):
        x, z, y, ids, _ = persons(name, 60, 5)
        how = ({}, {"solver": "em"}, {"solver": "lbfgs"}, {"engine": "array"})
        values = [fitted(name, x, z, y, ids, k=2, **h)[0].log_likelihood for h in how]
        np.testing.assert_allclose(values, values[0], rtol=1e-7)

    def test_a_subsample_takes_whole_groups_and_ends_at_the_same_optimum(self, name, monkeypatch):
        x, z, y, ids, _ = persons(name, 400, 6)
        whole = fitted(name, x, z, y, ids, k=2)[0]
        monkeypatch.setattr("moestro.search.problem.SEARCH_ROWS", (600, 600))
        part = fitted(name, x, z, y, ids, k=2)[0]
        assert min(part.starts.columns["rows"]) == 600
        assert part.log_likelihood == pytest.approx(whole.log_likelihood, abs=1e-5)

    def test_criteria_count_groups(self, name):
        x, z, y, ids, _ = persons(name, 60, 5)
        fit, rows, _ = fitted(name, x, z, y, ids, k=2)
        r = make_engine(fit.model, rows).rowwise(fit.theta).responsibilities
        assert r.shape == (60, 2)
        entropy = -(r * np.log(np.maximum(r, 1e-300))).sum()
        assert bic(fit) == pytest.approx(-2 * fit.log_likelihood + fit.n_parameters * np.log(60))
        assert icl(fit) == pytest.approx(bic(fit) + 2 * entropy)
        np.testing.assert_allclose(fit.mass, 5 * r.sum(axis=0), rtol=1e-9)

    def test_held_out_groups(self, name):
        x, z, y, ids, _ = persons(name, 60, 5)
        fit, rows, _ = fitted(name, x, z, y, ids, k=2)
        models = Mixtures(fit.model, rows)
        np.testing.assert_array_equal(models.present, np.arange(60))
        parts = [models.held_out(fit, at) for at in np.array_split(np.arange(60), 4)]
        assert sum(parts) == pytest.approx(fit.log_likelihood, rel=1e-12)


class TestStandardErrors:
    def one_expert(self):
        rng = np.random.default_rng(0)
        n, size = 80, 6
        ids = rng.permutation(np.repeat(np.arange(n), size))
        x = rng.standard_normal((n * size, 3)) + rng.standard_normal((n, 3))[ids]
        y = x @ [1.0, -1.0, 0.5] + rng.standard_normal(n)[ids] + rng.standard_normal(n * size)
        return x, np.zeros((len(y), 1)), y, ids

    def test_the_sandwich_is_that_of_statsmodels_clusters(self):
        sm = pytest.importorskip("statsmodels.api")

        x, z, y, ids = self.one_expert()
        fit, rows, units = fitted("gaussian", x, z, y, ids, k=1)
        J = user_jacobian(fit.model, units)
        ours = J @ covariance(fit, rows, Request("sandwich")).matrix @ J.T
        reference = sm.OLS(y, sm.add_constant(x)).fit(
            cov_type="cluster", cov_kwds={"groups": ids, "use_correction": False}
        )
        np.testing.assert_allclose(to_user(fit.model, units, fit.theta)[:4], reference.params, rtol=1e-8)
        np.testing.assert_allclose(ours[:4, :4], reference.cov_params(), rtol=1e-6, atol=1e-12)

    def test_the_bootstrap_draws_groups(self):
        x, z, y, ids = self.one_expert()
        fit, rows, _ = fitted("gaussian", x, z, y, ids, k=1)
        a, b = (
            covariance(fit, rows, Request("sandwich")).matrix,
            refitted(fit, rows, Request("bootstrap", n_bootstrap=120, random_state=0)).matrix,
        )
        ratio = np.sqrt(np.diag(b)[:4] / np.diag(a)[:4])
        # 120 draws know a standard error to 6.5 %; small samples differ too
        assert (np.abs(ratio - 1) < 0.2).all()


@pytest.mark.parametrize(
    ("n", "seeds"),
    [
        pytest.param(1000, range(1), id="1000 and 1 seed"),
        pytest.param(2000, range(4), id="2000 and 4 seeds", marks=pytest.mark.slow),
        pytest.param(2000, range(20), id="2000 and 20 seeds", marks=pytest.mark.study),
    ],
)
def test_persons_of_eight_choices(n, seeds):
    """The same optimum from every seed, and coefficients within 3 standard errors of the truth in 95 %."""
    x, z, y, ids, B = persons("multinomial", n, 8)
    values = []
    for seed in seeds:
        fit, rows, units = fitted("multinomial", x, z, y, ids, seed=seed)
        values.append(fit.log_likelihood)
    assert max(values) - min(values) < 1e-5
    assert fit.evidence.found >= 0.8 * fit.evidence.runs
    estimate = to_user(fit.model, units, fit.theta)[fit.model.gate_size :].reshape(B.shape)
    J = user_jacobian(fit.model, units)
    se = np.sqrt(np.diag(J @ covariance(fit, rows).matrix @ J.T))[fit.model.gate_size :].reshape(B.shape)
    cost = ((estimate[:, None] - B[None]) ** 2).sum(axis=(2, 3))
    order = linear_sum_assignment(cost)[1]
    assert (np.abs(estimate - B[order]) < 3 * se).mean() >= 0.95
