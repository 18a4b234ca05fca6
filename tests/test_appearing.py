"""One atom more than the truth: the constant of the theorems, sequences without one, and counts."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import least_squares

from moestro import MixingMeasure
from moestro.errors import DataError
from moestro.located import LocatedMeasure
from moestro.studies.counts import Counts, maximise_counts, probabilities
from moestro.studies.gaussian_gate import truth_of
from moestro.studies.softmax_multinomial import REGIMES, _truth, columns, grid, multinomial_measure
from moestro.studies.softmax_poisson import poisson_measure
from moestro.studies.starts import near_softmax
from moestro.theory import appearing, hellinger, parameter_errors, voronoi_loss
from moestro.theory.splits import split_classes, split_constant, split_normal

X = np.linspace(-2, 2, 13)[:, None]


def classes(log_weights, gate_slopes, intercepts, slopes):
    return multinomial_measure(
        log_weights=np.array(log_weights), gate_slopes=np.array(gate_slopes), intercepts=intercepts,
        slopes=np.array(slopes),
    )  # fmt: skip


TWO = classes([0.3, 0.0], [[-1.0], [0.0]], [[0.5], [-1.0]], [[[1.5]], [[-2.0]]])
FLAT = classes([0.0], [[0.0]], [[0.5]], [[[0.0]]])
RATES = poisson_measure(
    log_weights=[0.0, 0.0], gate_slopes=[[-1.5], [0.0]], intercepts=[[0.4], [1.5]], slopes=[[[-0.8]], [[0.0]]]
)
GAUSSIAN = MixingMeasure(
    [0.3, 0.0], [[-1.0], [0.0]], [[0.5], [-1.0]], [[[1.5]], [[-2.0]]], np.log([[0.3], [0.5]]), "gaussian"
)


def distance(measure, truth, x, *z):
    rows = np.asarray(hellinger(measure.conditional(x, *z), truth.conditional(x, *z)).rows)
    return np.sqrt((rows**2).mean())


class TestAppearing:
    def test_its_measures_have_the_loss_and_the_distance(self):
        """Slope one in the loss, by the library's own functions."""
        found = appearing(TWO, "multinomial-D1", x=X, box=5)
        gaps = []
        for eps in (1e-4, 1e-5):
            near = found.measure(eps)
            loss = voronoi_loss(near, TWO, "multinomial-D1", gauge="fixed")
            assert loss == pytest.approx(eps, rel=0.05)
            gaps.append(distance(near, TWO, X) / eps)
        assert gaps[1] == pytest.approx(found.constant, rel=0.05)
        assert abs(gaps[1] - found.constant) < abs(gaps[0] - found.constant) + 1e-9

    def test_so_have_those_of_poisson_experts(self):
        found = appearing(RATES, "multinomial-D1", x=X, box=5)
        for eps in (1e-3, 1e-5):
            near = found.measure(eps)
            assert voronoi_loss(near, RATES, "multinomial-D1", gauge="fixed") == pytest.approx(eps, rel=0.01)
            assert distance(near, RATES, X) / eps == pytest.approx(found.constant, rel=0.01)

    def test_a_larger_box_has_a_smaller_constant_down_to_none(self):
        """The numerator stays bounded as the atom goes away: c falls to zero."""
        found = [appearing(TWO, "multinomial-D1", x=X, box=b).constant for b in (5, 80)]
        assert found[1] < found[0] / 10

    def test_no_measure_drawn_at_random_does_better(self):
        rng = np.random.default_rng(0)
        found = appearing(TWO, "multinomial-D1", x=X, box=3)
        for _ in range(100):
            out = TWO.permute([0, 1, 1])
            parts = [np.array(v) for v in (out.log_weights, out.gate_slopes, out.intercepts, out.slopes)]
            parts[0][2] += np.log(1e-3)
            for part in parts[1:]:
                part[2] = rng.uniform(-3, 3, part[2].shape)
            other = classes(*parts)
            loss = voronoi_loss(other, TWO, "multinomial-D1", gauge="fixed")
            assert distance(other, TWO, X) > found.constant * loss

    def test_a_box_that_does_not_hold_the_truth_is_refused(self):
        with pytest.raises(DataError, match="does not hold the truth"):
            appearing(TWO, "multinomial-D1", x=X, box=1.0)
        with pytest.raises(DataError, match="multinomial and Poisson experts"):
            appearing(GAUSSIAN, "softmax-D2", x=X, box=5.0)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"box": None}, "box must be a number above 0, got None"),
            ({"box": np.inf}, "box must be a number above 0, got inf"),
            ({"cells": []}, "a cell is needed"),
            ({"cells": [2]}, "a cell must be a whole number between 0 and 1, got 2"),
            ({"cells": [-1]}, "between 0 and 1, got -1"),
            ({"cells": ["a"]}, "a cell must be a whole number"),
            ({"seed": "a"}, "seed must be a whole number"),
            ({"x": X * np.nan}, "x must hold finite real numbers"),
            ({"x": X[:0]}, "x must hold finite real numbers, at least one"),
            ({"truth": None}, "a mixing measure"),
        ],
    )
    def test_wrong_questions_are_refused(self, change, words):
        with pytest.raises(DataError, match=words):
            appearing(**({"truth": TWO, "loss": "multinomial-D1", "x": X, "box": 5.0} | change))


