"""Theory as tools: cells, losses, exponents, divergences, identities, each against an independent witness."""

import csv
from dataclasses import replace
from itertools import groupby
from typing import ClassVar

import numpy as np
import pytest
from scipy import integrate, stats

from conftest import DATA
from moestro import MixingMeasure
from moestro.distribution import PredictiveDistribution
from moestro.errors import DataError
from moestro.experts import Gaussian
from moestro.located import LocatedMeasure
from moestro.theory import (
    LOSSES,
    check_gate_transform,
    check_top_k,
    exponent_search,
    hellinger,
    jensen_kl,
    kl,
    parameter_errors,
    top_k_bound,
    total_variation,
    voronoi_cells,
    voronoi_exponent,
    voronoi_loss,
    wasserstein,
)
from moestro.theory.divergences import monte_carlo

TRUTH = MixingMeasure(
    [-8, 0], [[25], [0]], [[15], [-5]], [[[-20]], [[20]]], np.log([[0.09], [0.16]]), "gaussian"
)
CLASSES = MixingMeasure(
    [0.4, 0.0], [[2.0], [0.0]], [[1.0, 0.5], [-1.0, 0.3]], [[[2.0], [1.0]], [[-1.0], [0.5]]],
    np.zeros((2, 0)),
    "multinomial", classes=(0, 1, 2),
)  # fmt: skip
TEN = np.linspace(-1, 1, 10)[:, None]
LOCATED = LocatedMeasure(
    weights=[0.3, 0.4, 0.3],
    means=[[-0.1], [0.1], [0.5]],
    covariances=[[[0.042824]], [[0.0175]], [[0.01]]],
    slopes=[[[0.4045395]], [[-0.7142857]], [[0.0]]],
    intercepts=[[0.3404540], [-0.3285714], [0.2]],
    noise=[[[0.00887672]], [[0.02642857]], [[0.0175]]],
)
TYPE_2 = replace(LOCATED, means=[[0.0], [0.1], [0.5]])
MODELS = {
    "multinomial-D1": CLASSES,
    "multinomial-D2r": CLASSES,
    "multinomial-D3": CLASSES,
    "softmax-D1": TRUTH,
    "softmax-D2": TRUTH,
    "top-k-D1": replace(TRUTH, gate="top-k", gate_options={"top_k": 1, "rank_on": "logit"}),
    "top-k-D2": replace(TRUTH, gate="top-k", gate_options={"top_k": 1, "rank_on": "logit"}),
    "gaussian-gate-Dbar": LOCATED,
    "gaussian-gate-Dtilde": TYPE_2,
    "laplace-D2": replace(TRUTH, gate="laplace"),
}


def crowded(truth, k, noise, seed):
    """k atoms near those of the truth, each of them covered, weights shared."""
    rng = np.random.default_rng(seed)
    s = np.concatenate([np.arange(truth.k), rng.integers(0, truth.k, k - truth.k)])
    if isinstance(truth, LocatedMeasure):
        out = truth.__class__(
            weights=truth.weights[s] / np.bincount(s)[s], **{n: v[s] for n, v in truth.components().items()}
        )
        moved = {
            n: getattr(out, n) + noise * rng.standard_normal(getattr(out, n).shape)
            for n in ("means", "slopes", "intercepts")
        }
        return replace(out, **moved)
    out = truth.permute(s)
    names = ("gate_slopes", "intercepts", "slopes", "nuisances")
    moved = {n: getattr(out, n) + noise * rng.standard_normal(getattr(out, n).shape) for n in names}
    return replace(out, log_weights=out.log_weights - np.log(np.bincount(s)[s]), **moved)


def test_every_loss_is_in_the_table():
    assert set(MODELS) == set(LOSSES)


