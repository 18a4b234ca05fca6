"""More cases that broke a promise once: what is held, and searches that were long."""

import numpy as np

from fuzz.cases import Case
from fuzz.dress import frame
from fuzz.once import ONCE, made, once
from moestro import LocatedMoERegressor, MoERegressor

__all__ = ["ONCE"]


@once
def one_expert_whose_every_parameter_is_held() -> Case:
    r = np.random.default_rng(30)
    words = {"n_experts": 1, "family": "truncated-poisson", "expert_features": [], "top_k": 2}
    words |= {"gate_features": [], "fixed": {"(intercept)": 0.0}}
    return made(MoERegressor, words, r.normal(size=(4, 1)), 1.0 + r.poisson(2, 4))


@once
def two_experts_whose_every_parameter_is_held() -> Case:
    r = np.random.default_rng(31)
    words = {"n_experts": 2, "n_starts": 1, "family": "poisson", "expert_features": [], "gate_features": []}
    words |= {"fixed": {"(intercept)": 0.0, "gate:1:(intercept)": 0.0}}
    return made(MoERegressor, words, r.normal(size=(30, 1)), r.poisson(2, 30).astype(float))


@once
def slopes_of_a_column_of_1e_161_seen_from_the_response() -> Case:
    r = np.random.default_rng(32)
    words = {"n_experts": 1, "n_starts": 1, "direction": "inverse"}
    return made(LocatedMoERegressor, words, 1e-161 * r.normal(size=(60, 1)), r.normal(size=(60, 2)))


@once
def cubes_of_a_column_of_1e150_beside_weights_of_zero() -> Case:
    r = np.random.default_rng(33)
    x, w = r.choice([-6e149, -7e149, 8e149], (9, 1)), (np.arange(9) % 3 > 0).astype(float)
    words = {"n_experts": 1, "n_starts": 1, "degree": 3, "gate_covariance": "isotropic", "gate_tied": True}
    return made(LocatedMoERegressor, words, x, r.normal(size=9), given={"sample_weight": w})


@once
def offsets_of_millions_that_leave_no_start_of_counts() -> Case:
    r = np.random.default_rng(34)
    words = {"n_experts": 3, "n_starts": 3, "family": ["zero", "negative-binomial", "poisson"], "max_iter": 1}
    given = {"offset": 1e6 * r.normal(size=100)}
    return made(MoERegressor, words, r.normal(size=(100, 1)), r.poisson(1.0, 100) * 1.0, given=given)


@once
def one_column_of_responses_where_values_may_be_missing() -> Case:
    r = np.random.default_rng(35)
    words = {"n_experts": 1, "n_starts": 1, "missing": "marginal"}
    return made(LocatedMoERegressor, words, r.normal(size=(40, 1)), r.normal(size=(40, 1)))


@once
def offsets_of_millions_beside_groups_of_counts() -> Case:
    r = np.random.default_rng(36)
    words = {"n_experts": 3, "n_starts": 1, "max_iter": 1, "family": "truncated-poisson", "gate_features": []}
    given = {"groups": r.integers(0, 25, 100), "offset": 1e6 * r.normal(size=100)}
    return made(MoERegressor, words, r.normal(size=(100, 3)), 1.0 + r.poisson(2, 100), given=given)


@once
def a_common_intercept_of_billions_in_a_file() -> Case:
    x = 1e9 - np.array([1.0, 1, 0, 2, 0, 0, 1])
    y = np.array([-2.98712084, 2.71086747, 2.72512932, -3.00005358, 3.40965806, -3.17955634, 2.89537212])
    words = {"n_experts": 3, "n_starts": 1, "common": ["(intercept)"]}
    return made(MoERegressor, words, x[:, None], y, given={"partial": np.array([1, 1, 1, 2, 2, 2, 1])})


@once
def means_of_long_doubles_in_a_file() -> Case:
    r = np.random.default_rng(37)
    X = frame(r.normal(size=(13, 2)).astype(np.longdouble))
    words = {"n_experts": 2, "n_starts": 1, "formula": "y ~ scale(c1) | 1", "max_iter": 5}
    return made(MoERegressor, words, X, r.normal(size=13))


@once
def densities_beyond_what_the_sums_hold() -> Case:
    y = 10.0 ** -np.array([297.0, 306, 306, 301, 305, 302, 292, 301, 303])
    words = {"n_experts": 1, "n_starts": 1, "family": "inverse-gaussian"}
    return made(MoERegressor, words, np.ones((9, 1)), y)


@once
def standard_errors_in_units_of_1e150() -> Case:
    r = np.random.default_rng(38)
    X = r.normal(size=(8, 2)) * [1e150, 1e-8]
    words = {"n_experts": 1, "covariance": "diagonal", "student": True, "max_iter": 1}
    return made(LocatedMoERegressor, words, X, 2 * r.normal(size=(8, 2)), inference={"cov": "sandwich"})
