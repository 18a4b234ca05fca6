"""The seams hold: a family, a gate and a problem of one's own, each one class, are fitted, swept, refused by
files with a reason, and predict."""

import functools
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import pytest
from scipy import optimize, stats

from moestro import DataError, MoERegressor
from moestro.experts import Facts
from moestro.gates.base import LinearGate
from moestro.search import Defaults, End, Fit, Options, fit_path, fit_problem
from moestro.search.starts import STRATEGIES
from moestro.selection import sweep
from moestro.solvers import Status, StatusKind
from moestro.tables import Table


@dataclass(frozen=True)
class Exponential(Facts):
    """y | eta ~ exponential with mean exp(eta)."""

    name: str = "exponential"

    def check_response(self, y):
        if (y <= 0).any():
            raise DataError("an exponential response is positive")

    def log_base(self, y):
        return 0.0

    def log_density(self, eta, y):
        return -eta[..., 0] - y * np.exp(-eta[..., 0])

    def score(self, eta, y):
        return (y[..., None] * np.exp(-eta)) - 1.0

    def curvature(self, eta, y):
        return -(y * np.exp(-eta[..., 0]))[..., None, None]

    def information(self, eta):
        return np.ones((*eta.shape[:-1], 1, 1))

    def mean(self, eta):
        return np.exp(eta[..., 0])

    def variance(self, eta):
        return np.exp(2 * eta[..., 0])

    def sample(self, eta, rng):
        return rng.exponential(np.exp(eta[..., 0]))

    def cdf(self, eta, y):
        return -np.expm1(-np.maximum(y, 0.0) * np.exp(-eta[..., 0]))

    def marginal(self, y, w, offset=0.0):
        return np.array([np.log(np.average(y * np.exp(-offset), weights=w))])

    def on_link_scale(self, y):
        return np.log(y)

    def bounds(self):
        return np.array([-20.0, -20.0, 0.0]), np.array([20.0, 20.0, 0.0])

    def narrowness(self, nuisances):
        return np.zeros(nuisances.shape[:-1])


