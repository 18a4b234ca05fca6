"""What EM sums over the rows of a located model, and the M-step from it in closed form.

With responsibilities r and, for Student tails, the weights w = E[W | row] (1 for Gaussian tails), the sums
are

    mass = sum r,   gram = sum r w phi phi',   cross = sum r w phi v',   second = sum r w v v',
      tail = sum r (E log W - w)

of the monomials phi = (1, u, ...) of the located side u and of the other side v, and

    c = mean of u,  Gamma = covariance of u,  A = cov(v, phi) cov(phi)^-1,  b = mean of v - A mean of phi,
    Sigma = covariance of v - A cov(phi, v).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import digamma

from .spread import Spread, Structure

NU_BOX = (2.1, 200.0)  # degrees of freedom: a covariance exists; next to Gaussian
EMPTY = 1e-6  # share of the rows below which a component counts as empty


@dataclass(frozen=True)
class Statistics:
    """Sums (k, ...) over the rows, divided by the sum of the weights."""

    mass: np.ndarray
    gram: np.ndarray
    cross: np.ndarray
    second: np.ndarray
    tail: np.ndarray

    def flat(self) -> np.ndarray:
        """One vector."""
        return np.concatenate([getattr(self, n).ravel() for n in _PARTS])

    def like(self, flat: np.ndarray) -> Statistics:
        """Statistics of these shapes from one vector."""
        out, at = {}, 0
        for name in _PARTS:
            shape = getattr(self, name).shape
            size = int(np.prod(shape))
            out[name], at = flat[at : at + size].reshape(shape), at + size
        return Statistics(**out)


_PARTS = ("mass", "gram", "cross", "second", "tail")


@dataclass(frozen=True)
class Parameters:
    """A located model in standardised columns: u of p columns, v of D, monomials phi of Q columns."""

    log_weights: np.ndarray
    means: np.ndarray  # (k, p)
    gate: Spread
    coefficients: np.ndarray  # (k, D, Q): intercept, slopes
    noise: Spread
    degrees_of_freedom: np.ndarray | None  # (k,)


@dataclass(frozen=True)
class Shape:
    """What the model allows: structures of both covariances, Student or Gaussian, sizes."""

    k: int
    p: int
    gate: Structure
    noise: Structure
    student: bool = False


def m_step(shape: Shape, s: Statistics, previous: Parameters | None) -> Parameters | None:
    """Parameters that maximise the expected complete log-likelihood; None where a mass is not positive."""
    if not (s.mass > 0).all() or not np.isfinite(s.mass).all():
        return None
    total = s.gram[:, 0, 0]
    if not (total > 0).all():
        return None
    # A component without rows keeps the shape of the whole sample, so that it stays a component with a name.
    empty = s.mass < EMPTY * s.mass.sum()
    if empty.any():
        s = _filled(s, empty)
        total = s.gram[:, 0, 0]
    phi = s.gram[:, 0, 1:] / total[:, None]
    v = s.cross[:, 0] / total[:, None]
    spread = s.gram[:, 1:, 1:] / total[:, None, None] - phi[:, :, None] * phi[:, None, :]
    cross = s.cross[:, 1:] / total[:, None, None] - phi[:, :, None] * v[:, None, :]
    slopes = _regress(spread, cross)  # (k, Q - 1, D)
    ratio = total / s.mass
    if shape.noise.needs_matrix:
        second = s.second / total[:, None, None] - v[:, :, None] * v[:, None, :]
        second = second - np.swapaxes(cross, 1, 2) @ slopes
        second = 0.5 * (second + np.swapaxes(second, 1, 2)) * ratio[:, None, None]
    else:
        second = s.second / total[:, None] - v * v - np.einsum("kqd,kqd->kd", cross, slopes)
        second = second * ratio[:, None]
    located = spread[:, : shape.p, : shape.p] * ratio[:, None, None]
    if not shape.gate.needs_matrix:
        located = np.diagonal(located, axis1=1, axis2=2)
    intercept = v - np.einsum("kq,kqd->kd", phi, slopes)
    nu = None
    if shape.student:
        nu = np.array([_degrees(float(t / m)) for t, m in zip(s.tail, s.mass, strict=True)])
    return Parameters(
        log_weights=np.log(s.mass / s.mass.sum()),
        means=phi[:, : shape.p],
        gate=shape.gate.estimate(located, s.mass, None if previous is None else previous.gate),
        coefficients=np.concatenate([intercept[:, :, None], np.swapaxes(slopes, 1, 2)], axis=2),
        noise=shape.noise.estimate(second, s.mass, None if previous is None else previous.noise),
        degrees_of_freedom=nu,
    )


def _filled(s: Statistics, empty: np.ndarray) -> Statistics:
    """The empty components with the moments of all rows, at a mass that stays what it is."""
    parts = {}
    for name in _PARTS[1:]:
        value = getattr(s, name).copy()
        whole = value.sum(axis=0) / s.mass.sum()
        shape = (-1,) + (1,) * (value.ndim - 1)
        value[empty] = s.mass[empty].reshape(shape) * whole
        parts[name] = value
    return Statistics(mass=s.mass, **parts)


def _regress(spread: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """spread^-1 cross of each component, of least norm where columns are collinear within it."""
    if not spread.shape[1]:
        return cross
    sd = np.sqrt(np.maximum(np.diagonal(spread, axis1=1, axis2=2), 0.0))
    scale = np.where(sd > 1e-8, 1.0 / np.maximum(sd, 1e-300), 0.0)
    values, vectors = np.linalg.eigh(spread * scale[:, :, None] * scale[:, None, :])
    keep = values > 1e-10 * np.maximum(values[:, -1:], 1e-300)
    inverse = np.where(keep, 1.0 / np.where(keep, values, 1.0), 0.0)
    turned = np.swapaxes(vectors, 1, 2) @ (cross * scale[:, :, None])
    return scale[:, :, None] * (vectors @ (inverse[:, :, None] * turned))


def _degrees(tail: float) -> float:
    """nu with 1 - digamma(nu / 2) + log(nu / 2) + tail = 0, within its box."""

    def score(nu: float) -> float:
        return 1.0 - float(digamma(nu / 2)) + float(np.log(nu / 2)) + tail

    low, high = NU_BOX
    if score(low) <= 0:
        return low
    if score(high) >= 0:
        return high
    for _ in range(60):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if score(middle) > 0 else (low, middle)
    return float(np.sqrt(low * high))