class TestSplits:
    def test_an_expert_without_slopes_is_any_two_with_its_mean(self):
        truth = multinomial_measure(**_truth(2))
        for t in (0.1, 1e-3):
            other = split_constant(truth, 1, np.array([1.0, -1.0, 0.0]), t)
            assert other.k == 3
            for r in (1.0, 2.0, 4.0):
                assert voronoi_loss(other, truth, "multinomial-D2r", r=r) > 0.1 * t**r
            for z in (X, np.tanh(X), X**3):
                for y in range(3):
                    at = np.full(len(X), y)
                    exact = truth.log_density(X, at, z)
                    np.testing.assert_allclose(other.log_density(X, at, z), exact, rtol=1e-12, atol=1e-12)

    def test_so_are_two_classes_of_equal_slopes(self):
        truth = classes(
            [0.0, 0.0], [[-1.0], [0.0]], [[1.0, 0.5], [-1.0, -2.0]], [[[2.0], [1.0]], [[3.0], [3.0]]]
        )
        other = split_classes(truth, 1, (0, 1), 0.05)
        for y in range(3):
            at = np.full(len(X), y)
            np.testing.assert_allclose(other.log_density(X, at), truth.log_density(X, at), rtol=1e-12)
        assert voronoi_loss(other, truth) > 0.01

    def test_gates_pushed_apart_have_a_distance_of_second_order(self):
        """Along beta_1 +- s with a fixed split, V falls as s^2 once a slope takes up the cross term, and
        D_{2,r} of any r does not fall: V / D_{2,r} tends to zero for every r."""
        truth = multinomial_measure(**_truth(2))
        q = np.array([1.0, -1.0, 0.0])
        p = np.exp(np.append(truth.intercepts[1], 0.0))
        p /= p.sum()
        # The halves' mean is p cosh(s x) + t q sinh(s x). Slopes b in both change it by x A b to first order,
        # A = diag(p) - p p' - t^2 q q', and A b = -s t q for b proportional to q / p.
        t = 0.1
        unit = -t * q / p / (1 - t**2 * (q**2 / p).sum())
        ratios, sizes = [], (0.1, 0.03, 0.01)
        for s in sizes:
            other = split_constant(truth, 1, q, t)
            slopes, gate = np.array(other.slopes), np.array(other.gate_slopes)
            gate[1:, 0] += [s, -s]
            slopes[1:, :, 0] += s * (unit[:-1] - unit[-1])
            ratios.append(distance(replace(other, gate_slopes=gate, slopes=slopes), truth, X))
        slopes_of = np.diff(np.log(ratios)) / np.diff(np.log(sizes))
        np.testing.assert_allclose(slopes_of, 2, atol=0.15)

    def test_two_gaussian_halves_have_three_moments_of_one(self):
        """H = t^4 / (s^4 sqrt 48) of one expert, the loss 2 t^4: slope one, and t of order n^(-1/8)."""
        one = MixingMeasure([0.0], [[0.0]], [[0.3]], [[[1.0]]], np.log([[0.25]]), "gaussian")
        for t in (0.05, 0.02):
            other = split_normal(one, 0, t)
            assert voronoi_loss(other, one) == pytest.approx(2 * t**4)
            assert distance(other, one, X) == pytest.approx(t**4 / (0.25**2 * np.sqrt(48)), rel=0.03)
        located = LocatedMeasure(**{key: np.array(value) for key, value in truth_of(1).items()})
        x = np.linspace(-0.2, 0.7, 9)[:, None]
        near, far = (split_normal(located, 1, t) for t in (0.01, 0.02))
        assert voronoi_loss(far, located) == pytest.approx(16 * voronoi_loss(near, located))
        assert distance(far, located, x) == pytest.approx(16 * distance(near, located, x), rel=0.05)
        for wrong, t, words in ((one, 0.5, "not below"), (TWO, 0.1, "Gaussian experts of one response")):
            with pytest.raises(DataError, match=words):
                split_normal(wrong, 0, t)

    def test_what_is_no_split_is_refused(self):
        truth = multinomial_measure(**_truth(1))
        with pytest.raises(DataError, match="without slopes"):
            split_constant(truth, 0, np.array([1.0, -1.0, 0.0]), 0.1)
        with pytest.raises(DataError, match="slopes differ"):
            split_classes(truth, 0, (0, 1), 0.1)
        with pytest.raises(DataError, match="below zero"):
            split_constant(multinomial_measure(**_truth(2)), 1, np.array([1.0, -1.0, 0.0]), 2.0)
        with pytest.raises(DataError, match="sum zero"):
            split_constant(multinomial_measure(**_truth(2)), 1, np.array([1.0, 1.0, 0.0]), 0.01)

    @pytest.mark.parametrize(
        ("call", "words"),
        [
            (lambda: split_constant(TWO, -1, [1, -1], 0.1), "expert must be a whole number between 0 and 1"),
            (lambda: split_constant(TWO, 2, [1, -1], 0.1), "got 2"),
            (lambda: split_constant(TWO, 0, [1, -1], "a"), "t must be a finite number, got 'a'"),
            (lambda: split_constant(GAUSSIAN, 0, [1, -1], 0.1), "not a multinomial one"),
            (lambda: split_constant(None, 0, [1, -1], 0.1), "is needed, got NoneType"),
            (lambda: split_constant(FLAT, 0, "ab", 0.1), "direction must hold finite real numbers"),
            (lambda: split_constant(FLAT, 0, [np.nan, 1], 0.1), "direction must hold finite real numbers"),
            (lambda: split_classes(TWO, 0, None, 0.1), "a class must be a whole number"),
            (lambda: split_classes(TWO, 0, (0, 1), 0.1), "before the last one"),
            (lambda: split_classes(TWO, 0, (0, 0), 0.1), "two of those"),
            (lambda: split_classes(GAUSSIAN, 0, (0, 1), 0.1), "two of those"),
            (lambda: split_normal(GAUSSIAN, 1.5, 0.1), "expert must be a whole number"),
            (lambda: split_normal(GAUSSIAN, 0, np.nan), "t must be a finite number, got nan"),
            (lambda: split_normal("truth", 0, 0.1), "is needed, got str"),
        ],
    )
    def test_wrong_words_are_refused(self, call, words):
        with pytest.raises(DataError, match=words):
            call()