@pytest.mark.parametrize("name", LOSSES)
class TestEveryLoss:
    r: ClassVar = {"multinomial-D2r": 2.0}

    def test_zero_exactly_at_the_truth_and_nowhere_near(self, name):
        truth = MODELS[name]
        r = self.r.get(name)
        assert voronoi_loss(truth, truth, name, r=r) == 0.0
        turned = truth.permute(list(range(truth.k))[::-1])
        assert voronoi_loss(turned, truth, name, r=r) == 0.0
        for k in (truth.k, truth.k + 1):
            assert voronoi_loss(crowded(truth, k, 0.05, 0), truth, name, r=r) > 1e-9

    def test_split_atoms_are_the_truth(self, name):
        truth = MODELS[name]
        twice = crowded(truth, truth.k + 1, 0.0, 1)
        assert voronoi_loss(twice, truth, name, r=self.r.get(name)) == pytest.approx(0.0, abs=1e-12)

    def test_translations_that_leave_the_density_leave_the_loss(self, name):
        truth = MODELS[name]
        if isinstance(truth, LocatedMeasure):  # no gauge but the order of the atoms
            assert not hasattr(truth, "translate")
            return
        near, r = crowded(truth, truth.k + 1, 0.05, 2), self.r.get(name)
        t2 = np.array([0.7]) if "slopes" in truth.gate_translations else 0.0
        moved = near.translate(1.1, t2)
        for gauge in ("inf", "fixed"):
            a, b = (voronoi_loss(m, truth, name, r=r, gauge=gauge) for m in (near, moved))
            assert a == pytest.approx(b, rel=1e-4)
        assert voronoi_loss(truth.translate(-2.0, 3 * t2), truth, name, r=r) == pytest.approx(0.0, abs=1e-12)
        assert voronoi_loss(moved, truth, name, r=r, gauge="none") > voronoi_loss(near, truth, name, r=r)


def test_published_losses_of_the_gaussian_gate():
    with open(DATA / "gaussian_gate_losses.csv") as file:
        rows = list(csv.DictReader(file))
    compared = 0
    for _, group in groupby(rows, key=lambda r: (r["size_index"], r["replicate"])):
        atoms = list(group)
        column = {n: np.array([float(a[n]) for a in atoms]) for n in ("pi", "c", "Gamma", "A", "b", "nu")}
        fitted = LocatedMeasure(
            column["pi"] / column["pi"].sum(), column["c"][:, None], column["Gamma"][:, None, None],
            column["A"][:, None, None], column["b"][:, None], column["nu"][:, None, None],
        )  # fmt: skip
        loss = voronoi_loss(fitted, LOCATED, "gaussian-gate-Dbar", norm="coordinates")
        assert loss == pytest.approx(float(atoms[0]["published_loss"]), abs=1e-6)
        compared += 1
    assert compared == 100


def by_hand(measure, truth, t1, t2):
    """D2 of arXiv 2305.03288 in plain loops, one gate column, the fit moved by (t1, t2)."""
    exponent = {1: 1, 2: 4, 3: 6}
    w, true = np.exp(measure.log_weights + t1), np.exp(truth.log_weights)
    atoms = np.column_stack(
        [measure.gate_slopes[:, 0] + t2, measure.intercepts[:, 0], measure.slopes[:, 0, 0], measure.variances]
    )
    goal = np.column_stack(
        [truth.gate_slopes[:, 0], truth.intercepts[:, 0], truth.slopes[:, 0, 0], truth.variances]
    )
    cell = [min(range(truth.k), key=lambda j: np.sum((a - goal[j]) ** 2)) for a in atoms]
    total = sum(abs(sum(w[i] for i in range(measure.k) if cell[i] == j) - true[j]) for j in range(truth.k))
    for i, j in enumerate(cell):
        m = cell.count(j)
        beta, b, a, s = atoms[i] - goal[j]
        if m == 1:
            total += w[i] * np.sqrt(beta**2 + b**2 + a**2 + s**2)
        else:
            total += w[i] * (np.hypot(beta, b) ** exponent[m] + np.hypot(a, s) ** (exponent[m] / 2))
    return total


@pytest.mark.parametrize("k", [2, 3, 4])
def test_the_infimum_is_taken(k):
    near = crowded(TRUTH, k, 0.1, k)
    grid = [
        by_hand(near, TRUTH, t1, t2) for t1 in np.linspace(-0.3, 0.3, 31) for t2 in np.linspace(-0.3, 0.3, 61)
    ]
    assert voronoi_loss(near, TRUTH) <= min(grid) + 1e-9
    assert voronoi_loss(near, TRUTH) >= 0.5 * min(grid)
    assert voronoi_loss(near, TRUTH, gauge="none") == pytest.approx(by_hand(near, TRUTH, 0.0, 0.0), rel=1e-10)
    assert voronoi_loss(near, TRUTH) <= voronoi_loss(near, TRUTH, gauge="fixed") + 1e-12


