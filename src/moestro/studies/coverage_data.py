"""Data of the coverage study: two experts of one column, right, heteroscedastic, or clustered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr
from scipy.stats import poisson

CLUSTER, GROUP = 10, 5  # rows of a cluster, and of a group that shares its expert
SITUATIONS = ("right", "heteroscedastic", "clustered")
DEPENDENT = 0.5  # share of a cluster's own part in the variance of its columns and of its noise
LOG_SPREAD = 0.4  # slope of the log standard deviation where it changes with the column
BETWEEN = 0.3  # variance of the factor of mean one on rates
SCALE = 0.5  # standard deviation of the log scale of a group's predictors


@dataclass(frozen=True)
class Sample:
    """Columns (n, 1), response (n,), clusters (n,), and groups (n,) or None."""

    x: np.ndarray
    y: np.ndarray
    clusters: np.ndarray
    groups: np.ndarray | None = None


def _normal(n: int, situation: str, rng: np.random.Generator) -> np.ndarray:
    """Standard normal rows, dependent within clusters where that is the situation."""
    own = rng.standard_normal(n)
    if situation != "clustered":
        return own
    common = rng.standard_normal(n // CLUSTER + 1)[np.arange(n) // CLUSTER]
    return np.sqrt(DEPENDENT) * common + np.sqrt(1 - DEPENDENT) * own


def _gated(n: int, situation: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A column and the expert of each row, whose log odds are 0.5 + x."""
    x = _normal(n, situation, rng)
    return x, (rng.random(n) > 1 / (1 + np.exp(-0.5 - x))).astype(int)


def _sample(x: np.ndarray, y: np.ndarray, groups: np.ndarray | None = None) -> Sample:
    return Sample(x[:, None], y, np.arange(len(y)) // CLUSTER, groups)


def gaussian(n: int, situation: str, rng: np.random.Generator, apart: float = 2.0) -> Sample:
    """y = 2 + 2 x + 0.7 u and y = -2 - x + u, or closer to each other."""
    x, e = _gated(n, situation, rng)
    spread = np.exp(LOG_SPREAD * x) if situation == "heteroscedastic" else 1.0
    mean = np.where(e == 0, apart * (1 + x), -apart * (1 + 0.5 * x))
    return _sample(x, mean + np.where(e == 0, 0.7, 1.0) * spread * _normal(n, situation, rng))


def overlapping(n: int, situation: str, rng: np.random.Generator) -> Sample:
    """The same, with intercepts of 0.6 and -0.6: most rows may be of either expert."""
    return gaussian(n, situation, rng, apart=0.6)


def counts(n: int, situation: str, rng: np.random.Generator) -> Sample:
    """Rates exp(0.3 + 0.5 x) and exp(2 - 0.4 x); heteroscedastic ones have a gamma factor."""
    x, e = _gated(n, situation, rng)
    rate = np.exp(np.where(e == 0, 0.3 + 0.5 * x, 2.0 - 0.4 * x))
    if situation == "heteroscedastic":
        rate = rate * rng.gamma(1 / BETWEEN, BETWEEN, n)
    return _sample(x, poisson.ppf(ndtr(_normal(n, situation, rng)), rate))


def classes(n: int, situation: str, rng: np.random.Generator) -> Sample:
    """Three classes; groups share their expert, and heteroscedastic ones scale their predictors."""
    groups = np.arange(n) // GROUP
    count = int(groups[-1]) + 1
    e, x = (rng.random(count) < 0.4).astype(int)[groups], rng.standard_normal(n)
    a, b = np.array([[0.5, -0.5], [-1.0, 0.5]])[e], np.array([[1.5, -1.0], [-1.0, 1.0]])[e]
    eta = np.column_stack([a + b * x[:, None], np.zeros(n)])
    if situation == "heteroscedastic":
        eta *= np.exp(SCALE * rng.standard_normal(count))[groups, None]
    return _sample(x, np.argmax(eta + rng.gumbel(size=eta.shape), axis=1).astype(float), groups)


def located(n: int, situation: str, rng: np.random.Generator) -> Sample:
    """Columns around -1.5 and 1.5, y = 1 + x + 0.5 u and y = -1 - x + u."""
    e = (rng.random(n) < 0.4).astype(int)
    u = _normal(n, situation, rng)
    spread = np.exp(LOG_SPREAD * u) if situation == "heteroscedastic" else 1.0
    x = np.where(e == 0, -1.5, 1.5) + u
    mean, sd = np.where(e == 0, 1 + x, -1 - x), np.where(e == 0, 0.5, 1.0)
    return _sample(x, mean + sd * spread * _normal(n, situation, rng))


FAMILIES: dict[str, Callable[..., Sample]] = {
    "gaussian": gaussian,
    "overlapping": overlapping,
    "poisson": counts,
    "multinomial with groups": classes,
    "located": located,
}


def estimator(family: str, seed: int) -> Any:
    """What is fitted to the data of a family."""
    from ..estimators import LocatedMoERegressor, MoEClassifier, MoERegressor

    how: dict[str, Any] = {"random_state": seed, "n_jobs": 1, "n_starts": 3}
    if family == "located":
        return LocatedMoERegressor(2, **how)
    if family == "multinomial with groups":
        return MoEClassifier(2, gate_features=[], **how)
    return MoERegressor(2, family="poisson" if family == "poisson" else "gaussian", **how)
