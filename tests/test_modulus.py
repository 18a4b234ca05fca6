"""The modulus of a loss: closed forms of one atom, exact splits, the powers that the theorems state."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from moestro import MixingMeasure
from moestro.errors import DataError
from moestro.studies.top_k import TWO_OF_THREE
from moestro.theory import Modulus, hellinger, modulus, voronoi_loss

X = np.linspace(-2, 2, 9)[:, None]
NOTHING = np.zeros((1, 0))


def classes(log_weights, gate_slopes, intercepts, slopes):
    k, m = np.shape(intercepts)
    return MixingMeasure(
        log_weights,
        gate_slopes,
        intercepts,
        slopes,
        np.zeros((k, 0)),
        "multinomial",
        classes=tuple(range(m + 1)),
    )


def test_one_logistic_expert_has_a_closed_form():
    truth = classes([0.0], np.zeros((1, 0)), [[0.7]], np.zeros((1, 1, 0)))

    def distance(a):
        p, q = (np.array([expit(v), expit(-v)]) for v in (0.7, a))
        return np.sqrt(0.5 * ((np.sqrt(p) - np.sqrt(q)) ** 2).sum())

    found = modulus(truth, 1, "multinomial-D1", [0.1, 0.01, 0.001], x=NOTHING, starts=3)
    exact = [min(distance(0.7 + e), distance(0.7 - e)) for e in found.eps]
    np.testing.assert_allclose(found.distance, exact, rtol=1e-8)
    # h^2 = p (1 - p) eps^2 / 8 for small eps
    assert found.constant == pytest.approx(np.sqrt(expit(0.7) * expit(-0.7) / 8), rel=0.01)
    assert found.slope == pytest.approx(1, abs=0.01)
    assert found.asymptotic_from == pytest.approx(exact[0] ** -2)


def test_one_gaussian_expert_against_every_direction():
    truth = MixingMeasure([0.0], np.zeros((1, 0)), [[0.3]], np.zeros((1, 1, 0)), np.log([[0.5]]), "gaussian")
    found = modulus(truth, 1, "softmax-D1", 0.05, x=NOTHING, starts=4)
    angle = np.linspace(0, 2 * np.pi, 20_001)
    gap, v = 0.05 * np.cos(angle), 0.5 + 0.05 * np.sin(angle)
    overlap = np.sqrt(2 * np.sqrt(0.5 * v) / (0.5 + v)) * np.exp(-(gap**2) / (4 * (0.5 + v)))
    assert found.distance[0] == pytest.approx(np.sqrt(1 - overlap).min(), rel=1e-4)


TWO = classes([0.3, 0.0], [[-1.0], [0.0]], [[0.5], [-1.0]], [[[1.5]], [[-2.0]]])


def rates_of(log_weights, gate_slopes, intercepts, slopes):
    return MixingMeasure(
        log_weights, gate_slopes, intercepts, slopes, np.zeros((len(log_weights), 0)), "poisson"
    )


def agrees(found, name, x, r=None, truth=TWO):
    """Losses and distances of the measures found, by the library's own functions."""
    for eps, distance, measure in zip(found.eps, found.distance, found.measures, strict=True):
        assert voronoi_loss(measure, truth, name, r=r, gauge="fixed") == pytest.approx(eps, rel=1e-6)
        rows = hellinger(measure.conditional(x), truth.conditional(x)).rows
        assert np.sqrt((rows**2).mean()) == pytest.approx(distance, rel=1e-3, abs=1e-8)


def test_one_poisson_expert_has_a_closed_form():
    truth = rates_of([0.0], np.zeros((1, 0)), [[0.7]], np.zeros((1, 1, 0)))
    found = modulus(truth, 1, "multinomial-D1", [0.1, 0.01, 0.001], x=NOTHING, starts=8)
    # h^2 = 1 - exp(-(sqrt a - sqrt b)^2 / 2) of rates a and b
    exact = [np.sqrt(-np.expm1(-0.5 * (np.exp(0.35) - np.exp(0.35 - e / 2)) ** 2)) for e in found.eps]
    np.testing.assert_allclose(found.distance, exact, rtol=1e-8)
    assert found.slope == pytest.approx(1, abs=0.02)


def test_poisson_experts_have_the_distance_of_the_library():
    truth = rates_of([0.3, 0.0], [[-1.5], [0.0]], [[0.4], [1.5]], [[[-0.8]], [[0.4]]])
    x = np.linspace(-2, 2, 13)[:, None]
    found = modulus(truth, 2, "multinomial-D1", [0.1, 0.03, 0.01], x=x, starts=2)
    agrees(found, "multinomial-D1", x, truth=truth)
    assert found.slope == pytest.approx(1, abs=0.05)
    with pytest.raises(DataError, match="too large to sum over counts"):
        modulus(replace(truth, intercepts=truth.intercepts + 11), 2, "multinomial-D1", 0.1, x=0 * x)