def test_cells():
    fitted = TRUTH.permute([1, 0, 1])
    assert [c.tolist() for c in voronoi_cells(fitted, TRUTH)] == [[1], [0, 2]]
    errors = parameter_errors(crowded(TRUTH, 3, 0.01, 0), TRUTH)
    assert errors["largest_cell"] == 2
    assert 0 < errors["slopes_over"] < 0.1
    assert parameter_errors(TRUTH, TRUTH)["slopes_over"] is None
    far = parameter_errors(replace(crowded(TRUTH, 3, 0.01, 0), intercepts=np.full((3, 1), 1e160)), TRUTH, 2)
    assert far["intercepts_over"] == pytest.approx(1e160)


CLOSE = TRUTH.permute([0, 1, 0])  # its first atom twice
TWO_CLASSES = MixingMeasure(
    [0.4, 0.0],
    [[2.0], [0.0]],
    [[1.0], [-1.0]],
    [[[2.0]], [[-1.0]]],
    np.zeros((2, 0)),
    "multinomial",
    classes=(0, 1),
)


@pytest.mark.parametrize("by", [1e-170, 1e-8, 1e8, 1e160, 1e200])
def test_atoms_of_any_size_are_compared(by):
    """Squares of distances leave double precision long before the distances do."""

    def two(size, off=0.0):
        a, B = np.array([[1.0], [5.0]]) - off, np.array([[[2.0]], [[-1.0]]]) + 2 * off
        return MixingMeasure([0, 0], [[0], [0]], size * a, size * B, np.zeros((2, 1)), "gaussian")

    assert wasserstein(two(by, 0.5), two(by)) == pytest.approx(
        by * wasserstein(two(1, 0.5), two(1)), rel=1e-9
    )
    assert [c.tolist() for c in voronoi_cells(two(by, 0.5).permute([1, 0]), two(by))] == [[1], [0]]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: voronoi_loss(TRUTH, TRUTH, "D9"), "unknown"),
        (lambda: voronoi_loss(TRUTH, CLASSES), "differ in kind"),
        (lambda: voronoi_loss(TRUTH, TRUTH, gauge="best"), "gauge"),
        (lambda: voronoi_loss(CLASSES, CLASSES, "multinomial-D2r"), "power r"),
        (lambda: voronoi_loss(CLASSES, CLASSES, "softmax-D2"), "not a loss of this model"),
        (lambda: voronoi_loss(TRUTH, TRUTH, "top-k-D1"), "top_k"),
        (lambda: voronoi_exponent(4), "at least 7"),
        (lambda: voronoi_exponent(4, unknown=6), "at least 7"),
        (lambda: voronoi_exponent(2, "cubic"), "unknown"),
        (lambda: voronoi_exponent(0), "at least 1"),
        (lambda: voronoi_exponent(2.5), "whole number"),
        (lambda: voronoi_exponent(1, unknown="seven"), "must be a number"),
        (lambda: top_k_bound([1, 2], 3), "at most the 2 cells"),
        (lambda: top_k_bound([1.5, 2], 1), "whole number"),
        (lambda: top_k_bound(None, 1), "the size of a cell must be a whole number"),
        (lambda: check_top_k(1, None, 1), "those of `voronoi_cells`"),
        (lambda: check_top_k(1, [1, 2], 1), "those of `voronoi_cells`"),
        (lambda: exponent_search(2, 3, starts=1, seed="a"), "seed must be a whole number"),
        (lambda: voronoi_loss(TRUTH, CLOSE), "atoms 1 and 3 of the truth are equal"),
        (lambda: voronoi_cells(TRUTH, CLOSE), "atoms 1 and 3 of the truth are equal"),
        (lambda: voronoi_loss([1.0], TRUTH), "a mixing measure is needed, got list"),
        (lambda: voronoi_loss(TRUTH, TRUTH, ["softmax-D2"]), "unknown"),
        (lambda: voronoi_loss(TRUTH, TRUTH, r=2.0), "has no power r"),
        (lambda: voronoi_loss(TRUTH, TRUTH, top_k=1), "leave top_k out"),
        (lambda: voronoi_loss(CLASSES, CLASSES, "multinomial-D2r", r="2"), "must be a number"),
        (lambda: parameter_errors(TRUTH, TRUTH, 0.0), "power must be a number above 0"),
        (lambda: wasserstein(TRUTH, TRUTH, np.nan), "r must be a number"),
        (lambda: wasserstein(TRUTH, TRUTH, 0.5), "at least 1"),
        (lambda: hellinger(CLASSES.conditional([[0.1]]), TWO_CLASSES.conditional([[0.1]])), "same kind"),
        (lambda: jensen_kl(TRUTH.conditional([[0.1]]), TRUTH.conditional([[0.1]]), 1.0), "strictly between"),
        (lambda: check_gate_transform("tanh", np.ones((3, 1))), "at least 6 rows"),
        (lambda: check_gate_transform("tanh", "abc"), "X must hold finite real numbers"),
        (lambda: check_gate_transform("tanh", TEN * 1j), "X must hold finite real numbers"),
        (lambda: check_gate_transform("tanh", TEN[:0]), "X must hold finite real numbers, at least one"),
        (lambda: check_gate_transform("tanh", TEN[:, :0]), "d at least 1"),
        (lambda: check_gate_transform(None, TEN), "M must be a name"),
        (lambda: check_gate_transform(lambda x: x + 1j, TEN), r"M\(X\) must hold finite real numbers"),
        (lambda: check_gate_transform(np.log, TEN - 1), r"M\(X\) must hold finite real numbers"),
        (lambda: check_gate_transform(lambda x: x[:, :0], TEN), r"M\(X\) has no column"),
        (lambda: hellinger(CLASSES.conditional(TEN), None), "both laws must be those of `conditional`"),
        (lambda: kl(TRUTH, TRUTH), "both laws must be those of `conditional`"),
        (lambda: total_variation(*[TRUTH.conditional(TEN[:0])] * 2), "with a row"),
        (lambda: jensen_kl(*[TRUTH.conditional(TEN)] * 2, "a"), "rho must be a finite number"),
        (lambda: monte_carlo(np.sin, 1, TEN[:, 0]), "must be callable"),
        (lambda: monte_carlo(np.sin, np.cos, []), "draws must hold finite real numbers, at least one"),
        (lambda: monte_carlo(np.sin, np.cos, [np.nan, 1.0]), "draws must hold finite real numbers"),
        (lambda: monte_carlo(np.sin, np.cos, TEN[:1, 0]), "at least two draws"),
        (lambda: monte_carlo(np.sin, np.cos, 1.0), "at least two draws"),
        (lambda: monte_carlo(np.sin, np.cos, TEN), "a number for each of 10 draws"),
        (lambda: monte_carlo(np.sin, np.cos, TEN[:, 0], rho=2), "strictly between 0 and 1, got 2"),
        (lambda: monte_carlo(np.sin, np.cos, TEN[:, 0], ["kl"]), "unknown"),
    ],
)
def test_wrong_questions_are_refused(call, words):
    with pytest.raises(DataError, match=words):
        call()


