"""Skew t experts: their limits, mpmath, R's sn, and a law whose slant has no finite estimate."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, stats

from moestro import DataError, MoERegressor
from moestro.experts import SkewT, Student
from moestro.experts.skew_t import Half

SN = json.loads((Path(__file__).parent / "witness" / "skew_t.json").read_text())
LAW = SkewT()
Y = np.array([-40.0, -3.0, -0.2, 0.4, 1.0, 7.0])

# (m, s, ln T_m(s sqrt(m)) and its derivatives in s, m, s s, s m, m m) of mpmath with 50 digits
MPMATH = [
    (2.0, -3.0, (-3.662886186289035, 0.61622776601683793, -1.3379132583355779, 0.17486832980505138,
                 0.30409209176825788, 0.069236703356484512)),
    (2.5, 0.4, (-0.34257648512270211, 0.62147925260902901, 0.063192227563559157, -1.1362976283654089,
                0.062185688415328298, -0.022376775219062087)),
    (6.0, -0.2, (-1.1369341069784423, 2.5475270130425861, -0.046830353157924685, -3.060530595393584,
                 0.29909533697833946, 0.0028802343751742468)),
    (9.0, 4.0, (-3.8499438525961143e-7, 8.1987494148275197e-7, 5.6539840273283737e-7,
                -1.9291181815661008e-6, -1.11337694299133e-6, -8.324183008902192e-7)),
    (31.0, -60.0, (-129.57285118898323, 0.51652753577469572, -4.1103521984056583, 0.0086041558521732463,
                   0.01666204682457846, 0.00050350972301238763)),
    (201.0, 0.01, (-0.586447696753881, 10.052469709773154, 0.00025069599457750779, -121.35610568380673,
                   0.022045634876215213, -7.0054798367152764e-7)),
    (201.0, -0.7, (-43.102586727932734, 95.360911053071928, -0.20182219414639635, -44.016898546814886,
                   0.46992753124676859, 1.1859276407634372e-5)),
]  # fmt: skip


def eta(location=0.3, scale=1.5, slant=0.0, nu=5.0):
    return np.array([location, 2 * np.log(scale), slant, np.log(nu)])


@pytest.mark.parametrize(("m", "s", "known"), MPMATH)
def test_the_half_and_its_derivatives_are_mpmaths(m, s, known):
    q = Half.of(np.array(s), np.array(m))
    ours = np.array([q.value, q.s, q.m, q.ss, q.sm, q.mm])
    # differences of digammas of size one leave 1e-16 of a derivative in m
    np.testing.assert_allclose(ours, known, rtol=1e-10, atol=2e-15)
    np.testing.assert_allclose(ours[:2], known[:2], rtol=1e-11)


def test_no_slant_is_students_law():
    own, t = np.tile(eta(), (6, 1)), [0, 1, 3]
    np.testing.assert_allclose(LAW.log_density(own, Y), Student().log_density(own[:, t], Y), rtol=1e-12)
    np.testing.assert_allclose(LAW.score(own, Y)[:, t], Student().score(own[:, t], Y), rtol=1e-11)
    of_t = LAW.curvature(own, Y)[np.ix_(range(6), t, t)]
    np.testing.assert_allclose(of_t, Student().curvature(own[:, t], Y), rtol=1e-10, atol=1e-13)
    of_t = LAW.information(own)[np.ix_(range(6), t, t)]
    np.testing.assert_allclose(of_t, Student().information(own[:, t]), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(LAW.cdf(own, Y), Student().cdf(own[:, t], Y), rtol=1e-11)


@pytest.mark.parametrize("slant", [-4.0, 0.0, 1.3])
def test_many_degrees_of_freedom_are_the_skew_normal_law(slant):
    """Gaussian without a slant; the difference is of order 1 / nu."""
    own, y = np.tile(eta(slant=slant, nu=1e7), (5, 1)), Y[1:]
    known = stats.skewnorm(slant, 0.3, 1.5)
    near = known.logpdf(y) > -20  # the difference grows with the fourth power of y
    np.testing.assert_allclose(LAW.log_density(own, y)[near], known.logpdf(y)[near], atol=1e-4)
    np.testing.assert_allclose(LAW.cdf(own, y), known.cdf(y), atol=1e-6)
    assert LAW.mean(own)[0] == pytest.approx(known.mean(), rel=1e-6)
    assert LAW.variance(own)[0] == pytest.approx(known.var(), rel=1e-6)


@pytest.mark.parametrize(("slant", "nu"), [(2.0, 3.2), pytest.param(-60.0, 40.0, marks=pytest.mark.slow)])
def test_moments_and_distribution_are_those_of_the_density(slant, nu):
    own = eta(slant=slant, nu=nu)
    edge = [0.3 + np.sign(slant) * b for b in (-0.1, 0.0, 0.1)]

    def integral(f, low=-np.inf, high=np.inf):
        ends = [low, *sorted(e for e in edge if low < e < high), high]
        return sum(
            integrate.quad(
                lambda y: f(y) * np.exp(LAW.log_density(own, np.array(y))), a, b, epsabs=1e-13, limit=400
            )[0]
            for a, b in pairwise(ends)
        )

    mean = integral(lambda y: y)
    assert integral(lambda y: 1.0) == pytest.approx(1, rel=1e-10)
    assert LAW.mean(own) == pytest.approx(mean, rel=1e-7)
    assert LAW.variance(own) == pytest.approx(integral(lambda y: (y - mean) ** 2), rel=1e-4)
    for y in (-3.0, 1.0):
        assert LAW.cdf(own, np.array(y)) == pytest.approx(integral(lambda _: 1.0, high=y), abs=1e-9)


def test_what_does_not_exist_is_said():
    one, between = eta(slant=1.0, nu=1.0), eta(slant=1.0, nu=1.7)
    assert np.isnan(LAW.mean(one))
    assert np.isfinite(LAW.mean(between))
    assert np.isinf([LAW.variance(one), LAW.variance(between)]).all()


def test_density_and_distribution_are_those_of_sn():
    y, slant, nu = (np.array(SN["grid"][n]) for n in ("y", "slant", "nu"))
    own = np.column_stack([np.full(len(y), 0.5), np.full(len(y), 2 * np.log(2)), slant, np.log(nu)])
    np.testing.assert_allclose(LAW.log_density(own, y), SN["density"], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(LAW.cdf(own, y), SN["cdf"], atol=1e-6)  # sn integrates to 1e-6


@pytest.mark.parametrize(
    ("name", "data", "formula"),
    [
        ("athletes", "ais", "BMI ~ LBM + Ht"),
        ("fat", "ais", "Bfat ~ BMI + LBM"),
        ("bottles", "wines", "alcohol ~ glycerol + sugar"),
    ],
)
def test_one_expert_is_selm_of_sn(name, data, formula):
    columns, known = ({n: np.array(v) for n, v in SN[data].items()}, SN[name])
    moe = MoERegressor(1, formula=formula, family="skew-t").fit(columns)
    location = [v for n, v in known["dp"].items() if n not in ("omega", "alpha", "nu")]
    found = [moe.measure_.intercepts[0, 0], *moe.measure_.slopes[0, 0]]
    scale2, slant, log_nu = moe.measure_.nuisances[0]
    if known["dp"]["nu"] < 200:
        assert moe.log_likelihood_ == pytest.approx(known["logLik"], abs=1e-5)
        np.testing.assert_allclose(found, location, rtol=2e-3)
        own = [np.exp(scale2 / 2), slant, np.exp(log_nu)]
        np.testing.assert_allclose(own, [known["dp"][n] for n in ("omega", "alpha", "nu")], rtol=5e-3)
    else:  # sn's degrees of freedom run to a million, and ours end at two hundred
        assert "tails of a skew normal law" in str(moe.status_)
        assert known["logLik"] - 0.5 < moe.log_likelihood_ < known["logLik"] + 1e-6


def test_numbers_on_one_side_of_a_line_are_half_a_t_law():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(300)
    moe = MoERegressor(1, family="skew-t").fit(x[:, None], x - np.abs(rng.standard_t(6, 300)))
    assert "the left half of a t law" in str(moe.status_)
    assert moe.status_.usable


def test_a_constant_response_is_refused():
    with pytest.raises(DataError, match="constant"):
        MoERegressor(1, family="skew-t").fit(np.arange(4.0)[:, None], np.ones(4))
