"""What EM sums over the rows of a located model, and the M-step from it in closed form.

With responsibilities r and, for Student tails, the weights w = E[W | row] (1 for Gaussian tails), the sums
are

    mass = sum r,   gram = sum r w phi phi',   cross = sum r w phi v',   second = sum r w v v',
      tail = sum r (E log W - w)

of the monomials phi = (1, u, ...) of the located side u and of the other side v, and

    c = mean of u,  Gamma = covariance of u,  A = cov(v, phi) cov(phi)^-1,  b = mean of v - A mean of phi,
    Sigma = covariance of v - A cov(phi, v),

and degrees of freedom from tail / mass, which `tails` then raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, zeta

from .spread import Spread, Structure

NU_BOX = (2.1, 200.0)  # degrees of freedom: a covariance exists; next to Gaussian
NEWTON = 6  # steps, which give all digits of the degrees of freedom
EMPTY = 1e-6  # share of the rows below which a component counts as empty


@dataclass(frozen=True)
class Statistics:
    """Sums (K, ...) over the rows, divided by the sum of the weights; K is the components of all runs that
    go on side by side."""

    mass: np.ndarray
    gram: np.ndarray
    cross: np.ndarray
    second: np.ndarray
    tail: np.ndarray

    def flat(self, k: int) -> np.ndarray:
        """One vector a run of k components, (K / k, s)."""
        runs = len(self.mass) // k
        return np.concatenate([getattr(self, n).reshape(runs, -1) for n in _PARTS], axis=1)

    @classmethod
    def of(cls, flat: np.ndarray, k: int, Q: int, second: tuple[int, ...]) -> Statistics:
        """Statistics of vectors (R, s): of Q monomials, and second moments of shape `second` a component."""
        out, at = {}, 0
        D = second[0]
        for name, shape in zip(_PARTS, ((), (Q, Q), (Q, D), second, ()), strict=True):
            size = k * int(np.prod(shape))
            out[name], at = flat[:, at : at + size].reshape(-1, *shape), at + size
        return cls(**out)


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

    def runs(self, k: int) -> list[Parameters]:
        """Those of each run, of k components."""
        return [self._part(slice(start, start + k)) for start in range(0, len(self.means), k)]

    def _part(self, at: slice) -> Parameters:
        nu = self.degrees_of_freedom
        return Parameters(
            self.log_weights[at], self.means[at], self.gate.part(at), self.coefficients[at],
            self.noise.part(at), None if nu is None else nu[at],
        )  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """What the model allows: structures of both covariances, Student or Gaussian, sizes."""

    k: int
    p: int
    gate: Structure
    noise: Structure
    student: bool = False


def possible(k: int, Q: int, flat: np.ndarray) -> np.ndarray:
    """Which of the runs with statistics (R, s) have an M-step: all masses are positive numbers, (R,)."""
    masses = np.concatenate([flat[:, :k], flat[:, k : k + k * Q * Q : Q * Q]], axis=1)
    return np.asarray(((masses > 0) & np.isfinite(masses)).all(axis=1))


def m_step(shape: Shape, s: Statistics, previous: Sequence[Parameters] | None) -> Parameters:
    """Parameters of the components of all runs that maximise the expected complete log-likelihood of each
    run; `previous` has those of each run."""
    mass = s.mass.reshape(-1, shape.k)
    share = mass / mass.sum(axis=1, keepdims=True)
    # A component without rows keeps the shape of the whole sample, so that it stays a component with a name.
    empty = share < EMPTY
    if empty.any():
        s = _filled(s, empty)
    total = s.gram[:, 0, 0]
    phi = s.gram[:, 0, 1:] / total[:, None]
    v = s.cross[:, 0] / total[:, None]
    spread = s.gram[:, 1:, 1:] / total[:, None, None] - phi[:, :, None] * phi[:, None, :]
    cross = s.cross[:, 1:] / total[:, None, None] - phi[:, :, None] * v[:, None, :]
    slopes = _regress(spread, cross)  # (K, Q - 1, D)
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
    return Parameters(
        log_weights=np.log(share).ravel(),
        means=phi[:, : shape.p],
        gate=shape.gate.estimate(located, mass, None if previous is None else [p.gate for p in previous]),
        coefficients=np.concatenate([intercept[:, :, None], np.swapaxes(slopes, 1, 2)], axis=2),
        noise=shape.noise.estimate(second, mass, None if previous is None else [p.noise for p in previous]),
        degrees_of_freedom=_degrees(s.tail / s.mass) if shape.student else None,
    )


def _filled(s: Statistics, empty: np.ndarray) -> Statistics:
    """The empty components (R, k) with the moments of all rows, at a mass that stays what it is."""
    parts, mass = {}, s.mass.reshape(empty.shape)
    for name in _PARTS[1:]:
        value = getattr(s, name)
        by_run = value.reshape(*empty.shape, *value.shape[1:])
        trailing = (1,) * (value.ndim - 1)
        whole = by_run.sum(axis=1) / mass.sum(axis=1).reshape(-1, *trailing)
        filled = mass.reshape(*empty.shape, *trailing) * whole[:, None]
        parts[name] = np.where(empty.reshape(*empty.shape, *trailing), filled, by_run).reshape(value.shape)
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


def _degrees(tail: np.ndarray) -> np.ndarray:
    """nu with log(nu / 2) - digamma(nu / 2) = -1 - tail, within its box, by Newton's method in 1 / nu: the
    left side is 1 / nu + 1 / (3 nu^2) - ..., nearly a line."""
    aim, (low, high) = -1.0 - tail, NU_BOX
    inverse = np.clip(aim, 1.0 / high, 1.0 / low)
    for _ in range(NEWTON):
        half = 0.5 / inverse
        slope = (half * zeta(2.0, half) - 1.0) / inverse  # zeta(2, .) is the trigamma function
        inverse = inverse - (np.log(half) - digamma(half) - aim) / slope
        inverse = np.minimum(np.maximum(inverse, 1.0 / high), 1.0 / low)
    return 1.0 / inverse