class TestExponents:
    def test_known_values(self):
        assert [voronoi_exponent(m) for m in (1, 2, 3)] == [1, 4, 6]
        assert voronoi_exponent(4, unknown=7) == 7

    @pytest.mark.parametrize("system", ["location-scale", "softmax", "gaussian-gate"])
    def test_two_atoms(self, system):
        residual, solution = exponent_search(2, 3, system, starts=4)
        assert residual < 1e-10
        assert np.abs(solution[:, 0]).max() > 0.1
        assert exponent_search(2, 4, system, starts=4)[0] > 1e-4

    @pytest.mark.slow
    def test_three_atoms(self):
        assert exponent_search(3, 5, starts=2)[0] < 1e-10
        assert exponent_search(3, 6, starts=3)[0] > 1e-7


class TestDivergences:
    x = np.array([[0.1], [0.35], [0.9]])
    p, q = TRUTH.conditional(x), crowded(TRUTH, 3, 0.2, 0).conditional(x)

    @pytest.mark.parametrize("i", range(3))
    def test_against_adaptive_quadrature(self, i):
        p, q = self.p.at(slice(i, i + 1)), self.q.at(slice(i, i + 1))

        def f(y, law):
            return float(law.pdf(np.array([[y]]))[0, 0])

        cuts = {"points": [float(p.mean()[0])], "limit": 400}
        h2 = integrate.quad(lambda y: 0.5 * (f(y, p) ** 0.5 - f(y, q) ** 0.5) ** 2, -25, 25, **cuts)[0]
        tv = integrate.quad(lambda y: 0.5 * abs(f(y, p) - f(y, q)), -25, 25, **cuts)[0]
        assert hellinger(self.p, self.q).rows[i] == pytest.approx(np.sqrt(h2), rel=1e-5)
        assert total_variation(self.p, self.q).rows[i] == pytest.approx(tv, rel=1e-3)

    def test_two_gaussians_have_closed_forms(self):
        def normal(mean, variance):
            eta = np.array([[[mean, np.log(variance)]]])
            return PredictiveDistribution(Gaussian(), np.zeros((1, 1)), eta)

        p, q = normal(0.3, 0.5), normal(-0.4, 1.2)
        assert float(kl(p, q)) == pytest.approx(0.5 * (np.log(1.2 / 0.5) + (0.5 + 0.49) / 1.2 - 1), rel=1e-9)
        overlap = np.sqrt(2 * np.sqrt(0.5 * 1.2) / 1.7) * np.exp(-0.49 / (4 * 1.7))
        assert float(hellinger(p, q)) == pytest.approx(np.sqrt(1 - overlap), rel=1e-9)
        same = normal(0.0, 1.0)
        assert float(total_variation(same, normal(1.0, 1.0))) == pytest.approx(
            2 * stats.norm.cdf(0.5) - 1, rel=1e-3
        )

    def test_inequalities_and_limits(self):
        h, v = hellinger(self.p, self.q).rows, total_variation(self.p, self.q).rows
        assert (v <= np.sqrt(2) * h + 1e-9).all()
        assert (h**2 <= v + 1e-9).all()
        values = [float(jensen_kl(self.p, self.q, rho)) for rho in (1e-6, 0.1, 0.5, 0.9, 1 - 1e-9)]
        assert (np.diff([0.0, *values]) > 0).all()
        assert values[-1] == pytest.approx(float(kl(self.p, self.q)), rel=1e-6)
        for same in (hellinger, total_variation, kl, jensen_kl):
            assert abs(float(same(self.p, self.p))) < 1e-12

    def test_classes_and_counts_are_exact_sums(self):
        x = np.array([[0.2], [-1.0]])
        other = crowded(CLASSES, 2, 0.3, 0)
        a, b = CLASSES.conditional(x), other.conditional(x)
        pa = np.exp(np.stack([CLASSES.log_density(x, np.full(2, c)) for c in range(3)], axis=1))
        pb = np.exp(np.stack([other.log_density(x, np.full(2, c)) for c in range(3)], axis=1))
        np.testing.assert_allclose(kl(a, b).rows, (pa * np.log(pa / pb)).sum(axis=1), rtol=1e-10)
        np.testing.assert_allclose(total_variation(a, b).rows, 0.5 * np.abs(pa - pb).sum(axis=1), rtol=1e-10)
        one, two = (
            MixingMeasure(
                [0.0], np.zeros((1, 0)), [[np.log(m)]], np.zeros((1, 1, 0)), np.zeros((1, 0)), "poisson"
            )
            for m in (3.0, 5.0)
        )
        nothing = np.empty((1, 0))
        found = float(kl(one.conditional(nothing), two.conditional(nothing)))
        assert found == pytest.approx(3 * np.log(3 / 5) + 2, rel=1e-10)

    def test_monte_carlo_agrees_within_its_error(self):
        m = LOCATED
        other = crowded(LOCATED, 4, 0.05, 0)
        x, y, _ = m.sample(20_000, np.random.default_rng(0))
        x = np.repeat(x[:1], 20_000, axis=0)
        law = m.conditional(x)
        y = law.sample(random_state=1)[:, None]
        mc = monte_carlo(lambda d: m.log_density(x, d), lambda d: other.log_density(x, d), y)
        exact = kl(m.conditional(x[:1]), other.conditional(x[:1]))
        assert abs(mc.value - exact.value) < 4 * mc.error
        assert mc.error > 0