def test_all_slopes_of_the_first_truth_differ():
    slopes = np.array(REGIMES[1]["slopes"])[:, :, 0]
    for row in slopes:
        assert len({*row.tolist(), 0.0}) == 3


@pytest.mark.parametrize("n", [10**4, 10**10])
def test_counts_are_fitted_to_their_maximum(n):
    """Against least squares on signed roots of deviances, whose sum of squares is the deviance: it is exact
    at any n, where differences of log-likelihoods are lost in rounding."""
    truth = multinomial_measure(**_truth(1))
    x = grid()
    rng = np.random.default_rng(1)
    data = Counts.draw(truth, x, None, n, rng)
    assert data.n == n
    np.testing.assert_allclose(probabilities(truth, x, None).sum(axis=1), 1 / len(x), rtol=1e-9)
    best = maximise_counts(data, [near_softmax(truth, 2, n, rng, False)], 2, truth, box=20.0)
    shapes = [(2,), (2, 1), (2, 2), (2, 2, 1)]
    own = best.measure
    v = np.concatenate([np.ravel(p) for p in (own.log_weights, own.gate_slopes, own.intercepts, own.slopes)])
    rows = data.counts.sum(axis=1, keepdims=True)
    o = data.counts.astype(float)

    def deviances(v):
        parts, start = [], 0
        for shape in shapes:
            size = int(np.prod(shape))
            parts.append(v[start : start + size].reshape(shape))
            start += size
        p = probabilities(classes(parts[0], parts[1], parts[2].tolist(), parts[3]), x, None)
        e = rows * p / p.sum(axis=1, keepdims=True)
        gap = (o - e) / e
        d = 2 * e * np.where(o > 0, (1 + gap) * np.log1p(np.where(o > 0, gap, 0)) - gap, 1.0)
        return (np.sign(o - e) * np.sqrt(np.maximum(d, 0))).ravel()

    here = (deviances(v) ** 2).sum()
    assert abs(here - 2 * len(x)) < 6 * np.sqrt(4 * len(x))  # chi-square of inputs x (classes - 1)
    there = least_squares(deviances, v, method="trf", x_scale="jac", max_nfev=15)
    assert here - 2 * there.cost < 2e-3
    assert best.worst >= voronoi_loss(own, truth)


