"""Multinomial logistic experts: f(y = c | eta) = exp(eta_c) / sum_l exp(eta_l), eta of the last class
zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .base import predictor_bounds
from .classes import OfClasses

LOGIT_BOUND = 1e4  # per standard deviation of a column: certainty within 1e-4 of it


@dataclass(frozen=True)
class Multinomial(OfClasses):
    """Multinomial logit with `classes` classes; y holds class indices 0 .. classes - 1."""

    name: str = "multinomial"

    @property
    def predictors(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.classes - 1

    def _full(self, eta: np.ndarray) -> np.ndarray:
        return np.concatenate([eta, np.zeros((*eta.shape[:-1], 1))], axis=-1)

    def _one_hot(self, y: np.ndarray) -> np.ndarray:
        return (np.asarray(y)[..., None] == np.arange(self.classes - 1)).astype(float)

    def log_density(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        full = self._full(eta)
        top = full.max(axis=-1)
        log_sum = top + np.log(np.exp(full - top[..., None]).sum(axis=-1))
        picked = (eta * self._one_hot(y)).sum(axis=-1)
        return picked - log_sum

    def mean(self, eta: np.ndarray) -> np.ndarray:
        full = self._full(eta)
        e = np.exp(full - full.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    def variance(self, eta: np.ndarray) -> np.ndarray:
        p = self.mean(eta)
        return p * (1 - p)

    def score(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return self._one_hot(y) - self.mean(eta)[..., :-1]

    def information(self, eta: np.ndarray) -> np.ndarray:
        p = self.mean(eta)[..., :-1]
        return p[..., :, None] * np.eye(p.shape[-1]) - p[..., :, None] * p[..., None, :]

    def curvature(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        return -self.information(eta)

    def sample(self, eta: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        cumulative = np.cumsum(self.mean(eta), axis=-1)
        draw = rng.random((*eta.shape[:-1], 1)) * cumulative[..., -1:]
        return (cumulative[..., :-1] < draw).sum(axis=-1).astype(float)

    def cdf(self, eta: np.ndarray, y: np.ndarray) -> np.ndarray:
        cumulative = np.cumsum(self.mean(eta), axis=-1)
        index = np.clip(np.floor(y), 0, self.classes - 1).astype(int)
        at = np.take_along_axis(cumulative, np.broadcast_to(index, eta.shape[:-1])[..., None], -1)[..., 0]
        return np.where(np.asarray(y) < 0, 0.0, at)

    def marginal(self, y: np.ndarray, w: np.ndarray, offset: np.ndarray | float = 0.0) -> np.ndarray:
        share = np.bincount(y.astype(int), weights=w, minlength=self.classes) + 1e-3 * w.sum()
        return np.log(share[:-1] / share[-1])

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return predictor_bounds(LOGIT_BOUND)