def test_wasserstein_is_the_one_of_the_line():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((4, 1)), rng.standard_normal((3, 1))

    def on_a_line(points, weights):
        k = len(points)
        return MixingMeasure(
            np.log(weights), np.zeros((k, 1)), points, np.zeros((k, 1, 1)), np.zeros((k, 1)), "gaussian"
        )

    u, v = rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(3))
    found = wasserstein(on_a_line(a, u), on_a_line(b, v))
    assert found == pytest.approx(stats.wasserstein_distance(a[:, 0], b[:, 0], u, v), rel=1e-8)
    assert wasserstein(TRUTH.permute([1, 0]).translate(3.0, 0.0), TRUTH, 2.0) == pytest.approx(0.0, abs=1e-7)


class TestTransforms:
    x = np.linspace(-1, 1, 300)[:, None]

    @pytest.mark.parametrize("transform", ["cube", "tanh", "sin", "sigmoid", np.exp])
    def test_these_pass(self, transform):
        for x in (self.x, (self.x + 1) / 2):
            found = check_gate_transform(transform, x)
            assert found.ok
            assert found.rank == found.size == 6

    @pytest.mark.parametrize(
        ("transform", "spanned"), [(lambda x: x, "M"), (lambda x: 3 * x - 1, "M"), (lambda x: x**2, "M")]
    )
    def test_these_fail_and_say_why(self, transform, spanned):
        found = check_gate_transform(transform, self.x)
        assert not found.ok
        assert spanned in found.dependent
        assert "spanned by" in str(found)

    @pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
    def test_neither_does_their_size(self, scale):
        plain = check_gate_transform(lambda x: np.sin(3 * x), self.x)
        found = check_gate_transform(lambda x: scale * np.sin(3 * x / scale), scale * self.x)
        assert found.ok
        assert found.condition == pytest.approx(plain.condition)

    @pytest.mark.parametrize("centre", [0.0, 1e3, 1e6])
    def test_where_the_columns_lie_does_not_matter(self, centre):
        u = np.random.default_rng(0).uniform(size=(500, 1))
        assert check_gate_transform("sin", centre + 100 * u).ok
        assert check_gate_transform(lambda x: np.sin(3 * (x - centre)), centre + u).ok
        for dependent in (lambda x: 3 * x - 1, lambda x: (x - centre) ** 2, lambda x: np.ones_like(x)):
            assert check_gate_transform(dependent, centre + u).dependent[0] == "M"

    def test_a_cube_far_from_zero(self):
        u = np.random.default_rng(0).uniform(size=(500, 1))
        found = check_gate_transform("cube", 1e3 + u)
        assert found.ok
        assert f"{found.condition:.1e}" in str(found)

    def test_nearly_the_input(self):
        x = self.x
        found = check_gate_transform(lambda x: x + 1e-6 * np.sin(3 * x), x)
        assert found.ok
        # The witness: singular values of the functions of centred and scaled columns.
        m = x + 1e-6 * np.sin(3 * x)
        a, b = ((v - v.mean()) / v.std() for v in (x, m))
        F = np.column_stack([np.ones(len(x)), a, a**2, b, a * b, b**2])
        values = np.linalg.svd(F / np.linalg.norm(F, axis=0), compute_uv=False)
        assert found.condition == pytest.approx(values[0] / values[-1], rel=0.05)
        assert "nearly dependent" in str(found)
        assert f"{found.condition:.1e}" in str(found)
        assert "condition number" in str(check_gate_transform(lambda x: 2 * x, x))

    def test_two_columns(self):
        x = np.random.default_rng(0).uniform(-1, 1, (400, 2))
        assert check_gate_transform("tanh", x).ok
        assert check_gate_transform("tanh", x).size == 15
        assert not check_gate_transform(lambda x: np.column_stack([np.tanh(x[:, 0]), x[:, 1]]), x).ok