def test_counts_of_counts_are_fitted_to_their_maximum():
    """The score at the maximum, by differences of the law's own density, is zero."""
    rng = np.random.default_rng(2)
    x, n = grid(1, 21), 10**6
    data = Counts.draw(RATES, x, None, n, rng)
    assert data.n == n
    assert probabilities(RATES, x, None).sum() == pytest.approx(1.0)
    best = maximise_counts(data, [near_softmax(RATES, 2, n, rng, False)], 2, RATES, box=20.0)
    own = best.measure
    parts = ("log_weights", "gate_slopes", "intercepts", "slopes")

    def value(name, at, step):
        moved = np.array(getattr(own, name), dtype=float)
        moved[at] += step
        other = replace(own, **{name: moved})
        logs = np.stack([other.log_density(x, np.full(len(x), y)) for y in data.y], axis=1)
        return (data.counts * logs).sum() / n

    for name in parts:
        for at in np.ndindex(*getattr(own, name).shape):
            assert abs(value(name, at, 1e-4) - value(name, at, -1e-4)) / 2e-4 < 1e-6
    assert best.loss < 0.05


def test_the_root_mean_square_counts_far_atoms_as_the_loss_does():
    near = TWO.permute([0, 1, 1])
    parts = [np.array(v) for v in (near.log_weights, near.gate_slopes, near.intercepts, near.slopes)]
    parts[0][2] += np.log(1e-4)
    parts[2][2] += 3.0
    far = classes(*parts)
    mean, root = (parameter_errors(far, TWO, power)["intercepts_over"] for power in (1.0, 2.0))
    share = 1e-4 / (1 + 1e-4)
    assert mean == pytest.approx(3 * share)
    assert root == pytest.approx(3 * np.sqrt(share))
    assert columns("cube", X)[0, 0] == X[0, 0] ** 3
