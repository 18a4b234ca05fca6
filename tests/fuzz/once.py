"""Cases that broke a promise once, each mended at its cause and written out, so that no change of the
generator loses it."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fuzz.cases import Case
from fuzz.dress import frame
from moestro import LocatedMoERegressor, MoEClassifier, MoEClassifierCV, MoERegressor

ONCE: dict[str, Callable[[], Case]] = {}


def once(make: Callable[[], Case]) -> Callable[[], Case]:
    """List a case."""
    ONCE[make.__name__] = make
    return make


def made(estimator, words, X, y, **more) -> Case:
    """The case, with other rows of the same columns."""
    return Case(estimator, {"random_state": 0, **words}, X, y, np.asarray(X)[:3] / 1.5, **more)


@once
def student_tails_of_squares_of_numbers_of_1e150() -> Case:
    r = np.random.default_rng(1)
    X = np.column_stack([r.normal(size=40) * 1e150, r.standard_cauchy(40) ** 3])
    words = {"n_experts": 2, "n_starts": 1, "degree": 2, "student": True, "max_iter": 60}
    w = (r.random(40) < 0.8).astype(float)
    return made(LocatedMoERegressor, words, X, r.normal(size=40), given={"sample_weight": w})


@once
def equal_rows_of_tiny_weights_seen_from_the_response() -> Case:
    r = np.random.default_rng(2)
    x = r.choice(r.normal(size=20), (60, 1))
    words = {"n_experts": 2, "n_starts": 2, "tied": True, "direction": "inverse"}
    y = 0.5 * x[:, 0] + 1.1 + 0.1 * r.normal(size=60)
    return made(LocatedMoERegressor, words, x, y, given={"sample_weight": np.full(60, 1e-12)})


@once
def columns_of_sixteen_magnitudes_under_an_activated_gate() -> Case:
    r = np.random.default_rng(3)
    X = r.normal(size=(40, 6))
    X[:, 2] += 1e6
    X[:, 4] = 1e-30
    X[:, 5] = X[:, 0]
    words = {"n_experts": 2, "gate": "activated-temperature"}
    return made(MoEClassifier, words, X, np.arange(40))


@once
def columns_that_hardly_vary_under_an_activated_gate() -> Case:
    r = np.random.default_rng(9)
    X = np.column_stack([1 + 5e-13 * r.normal(size=40), 1e9 + 2e3 * r.normal(size=40), r.normal(size=40)])
    words = {"n_experts": 2, "n_starts": 3, "gate": "activated-temperature"}
    return made(MoERegressor, words, X, np.where(r.random(40) < 0.5, -3.0, 3.0) + 0.1 * r.normal(size=40))


@once
def weights_of_1e_12_under_a_perturbed_cosine() -> Case:
    r = np.random.default_rng(4)
    words = {"n_experts": 2, "gate": "perturbed-cosine", "max_iter": 60}
    w = np.full(40, 1e-12)
    return made(MoEClassifier, words, r.normal(size=(40, 1)), np.arange(40), given={"sample_weight": w})


@once
def a_coefficient_held_at_1e300() -> Case:
    r = np.random.default_rng(5)
    words = {"n_experts": 1, "gate": "sigmoid", "family": "inverse-gaussian", "fixed": {"x0": 1e300}}
    return made(
        MoERegressor, words, r.normal(size=(20, 3)), r.gamma(2.0, 1.0, 20), inference={"cov": "sandwich"}
    )


@once
def gaps_in_more_columns_than_a_line_names() -> Case:
    return made(MoEClassifier, {"n_experts": 1}, np.full((2, 12), np.nan), np.arange(2))


@once
def columns_of_1e300_in_a_file() -> Case:
    r = np.random.default_rng(6)
    X = frame(r.normal(size=(30, 1)) * 1e300)
    return made(MoERegressor, {"n_starts": 1, "n_experts": 1}, X, r.normal(size=30), place="csv")


@once
def the_cube_of_other_rows_far_away() -> Case:
    r = np.random.default_rng(7)
    words = {"n_experts": 1, "gate_transform": "cube"}
    case = made(MoERegressor, words, r.normal(size=(30, 1)), r.normal(size=30))
    return replace(case, new=np.array([[1e200]]))


@once
def limits_far_below_other_rows() -> Case:
    r = np.random.default_rng(8)
    X = r.normal(size=(30, 1))
    y = np.clip(X[:, 0] + r.normal(size=30), 0.0, None)
    case = made(MoERegressor, {"n_experts": 1, "family": "censored[0:]"}, X, y)
    return replace(case, new=np.array([[1e200], [-1e200]]))


@once
def offsets_of_millions_under_a_complementary_log_log() -> Case:
    r = np.random.default_rng(10)
    trials = r.integers(10**8, 10**9, 30).astype(float)
    y = np.column_stack([np.floor(trials * r.random(30)), trials])
    words = {"n_experts": 1, "family": "binomial-cloglog", "common": ["x0", "x1"]}
    return made(MoERegressor, words, r.normal(size=(30, 2)), y, given={"offset": 1e6 * r.normal(size=30)})


@once
def no_weight_at_all_in_a_file() -> Case:
    r = np.random.default_rng(11)
    given = {"sample_weight": np.zeros(30)}
    X = frame(r.normal(size=(30, 2)))
    return made(MoERegressor, {"n_experts": 1}, X, r.normal(size=30), given=given, place="csv")


@once
def weights_of_1e_300_and_columns_of_1e150_in_a_file() -> Case:
    r = np.random.default_rng(12)
    given = {"sample_weight": np.full(30, 1e-300)}
    X = frame(r.normal(size=(30, 2)) * 1e155)
    return made(MoERegressor, {"n_experts": 1}, X, r.normal(size=30), given=given, place="csv")


@once
def predictions_of_rows_without_an_offset() -> Case:
    r = np.random.default_rng(13)
    words = {"n_experts": 1, "missing": "drop", "n_starts": 1}
    offset = np.append(np.nan, np.zeros(29))
    return made(MoERegressor, words, r.normal(size=(30, 1)), r.normal(size=30), given={"offset": offset})


@once
def a_shared_covariance_with_blocks_that_are_learned() -> Case:
    r = np.random.default_rng(14)
    y = r.normal(size=(40, 3)) @ [[1.0, 0.6, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    words = {"n_experts": 2, "n_starts": 2, "covariance": "blocks", "tied": True}
    return made(LocatedMoERegressor, words, r.normal(size=(40, 1)), y, inference={"cov": "sandwich"})


@once
def a_jackknife_of_one_group() -> Case:
    r = np.random.default_rng(15)
    given = {"groups": np.zeros(12, dtype=int)}
    words = {"n_experts": 1, "n_starts": 1}
    X, y = r.normal(size=(12, 1)), r.normal(size=12)
    return made(MoERegressor, words, X, y, given=given, inference={"cov": "jackknife"})


@once
def a_level_that_is_not_among_sixty() -> Case:
    X = frame(np.array([[f"place {i % 30} of a name" for i in range(60)]], dtype=object).T)
    y = np.random.default_rng(16).normal(size=60)
    new = np.array([["elsewhere"]], dtype=object)
    return Case(MoERegressor, {"random_state": 0, "n_experts": 1}, X, y, new)


@once
def a_variance_beyond_doubles_in_words() -> Case:
    r = np.random.default_rng(17)
    given = {"offset": 400.0 * r.normal(size=20)}
    words = {"n_experts": 2, "n_starts": 1, "max_iter": 1, "family": "weibull"}
    return made(MoERegressor, words, r.normal(size=(20, 1)), r.gamma(2.0, 1.0, 20), given=given)


@once
def a_column_of_1e_160_whose_slope_has_a_variance_beyond_doubles() -> Case:
    r = np.random.default_rng(18)
    X = np.column_stack([1e-160 * r.random(20), r.normal(size=20)])
    words = {"n_experts": 1, "n_starts": 1, "family": "weibull"}
    asked = {"cov": "observed", "simultaneous": True}
    return made(MoERegressor, words, X, r.gamma(2.0, 1.0, 20), inference=asked)


@once
def one_intercept_in_common_beside_columns_far_from_their_origin() -> Case:
    r = np.random.default_rng(19)
    x = 1e6 + r.integers(0, 2, 60)
    words = {"n_experts": 3, "n_starts": 2, "family": "gamma", "common": ["(intercept)"], "top_k": 1}
    words |= {"gate_transform": "tanh", "fixed": {"gate:1:(intercept)": 0.0}}
    return made(MoERegressor, words, np.column_stack([x, x]), 1e-300 * r.gamma(2.0, 1.0, 60))


@once
def cubes_of_fifty_nine_levels_of_sixty_rows() -> Case:
    r = np.random.default_rng(20)
    X = frame(r.normal(size=(60, 1)))
    words = {"n_experts": 1, "degree": 3, "formula": "y ~ C(c0)"}
    return made(LocatedMoERegressor, words, X, r.normal(size=60))


@once
def a_dendrogram_that_there_is_not_after_a_long_fit() -> Case:
    r = np.random.default_rng(21)
    words = {"n_experts": "dendrogram", "max_experts": 3, "covariance": "factors", "student": True}
    return made(LocatedMoERegressor, words, r.normal(size=(8, 1)), r.normal(size=(8, 3)))


@once
def three_rows_for_three_experts_of_latent_factors() -> Case:
    r = np.random.default_rng(22)
    words = {"n_experts": 3, "n_starts": 3, "covariance": "factors", "gate_tied": True}
    y = np.column_stack([1e6 + 1e-1 * r.normal(size=3), r.normal(size=3)])
    given = {"sample_weight": np.array([1e12, 1e2, 1e4])}
    return made(LocatedMoERegressor, words, r.normal(size=(3, 3)), y, given=given)


@once
def zeros_alone_for_an_expert_of_positive_numbers() -> Case:
    r = np.random.default_rng(23)
    return made(MoERegressor, {"family": ["zero", "gamma"]}, r.normal(size=(20, 1)), np.zeros(20))


@once
def a_located_fit_whose_covariance_is_singular_to_rounding() -> Case:
    r = np.random.default_rng(0)
    X = r.normal(size=(20, 6))
    X[2:, 3], X[:, 5] = 0.0, r.standard_cauchy(20) ** 3
    words = {"n_experts": 3, "direction": "inverse", "max_iter": 1}
    return made(LocatedMoERegressor, words, X, r.normal(size=(20, 2)))


@once
def a_survey_of_an_inverse_gaussian_beyond_doubles() -> Case:
    r = np.random.default_rng(25)
    words = {"n_experts": 1, "n_starts": 1, "gate": "activated-temperature", "family": "inverse-gaussian"}
    y = np.where(np.arange(60) < 30, 1e-300, 1e300) * r.gamma(2.0, 1.0, 60)
    asked = {"cov": "survey", "cluster": np.arange(60) // 2, "strata": np.zeros(60, dtype=int)}
    return made(MoERegressor, words, r.normal(size=(60, 3)), y, inference=asked)


@once
def a_fold_without_weight() -> Case:
    y = np.array([0, 0, 1, 1, 1])
    given = {"sample_weight": np.array([1.0, 0.0, 0.0, 0.0, 1.0])}
    words = {"n_experts": 1, "penalty": "ridge"}
    return made(MoEClassifierCV, words, np.random.default_rng(26).normal(size=(5, 3)), y, given=given)


@once
def blocks_of_an_expert_without_parameters() -> Case:
    r = np.random.default_rng(27)
    X = r.normal(size=(10, 3))
    X[:, 2] = np.where(np.arange(10) % 3 == 0, 1.0 + 1e-12, 1.0)
    words = {
        "n_experts": 3,
        "n_starts": 1,
        "covariance": "blocks",
        "gate_tied": True,
        "degree": 3,
        "max_iter": 1,
    }
    return made(LocatedMoERegressor, words, X, r.normal(size=(10, 2)))


@once
def a_polish_that_ends_at_no_finite_value() -> Case:
    x = np.array([-9.17685403e-02, 1.8946376, -1.19002456e-02, 1.84042977e-01, 1.20766184, -5.19661031e-01,
                  2.24562698e-01, -2.11812124e-02, 7.96470239e-01, 1e-154, -8.78570296e-01, 8.06513565e-01,
                  5.70242133e-03])[:, None]  # fmt: skip
    y = -1000.0 + np.array([9.687187e-02, 1.0, 1.256203e-02, 9.713886e-02, 6.374104e-01, 5.485486e-01,
                            1.185254e-01, 2.235912e-02, 4.203813e-01, 0.0, 9.274283e-01, 4.256822e-01,
                            3.009770e-03])  # fmt: skip
    words = {"n_experts": 3, "covariance": "diagonal", "gate_covariance": "isotropic", "gate_tied": True}
    return made(LocatedMoERegressor, words | {"random_state": 1}, x, y)


@once
def a_column_whose_variance_is_no_double() -> Case:
    X = np.array([[0.0, 0.0, 1.0], [2e-160, 1.0, 0.0]])
    words = {"n_experts": 2, "n_starts": 3, "covariance": "factors", "rank": 2, "rank_by": "likelihood"}
    words |= {"gate_covariance": "isotropic", "direction": "inverse", "max_iter": 60}
    return made(LocatedMoERegressor, words, X, np.array([-1.0, 3.5]))


@once
def cubes_of_a_column_near_the_least_double() -> Case:
    r = np.random.default_rng(29)
    X = np.column_stack([1e-160 * r.normal(size=40), np.zeros(40)])
    X[::7, 1] = 1.0
    words = {"n_experts": 2, "n_starts": 3, "rank": 2, "degree": 3, "random_state": 1}
    return made(LocatedMoERegressor, words, X, r.normal(size=40))