def waiting(n=400, seed=0):
    """Waiting times whose mean depends on x, of two kinds of rows whose shares depend on x."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 1))
    first = rng.random(n) < 1 / (1 + np.exp(-2 * x[:, 0]))
    return x, rng.exponential(np.exp(np.where(first, 2 + x[:, 0], -1.0)))


class TestFamily:
    def test_one_expert_is_the_generalised_linear_model(self):
        x, y = waiting()
        moe = MoERegressor(1, family=Exponential(), engine="array").fit(x, y)
        design = np.column_stack([np.ones(len(y)), x])
        best = optimize.minimize(
            lambda b: np.sum(design @ b + y * np.exp(-design @ b)), np.zeros(2), tol=1e-12
        )
        assert moe.log_likelihood_ == pytest.approx(-best.fun, rel=1e-9)

    def test_it_is_swept_predicts_and_is_refused_by_a_file(self, tmp_path):
        x, y = waiting()
        moe = MoERegressor("bic", family=Exponential(), max_experts=3, n_starts=4, random_state=0).fit(x, y)
        assert moe.n_experts_ == 2
        assert moe.log_density(x, y).sum() == pytest.approx(moe.log_likelihood_, rel=1e-10)
        law = moe.predict_distribution(x[:5])
        g, mean = (
            moe.gate_proba(x[:5]),
            np.exp(moe.measure_.intercepts[:, 0] + x[:5] @ moe.measure_.slopes[:, 0].T),
        )
        np.testing.assert_allclose(moe.predict(x[:5]), (g * mean).sum(axis=1), rtol=1e-10)
        np.testing.assert_allclose(
            law.cdf(np.ones((5, 1)))[:, 0], (g * stats.expon.cdf(1 / mean)).sum(axis=1), rtol=1e-10
        )
        assert "exponential" in moe.summary()
        with pytest.raises(DataError, match="a family of one's own cannot be saved"):
            moe.save(tmp_path / "m.json")
        with pytest.raises(DataError, match="is positive"):
            MoERegressor(2, family=Exponential()).fit(x, -y)


@dataclass(frozen=True)
class Halved(LinearGate):
    """Softmax of half the scores."""

    name: ClassVar[str] = "halved"

    def scores(self, rows, shared, z):
        return 0.5 * super().scores(rows, shared, z)

    def features(self, rows, shared, z):
        return [(0.5 * columns, at) for columns, at in super().features(rows, shared, z)]


class TestGate:
    def test_it_is_softmax_in_other_units(self, tmp_path):
        x, y = waiting()
        y = np.log(y)
        how = {"n_starts": 4, "random_state": 0}
        soft = MoERegressor(2, **how).fit(x, y)
        ours = MoERegressor(2, gate=Halved(), **how).fit(x, y)
        assert ours.log_likelihood_ == pytest.approx(soft.log_likelihood_, rel=1e-8)
        np.testing.assert_allclose(ours.gate_proba(x), soft.gate_proba(x), atol=1e-4)
        assert len(MoERegressor("bic", gate=Halved(), max_experts=2, **how).fit(x, y).selection_) == 2
        with pytest.raises(DataError, match="a gate of one's own cannot be saved"):
            ours.save(tmp_path / "m.json")


@dataclass(frozen=True)
class Rates(Defaults):
    """A mixture of k exponential laws of y (n,), without covariates: points are (shares, means)."""

    y: np.ndarray
    k: int

    n = property(lambda self: len(self.y))
    size = property(lambda self: 2 * self.k - 1)
    weight_sum = property(lambda self: float(len(self.y)))
    weights = None
    budget = property(lambda self: 800.0 if self.k > 1 else np.inf)
    few_steps = 20

    @cached_property
    def view_(self):
        y = np.log(self.y)
        return np.empty((self.n, 0)), (y - y.mean()) / y.std()

    def view(self, rng):
        return self.view_

    def guess(self, strategy, rng):
        return STRATEGIES[strategy](rng, *self.view_, np.ones(self.n), self.k)

    def begin(self, memberships, pool):
        return [self.m_step(r + 1e-6) for r in memberships]

    def m_step(self, r):
        mass = r.sum(axis=0)
        return np.array([mass / mass.sum(), self.y @ r / mass])

    def pooled(self):
        return self.m_step(np.full((self.n, self.k), 1 / self.k))

    def given(self, initial):
        return initial

    def rowwise(self, point):
        joint = np.log(point[0]) - np.log(point[1]) - self.y[:, None] / point[1]
        level = np.logaddexp.reduce(joint, axis=1)
        return np.exp(joint - level[:, None]), level

    def _em(self, point, steps, tol):
        done, i = False, 0
        while not done and i < steps:
            new, i = self.m_step(self.rowwise(point)[0]), i + 1
            done, point = np.abs(new - point).max() <= tol, new
        r, level = self.rowwise(point)
        return End(point, float(level.sum()), r.sum(axis=0), i, i, done)

    def settle(self, points, pool):
        return [self._em(p, 200, 1e-5) for p in points]

    def advance(self, point, *, tol, max_iter, cancel):
        return self._em(point, max_iter or 50_000, tol)

    def values(self, points, pool):
        return [(float(self.rowwise(p)[1].sum()), self.rowwise(p)[0].sum(axis=0)) for p in points]

    def key(self, point, value, mass):
        return (2 if (mass >= 4).all() else 1), value

    def by_mass(self, point):
        return point[:, np.argsort(-point[0])]

    def diagnose(self, end):
        kind = StatusKind.CONVERGED if end.outcome else StatusKind.LIMIT
        return Status(kind, "EM no longer moves")

    def nested(self, below):
        return [
            np.column_stack([below.point, below.point[:, e] * [0.5, 0.5]]) * 1.0 for e in range(self.k - 1)
        ]

    def duplicated(self, below):
        at = below.point.copy()
        at[0, 0] /= 2
        return [np.column_stack([at, at[:, 0]])]

    def shuffled(self, seed, most=None):
        return np.random.default_rng(seed).permutation(self.n)

    def subset(self, rows):
        return Rates(self.y[rows], self.k)

    def fit(self, end, **common):
        return RatesFit(
            point=end.point, log_likelihood=end.value, n_parameters=self.size, weight_sum=self.weight_sum,
            mass=end.mass, entropy=0.0, history=Table({}), **common,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class RatesFit(Fit):
    point: np.ndarray

    def mean(self):
        return float(self.point[0] @ self.point[1])


@dataclass(frozen=True)
class RateModels:
    """`Rates` with any number of experts, as a sweep fits them."""

    y: np.ndarray

    present = property(lambda self: np.arange(len(self.y)))

    def fits(self, ks, options, started, finished):
        def one(k, own, below):
            return fit_problem(Rates(self.y, k), own, below)

        return fit_path(one, ks, options, True, started, finished)

    def refits(self, at, fits, options):
        return RateModels(self.y[at]).fits([f.k for f in fits], options, None, None)

    def held_out(self, fit, at):
        shares, means = fit.point
        density = np.exp(-self.y[at, None] / means) / means
        return float(np.log(density @ shares).sum())

    def contrasts(self, fits):
        return None


@functools.cache
def rates(n=400, ks=(1, 2, 3)):
    """Waiting times of two kinds, and their fits."""
    rng = np.random.default_rng(0)
    y = rng.exponential(np.where(rng.random(n) < 0.4, 10.0, 0.5))
    return y, fit_path(lambda k, o, below: fit_problem(Rates(y, k), o, below), ks, Options(seed=0))


class TestProblem:
    def test_it_is_searched_and_swept(self):
        y, fits = rates()
        assert [f.k for f in fits] == [1, 2, 3]
        assert (np.diff([f.log_likelihood for f in fits]) >= -1e-6).all()
        assert fits[0].log_likelihood == pytest.approx(stats.expon.logpdf(y, scale=y.mean()).sum(), rel=1e-12)
        assert fits[1].status.kind == "converged"
        assert fits[1].evidence.found >= 5
        np.testing.assert_allclose(np.sort(fits[1].point[1]), [0.5, 10.0], rtol=0.2)
        assert fits[1].mean() == pytest.approx(y.mean(), rel=1e-6)  # EM keeps the sample's mean

    @pytest.mark.parametrize("criterion", ["bic", "icl", "cv", "ddse"])
    def test_it_is_chosen_among(self, criterion):
        y, fits = rates()
        done = []
        how = {"n_folds": 3} if criterion == "cv" else {}
        found = sweep(RateModels(y), [1, 2, 3], Options(seed=0), criterion, finished=done.append, **how)
        assert [f.log_likelihood for f in found.fits] == [f.log_likelihood for f in fits]
        assert done == list(found.fits)
        assert found.chosen.k == 2
        assert found.table()["k"] == [1, 2, 3]
        assert found.table()["chosen"] == [False, True, False]

    def test_a_subsample_is_searched_where_rows_are_many(self):
        y, (fit,) = rates(n=40_000, ks=(2,))
        assert min(fit.starts["rows"]) == 12_000
        assert fit.mean() == pytest.approx(y.mean(), rel=1e-6)