def test_a_sparse_gate_has_the_distance_of_the_library():
    parts = {name: value for name, value in TWO_OF_THREE.items() if name != "variances"}
    truth = MixingMeasure(
        **parts,
        nuisances=np.log(TWO_OF_THREE["variances"])[:, None],
        family="gaussian",
        gate="top-k",
        gate_options={"top_k": 2, "rank_on": "score"},
    )
    x = np.linspace(-1, 1, 10)[:, None]
    found = modulus(truth, 3, "softmax-D1", [0.1, 0.01], x=x, starts=2)
    agrees(found, "softmax-D1", x, truth=truth)
    assert found.slope == pytest.approx(1, abs=0.05)
    with pytest.raises(DataError, match=r"a top-K gate and k = k\*"):
        modulus(truth, 4, "softmax-D1", 0.1, x=x, box=9.0)


def test_exact_atoms_have_the_power_of_the_theorem():
    """Slope one in D1, whose exact atoms have no powers."""
    x = np.linspace(-2, 2, 13)[:, None]
    right = modulus(TWO, 2, "multinomial-D1", [0.1, 0.03, 0.01], x=x, starts=2)
    assert right.slope == pytest.approx(1, abs=0.05)
    agrees(right, "multinomial-D1", x)
    # No measure drawn at random does better.
    rng = np.random.default_rng(0)
    for _ in range(100):
        parts = (TWO.log_weights, TWO.gate_slopes, TWO.intercepts, TWO.slopes)
        near = classes(*(v + 0.003 * rng.standard_normal(v.shape) for v in parts))
        loss = voronoi_loss(near, TWO, "multinomial-D1", gauge="fixed")
        rows = hellinger(near.conditional(x), TWO.conditional(x)).rows
        assert np.sqrt((rows**2).mean()) > 0.9 * right.constant * loss


@pytest.mark.slow
def test_over_fitted_atoms_without_squares_have_twice_the_power():
    """D2r with r = 1 has no squares where two atoms cover one, where D1 has: slope two."""
    x = np.linspace(-2, 2, 25)[:, None]
    wrong = modulus(TWO, 3, "multinomial-D2r", [0.1, 0.03], x=x, r=1.0, box=20, starts=2)
    assert wrong.identified
    agrees(wrong, "multinomial-D2r", x, 1.0)
    assert wrong.slope == pytest.approx(2, abs=0.2)


def test_identical_experts_make_the_gate_irrelevant():
    truth = classes([0.0], [[0.0]], [[0.5]], [[[1.5]]])
    other = classes([0.3, 0.0], [[0.7], [-0.4]], [[0.5], [0.5]], [[[1.5]], [[1.5]]])
    for y in (0, 1):
        rows = np.full(len(X), y)
        np.testing.assert_allclose(other.log_density(X, rows), truth.log_density(X, rows), rtol=1e-12)
    loss = voronoi_loss(other, truth, "multinomial-D1", gauge="fixed")
    found = Modulus(np.array([loss]), np.array([0.0]), (other,), np.nan, np.nan, np.inf)
    assert not found.identified
    assert "has the density of the truth" in str(found)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"loss": "top-k-D1"}, "softmax gates"),
        ({"loss": "softmax-D2"}, "not a loss of this model"),
        ({"loss": "multinomial-D2r"}, "power r"),
        ({"k": 1}, "below the 2 atoms"),
        ({"eps": 0.0}, "positive"),
        ({"eps": 1e3}, "lower eps"),
        ({"x": np.zeros((3, 2))}, "columns"),
        ({"k": 3}, "needs a box"),
        ({"k": 3, "box": 1.0}, "needs a box"),
        ({"k": "2"}, "k must be a whole number"),
        ({"box": np.nan}, "box must be a number above 0, got nan"),
        ({"box": "a"}, "box must be a number above 0"),
        ({"r": 2.0}, "has no power r: leave it out"),
        ({"loss": "multinomial-D2r", "r": np.nan}, "the power r must be a number of at least 1"),
        ({"loss": ["multinomial-D1"]}, "softmax gates"),
        ({"x": X * np.nan}, "x must hold finite real numbers"),
        ({"x": X[:0]}, "x must hold finite real numbers, at least one"),
        ({"x": "abc"}, "x must hold finite real numbers"),
        ({"x": None}, "x must hold finite real numbers"),
        ({"z": X * 1j}, "z must hold finite real numbers"),
        ({"eps": "a"}, "eps must hold finite real numbers"),
        ({"eps": []}, "eps must hold finite real numbers, at least one"),
        ({"eps": [0.1, 0.1]}, "asked for once"),
        ({"starts": 1.5}, "starts must be a whole number"),
        ({"starts": 0}, "starts must be a whole number of at least 1"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"seed": "a"}, "seed must be a whole number"),
        ({"truth": None}, "a mixing measure"),
    ],
)
def test_wrong_questions_are_refused(change, words):
    truth = classes([0.0, 0.0], [[-1.0], [0.0]], [[1.0], [-1.0]], [[[2.0]], [[-1.0]]])
    words_of = {"truth": truth, "k": 2, "loss": "multinomial-D1", "eps": 0.1, "x": X, "starts": 1} | change
    with pytest.raises(DataError, match=words):
        modulus(**words_of)
