"""The infimum of a loss over translations, against brute force, near the truth and far from it."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from moestro import MixingMeasure
from moestro.theory import voronoi_loss

EXPONENTS = {1: 1, 2: 4, 3: 6, 4: 7}
TRUTH = MixingMeasure(
    [-8, 0], [[25], [0]], [[15], [-5]], [[[-20]], [[20]]], np.log([[0.09], [0.16]]), "gaussian"
)


def random_measure(k, seed, spread, columns=1, centre=None):
    """k Gaussian atoms, `spread` around the atoms of `centre` in turn, or around zero."""
    rng = np.random.default_rng(seed)
    at = None if centre is None else np.arange(k) % centre.k

    def around(name, shape):
        base = 0.0 if centre is None else getattr(centre, name)[at]
        return base + spread * rng.standard_normal(shape)

    return MixingMeasure(
        around("log_weights", k), around("gate_slopes", (k, columns)), around("intercepts", (k, 1)),
        around("slopes", (k, 1, 1)), 0.3 * around("nuisances", (k, 1)), "gaussian",
    )  # fmt: skip


def loss_by_hand(measure, truth, s, t2, top_k=None):
    """softmax-D2 or top-k-D2, atom by atom: weights of sum one, s the factors of the truth's, t2 added to its
    beta_1."""
    w, true = (np.exp(m.log_weights) / np.exp(m.log_weights).sum() for m in (measure, truth))
    parts = [
        (m.gate_slopes, m.intercepts[:, 0], m.slopes[:, 0, 0], np.exp(m.nuisances[:, 0]))
        for m in (measure, truth)
    ]
    atoms, goals = range(measure.k), range(truth.k)

    def gap(i, j):
        beta = float(np.linalg.norm(parts[0][0][i] - parts[1][0][j] - t2))
        return beta, *(float(parts[0][n][i] - parts[1][n][j]) for n in (1, 2, 3))

    cell = [min(goals, key=lambda j: sum(v * v for v in gap(i, j))) for i in atoms]
    each = [np.abs(sum(w[i] for i in atoms if cell[i] == j) - np.asarray(s) * true[j]) for j in goals]
    for i, j in enumerate(cell):
        beta, b, a, v = gap(i, j)
        m = cell.count(j)
        r = EXPONENTS[m]
        if top_k is None:
            whole = np.sqrt(beta**2 + b**2 + a**2 + v**2)
            split = np.hypot(beta, b) ** r + np.hypot(a, v) ** (r / 2)
        else:
            whole = beta + abs(b) + abs(a) + abs(v)
            split = beta**r + abs(b) ** r + abs(a) ** (r / 2) + abs(v) ** (r / 2)
        each[j] = each[j] + w[i] * (whole if m == 1 else split)
    if top_k is None:
        return sum(each)
    return np.max([sum(chosen) for chosen in combinations(each, top_k)], axis=0)


def smallest(measure, truth, low, high, top_k=None):
    """The infimum by a grid of s and t2 (one gate column), its best place refined."""
    factors, shifts = np.linspace(0.0, 3.0, 301), np.linspace(low, high, 400)
    best, at, width = np.inf, (1.0, 0.0), (0.01, (high - low) / 399)
    for _ in range(4):
        for t in shifts:
            values = loss_by_hand(measure, truth, factors, t, top_k)
            if values.min() < best:
                best, at = float(values.min()), (factors[values.argmin()], t)
        factors = np.clip(np.linspace(at[0] - width[0], at[0] + width[0], 41), 0, None)
        shifts = np.linspace(at[1] - width[1], at[1] + width[1], 17)
        width = (width[0] / 20, width[1] / 8)
    return best


@pytest.mark.parametrize("spread", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("seed", range(2))
def test_the_infimum_is_that_of_brute_force(seed, spread):
    truth = random_measure(2, seed, 2.0)
    k = 2 + seed
    fit = random_measure(k, 100 + seed, spread, centre=truth)
    reach = 2 + 3 * spread + 4 * float(np.ptp(truth.gate_slopes))
    found = voronoi_loss(fit, truth, "softmax-D2")
    brute = smallest(fit, truth, -reach, reach)
    assert found <= brute * (1 + 1e-9)
    assert found >= brute * (1 - 0.02)


def test_the_largest_subset_of_a_sparse_gate():
    truth = replace(random_measure(3, 5, 2.0), gate="top-k", gate_options={"top_k": 2})
    fit = random_measure(3, 6, 0.5, centre=truth)
    fit = replace(fit, gate="top-k", gate_options={"top_k": 2})
    found, brute = voronoi_loss(fit, truth), smallest(fit, truth, -15, 15, top_k=2)
    assert brute * (1 - 0.02) <= found <= brute * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(2))
def test_several_gate_columns(seed):
    truth = random_measure(2, seed, 2.0, columns=2)
    fit = random_measure(3, 50 + seed, 0.5, columns=2, centre=truth)
    rng = np.random.default_rng(seed)
    found = voronoi_loss(fit, truth)
    # Random shifts, the best of them refined: none may be below.
    best, at = np.inf, np.zeros(2)
    for width in (3.0, 0.5, 0.1, 0.02, 0.004):
        for t2 in at + width * rng.standard_normal((200, 2)):
            value = loss_by_hand(fit, truth, np.linspace(0, 3, 1501), t2).min()
            if value < best:
                best, at = value, t2
    assert found <= best * (1 + 1e-6)
    assert found >= best * (1 - 0.02)


@pytest.mark.parametrize("gauge", ["inf", "fixed"])
def test_translations_of_either_measure_change_nothing(gauge):
    far = MixingMeasure(
        [-8, 0, -3], [[25], [0], [40]], [[15], [-5], [3]], [[[-20]], [[20]], [[-8]]],
        np.log([[0.09], [0.16], [0.5]]), "gaussian",
    )  # fmt: skip
    value = voronoi_loss(far, TRUTH, "softmax-D2", gauge=gauge)
    # No translation bounds it: the third atom is 15 away in beta_1, with a weight of 0.05.
    assert value > 100
    moved = [(far.translate(-9.0, 4.0), TRUTH), (far, TRUTH.translate(3.0, -2.0))]
    moved.append((far.translate(50.0, -7.0), TRUTH.translate(-20.0, 11.0)))
    for fit, truth in moved:
        assert voronoi_loss(fit, truth, "softmax-D2", gauge=gauge) == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize("part", ["log_weights", "gate_slopes", "intercepts", "slopes", "nuisances"])
def test_zero_only_at_equality(part):
    value = np.array(getattr(TRUTH, part))
    value[0] += 0.1
    assert voronoi_loss(replace(TRUTH, **{part: value}), TRUTH) > 1e-6
    assert voronoi_loss(TRUTH.translate(0.3, 0.7), TRUTH.translate(-4.0, 0.1)) == pytest.approx(
        0.0, abs=1e-12
    )