class TestTopK:
    def test_bound(self):
        assert top_k_bound([1, 3, 2], 1) == 3
        assert top_k_bound([1, 3, 2], 2) == 5
        k, true, top = 5, 3, 2  # worst case of the theory: k - k* + K
        worst = max(
            top_k_bound([1 + a, 1 + b, 1 + c], top)
            for a in range(3)
            for b in range(3)
            for c in range(3)
            if a + b + c == 2
        )
        assert worst == k - true + top

    def test_too_few_kept_warns(self):
        cells = voronoi_cells(TRUTH.permute([0, 1, 1]), TRUTH)
        assert check_top_k(2, cells, 1).ok
        with pytest.warns(UserWarning, match="does not vanish"):
            assert not check_top_k(1, cells, 1).ok


LD = np.longdouble
H = LD(2e-5)


def second(f, i, j, at):
    """d2 f / d at_i d at_j by central differences in extended precision."""
    e = np.eye(len(at), dtype=LD) * H
    return (f(at + e[i] + e[j]) - f(at + e[i] - e[j]) - f(at - e[i] + e[j]) + f(at - e[i] - e[j])) / (
        4 * H * H
    )


def first(f, i, at):
    e = np.eye(len(at), dtype=LD)[i] * H
    return (f(at + e) - f(at - e)) / (2 * H)


