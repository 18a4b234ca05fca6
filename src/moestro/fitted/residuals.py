"""Residuals of the whole predictive law."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..inference.classification import quantile_residuals


def residuals(model: Any, x: Any, z: Any, y: np.ndarray, random_state: int | None) -> np.ndarray:
    """Quantile residuals (n,), or (n, q) of several responses, of rows as the design gives them: standard
    normal where the model is right; of counts and classes a random point of the jump."""
    rng = np.random.default_rng(None if random_state is None else [random_state, 1])  # not that of `sample`
    if model.classes:
        law = model.distribution(x, z)
        return quantile_residuals(law.cdf(y - 1), law.cdf(y), rng)
    if model.single and _has_bounds(model, x):
        law, (low, high) = model.distribution(x, z), _ends(model, x, y)
        return quantile_residuals(law.cdf(low), law.cdf(high), rng)
    laws = list(model.marginals(x, z).values())
    several = np.reshape(y, (len(y), -1)).T
    out = [
        quantile_residuals(law.cdf(v - 1), law.cdf(v), rng)
        if law.family.discrete
        else quantile_residuals(law.cdf(np.nextafter(v, -np.inf)), law.cdf(v), rng)
        if law.family.points
        else quantile_residuals(law.cdf(v), law.cdf(v))
        for law, v in zip(laws, several, strict=True)
    ]
    return out[0] if model.single else np.column_stack(out)


def _has_bounds(model: Any, x: Any) -> bool:
    """Whether the other ends of intervals stand after the experts' columns and their offset."""
    family = getattr(model.fit, "model", None) and model.fit.model.family
    return bool(family) and family.takes_bounds and x.shape[1] == len(model.design.expert_names) + 2


def _ends(model: Any, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends of the responses, (n,) each."""
    other = x[:, -1]
    return np.minimum(y, other), np.maximum(y, other)
