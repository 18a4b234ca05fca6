"""One atom of a located measure in its own units: centred at its means, divided by its standard deviations.

There its parameters are a block of numbers of order one,

    log pi | c (p) | Gamma (free entries) | B (D rows of Q coefficients) | Sigma (free entries) | log nu,

whatever the user's units are, and the monomials of polynomial experts are as far from collinear as the rows
allow.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..located import LocatedFit, LocatedMeasure, polynomial
from ..located.inverse import inverse
from ..located.spread import Tangent
from ..located.statistics import Shape

STEP = 1e-20  # of a complex step: nothing is subtracted, so that it may be as small as one likes


def sides(fit: LocatedFit, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, Shape]:
    """The located side (n, p) and the experts' side (n, D) of a fit's rows, and the shape of its model."""
    u, v = (y, x) if fit.specification.direction == "inverse" else (x, y)
    return u, v, fit.specification.shape(fit.k, u.shape[1], v.shape[1])


@dataclass(frozen=True)
class Atom:
    """Atom e of a measure in the direction of its fit.

    Attributes
    ----------
    log_weight : float
    center, scale : ndarray of shape (p + D,)
        Means, and standard deviations (of v about its expert).
    gamma, sigma : ndarray of shape (p, p) and (D, D)
        Gamma and Sigma divided by those.
    B : ndarray of shape (D, Q)
        Coefficients of the monomials of (u - center) / scale.
    nu : float or None
    degree : int
    located, expert : Tangent
        Free entries of both covariances.
    """

    log_weight: float
    center: np.ndarray
    scale: np.ndarray
    gamma: np.ndarray
    sigma: np.ndarray
    B: np.ndarray
    nu: float | None
    degree: int
    located: Tangent
    expert: Tangent

    @classmethod
    def of(cls, measure: LocatedMeasure, e: int, shape: Shape) -> Atom:
        """The atom in its own units."""
        c = measure.means[e]
        su, sv = (np.sqrt(np.diag(m)) for m in (measure.covariances[e], measure.noise[e]))
        v = measure.expert_means(c[None])[0, e]
        B = np.column_stack([measure.intercepts[e] - v, measure.slopes[e]])
        B = B @ polynomial.change_of_units(-c / su, 1 / su, measure.degree) / sv[:, None]
        gamma, sigma = (
            measure.covariances[e] / np.outer(su, su),
            measure.noise[e] / np.outer(sv, sv),
        )
        with np.errstate(divide="ignore"):
            log_weight = float(np.log(measure.weights[e]))
        nu = measure.degrees_of_freedom
        return cls(
            log_weight, np.r_[c, v], np.r_[su, sv], gamma, sigma, B,
            None if nu is None else float(nu[e]), measure.degree,
            shape.gate.tangent(e, gamma), shape.noise.tangent(e, sigma),
        )  # fmt: skip

    @property
    def p(self) -> int:
        return len(self.gamma)

    @property
    def D(self) -> int:
        return len(self.sigma)

    @cached_property
    def places(self) -> dict[str, slice]:
        """Where each part stands in the block."""
        sizes = {
            "log pi": 1, "c": self.p, "gamma": len(self.located.i), "B": self.B.size,
            "sigma": len(self.expert.i), "log nu": 0 if self.nu is None else 1,
        }  # fmt: skip
        ends = np.cumsum(list(sizes.values()))
        return {
            name: slice(int(end) - n, int(end)) for (name, n), end in zip(sizes.items(), ends, strict=True)
        }

    @property
    def size(self) -> int:
        return self.places["log nu"].stop

    @cached_property
    def block(self) -> np.ndarray:
        """The parameters, shape (size,); the log-weight stands for itself."""
        out = np.zeros(self.size)
        out[0] = self.log_weight
        out[self.places["gamma"]] = self.gamma[self.located.i, self.located.j]
        out[self.places["B"]] = self.B.ravel()
        out[self.places["sigma"]] = self.sigma[self.expert.i, self.expert.j]
        if self.nu is not None:
            out[-1] = np.log(self.nu)
        return out

    def in_user_units(self, block: np.ndarray, inverted: bool) -> tuple[np.ndarray, ...]:
        """c, Gamma, slopes, intercepts, Sigma from x to y, and nu, of a real or complex `block`."""
        p = self.p
        su, sv, cu, cv = self.scale[:p], self.scale[p:], self.center[:p], self.center[p:]
        part = {name: block[at] for name, at in self.places.items()}
        c = cu + su * part["c"]
        gamma = _symmetric(self.located, part["gamma"], p) * np.outer(su, su)
        sigma = _symmetric(self.expert, part["sigma"], self.D) * np.outer(sv, sv)
        B = sv[:, None] * (part["B"].reshape(self.B.shape) @ polynomial.change_of_units(cu, su, self.degree))
        A, b = B[:, 1:], B[:, 0] + cv
        nu = np.exp(part["log nu"])
        if not inverted:
            return c, gamma, A, b, sigma, nu
        c, gamma, A, b, sigma = (a[0] for a in inverse(c[None], gamma[None], A[None], b[None], sigma[None]))
        return c, gamma, A, b, sigma, nu


def _symmetric(tangent: Tangent, entries: np.ndarray, size: int) -> np.ndarray:
    out = np.zeros((size, size), dtype=entries.dtype)
    out[tangent.i, tangent.j] = out[tangent.j, tangent.i] = entries
    return out


@dataclass(frozen=True)
class Moved:
    """The measures from x to y near that of a fit, by steps in the blocks of its atoms."""

    atoms: tuple[Atom, ...]
    inverted: bool

    @classmethod
    def of(cls, fit: LocatedFit) -> Moved:
        """Around a fit."""
        fitted, spec = fit.fitted, fit.specification
        shape = spec.shape(fit.k, fitted.d, fitted.q)
        atoms = tuple(Atom.of(fitted, e, shape) for e in range(fit.k))
        return cls(atoms, spec.direction == "inverse")

    def measure(self, step: np.ndarray) -> LocatedMeasure:
        """A `step` (P,) away."""
        ends = np.cumsum([a.size for a in self.atoms])
        blocks = [a.block + step[end - a.size : end] for a, end in zip(self.atoms, ends, strict=True)]
        parts = [a.in_user_units(b, self.inverted) for a, b in zip(self.atoms, blocks, strict=True)]
        c, gamma, A, b, sigma, nu = (np.array(part) for part in zip(*parts, strict=True))
        weights = np.exp([block[0] for block in blocks])
        return LocatedMeasure(
            weights=weights / weights.sum(), means=c, covariances=gamma, slopes=A, intercepts=b, noise=sigma,
            degrees_of_freedom=None if self.atoms[0].nu is None else nu[:, 0], degree=self.atoms[0].degree,
        )  # fmt: skip