@pytest.mark.parametrize("seed", range(3))
class TestIdentities:
    """The relations between derivatives that make the rates slow, or their absence fast."""

    def near(self, a, b):
        assert float(abs(a - b)) <= 1e-6 * float(1 + abs(a))

    def test_softmax_gaussian(self, seed):
        rng = np.random.default_rng(seed)
        x, y = (LD(v) for v in rng.standard_normal(2))
        at = np.append(rng.standard_normal(3), 0.7).astype(LD)  # beta_1, a, b, sigma

        def u(t):
            return np.exp(t[0] * x - (y - t[1] * x - t[2]) ** 2 / (2 * t[3])) / np.sqrt(t[3])

        self.near(second(u, 0, 2, at), first(u, 1, at))
        self.near(second(u, 2, 2, at), 2 * first(u, 3, at))

    def test_multinomial(self, seed):
        rng = np.random.default_rng(seed)
        x = LD(rng.standard_normal())

        def u(
            t,
        ):  # beta_1, a_1, a_2 (intercepts), b_1, b_2 (slopes); three classes, the probability of the first
            e = np.exp(np.array([t[1] + t[3] * x, t[2] + t[4] * x, LD(0)]))
            return np.exp(t[0] * x) * e[0] / e.sum()

        at = rng.standard_normal(5).astype(LD)
        self.near(second(u, 0, 1, at), first(u, 3, at))
        self.near(second(u, 0, 2, at), first(u, 4, at))

    def test_temperature_and_cosine(self, seed):
        rng = np.random.default_rng(seed)
        x = rng.standard_normal(2).astype(LD)
        at = np.append(rng.standard_normal(2), 0.8).astype(LD)  # beta, tau

        def u(t):
            return np.exp((t[:2] @ x) / t[2])

        self.near(first(u, 2, at), -(at[0] * first(u, 0, at) + at[1] * first(u, 1, at)) / at[2])

        def cosine(t):
            return np.exp(t[:2] @ x / np.sqrt((t[:2] ** 2).sum() * (x**2).sum()) / t[2])

        self.near(at[0] * first(cosine, 0, at) + at[1] * first(cosine, 1, at), LD(0))

    def test_gaussian_gate(self, seed):
        rng = np.random.default_rng(seed)
        x, y = (LD(v) for v in rng.standard_normal(2))

        def F(t):  # c, Gamma, a, b, sigma
            gate = np.exp(-((x - t[0]) ** 2) / (2 * t[1])) / np.sqrt(t[1])
            return gate * np.exp(-((y - t[2] * x - t[3]) ** 2) / (2 * t[4])) / np.sqrt(t[4])

        at = np.array([rng.standard_normal(), 0.9, *rng.standard_normal(2), 0.7], dtype=LD)
        self.near(second(F, 0, 0, at), 2 * first(F, 1, at))
        self.near(first(F, 2, at), at[0] * first(F, 3, at) + at[1] * second(F, 0, 3, at))
