"""The information of a located model: what the complete data would say, less what is missing (Louis, 1982).

The complete data of a row are its atom z and, with Student tails, its latent scale W. Given them the score of
atom e is affine in (W, log W): s = alpha + W beta + log W gamma. With r the responsibilities,

    observed information = E[complete information | rows] - sum_n w_n Var[s | row n],

exactly, also where the gradient is not zero. Var[s | row] = sum_e r_e (Var_W[s_e] + t_e t_e') - t t' with t_e
= E_W[s_e], and t = sum_e r_e t_e is the score of the row. One pass over the rows gives all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, polygamma

from ..gates import log_sum_exp
from ..located import polynomial
from ..located.normal import log_density
from ..located.spread import Tangent
from .atoms import Atom
from .clusters import Joint, Meat

BLOCK = 2048


@dataclass(frozen=True)
class Information:
    """Sums over the rows, in the blocks of all atoms one after the other (P numbers).

    Attributes
    ----------
    value : float
        Log-likelihood.
    gradient : ndarray of shape (P,)
    complete, observed : ndarray of shape (P, P)
        Information of the complete data, and of the rows.
    meat : ndarray of shape (P, P)
        Sum of the outer products of the weighted scores of rows, or of clusters.
    """

    value: float
    gradient: np.ndarray
    complete: np.ndarray
    observed: np.ndarray
    meat: np.ndarray


def information(
    atoms: list[Atom],
    u: np.ndarray,
    v: np.ndarray,
    w: np.ndarray,
    clusters: Joint | None = None,
    tell: Callable[[np.ndarray], None] = lambda scores: None,
) -> Information:
    """At the atoms, on rows u (n, p), v (n, D) with weights w (n,); the meat of `clusters` where given.

    `tell` gets the weighted scores (b, P) of consecutive rows.
    """
    sizes = [a.size for a in atoms]
    ends = np.cumsum(sizes)
    at = [slice(int(end) - s, int(end)) for s, end in zip(sizes, ends, strict=True)]
    P, N = int(ends[-1]), float(w.sum())
    first = [s.start for s in at]
    pi = np.exp([a.log_weight for a in atoms])
    value, gradient = 0.0, np.zeros(P)
    missing, meat = np.zeros((P, P)), Meat(P, clusters)
    sums = [_Sums.zero(a) for a in atoms]
    for start in range(0, len(u), BLOCK):
        rows = slice(start, start + BLOCK)
        weight = w[rows]
        views = [_View.of(a, u[rows], v[rows]) for a in atoms]
        joint = np.column_stack([view.log_density for view in views])
        level = log_sum_exp(joint)
        r = np.exp(joint - level)
        value += float(weight @ level[:, 0])
        score = np.empty((len(weight), P))
        for e, view in enumerate(views):
            t = view.score()
            rw = weight * r[:, e]
            missing[at[e], at[e]] += (t * rw[:, None]).T @ t + view.of_scale(rw)
            sums[e].add(view, rw)
            score[:, at[e]] = r[:, e, None] * t
        missing -= (score * weight[:, None]).T @ score
        score[:, first] -= pi
        score *= weight[:, None]
        gradient += score.sum(axis=0)
        meat.add(score)
        tell(score)
    complete = np.zeros((P, P))
    for a, s, where in zip(atoms, sums, at, strict=True):
        complete[where, where] = s.information(a)
    complete[np.ix_(first, first)] += N * (np.diag(pi) - np.outer(pi, pi))
    return Information(value, gradient, complete, complete - missing, meat.total())


@dataclass(frozen=True)
class _View:
    """Some rows as an atom sees them: residuals, whitened ones, and the moments of W."""

    atom: Atom
    phi: np.ndarray
    ru: np.ndarray
    rv: np.ndarray
    zu: np.ndarray
    zv: np.ndarray
    P: tuple[np.ndarray, np.ndarray]
    log_density: np.ndarray
    W: np.ndarray
    log_W: np.ndarray
    rate: np.ndarray | None

    @classmethod
    def of(cls, a: Atom, u: np.ndarray, v: np.ndarray) -> _View:
        p, D = a.p, a.p + a.D
        ru = (u - a.center[:p]) / a.scale[:p]
        phi = polynomial.values(ru, a.degree)
        rv = (v - a.center[p:]) / a.scale[p:] - phi @ a.B.T
        P = (np.linalg.inv(a.gamma), np.linalg.inv(a.sigma))
        zu, zv = ru @ P[0], rv @ P[1]
        distance = np.einsum("np,np->n", ru, zu) + np.einsum("nd,nd->n", rv, zv)
        log_det = np.linalg.slogdet(a.gamma)[1] + np.linalg.slogdet(a.sigma)[1] + 2 * np.log(a.scale).sum()
        nu = None if a.nu is None else np.array([a.nu])
        density = a.log_weight + log_density(distance[:, None], log_det, D, nu)[:, 0]
        W, log_W, rate = np.ones(len(u)), np.zeros(len(u)), None
        if a.nu is not None:  # W given the row is Gamma((nu + D) / 2, rate)
            rate = 0.5 * (a.nu + distance)
            shape = 0.5 * (a.nu + D)
            W, log_W = shape / rate, digamma(shape) - np.log(rate)
        return cls(a, phi, ru, rv, zu, zv, P, density, W, log_W, rate)

    def slope(self) -> np.ndarray:
        """beta, shape (n, size)."""
        a, n = self.atom, len(self.phi)
        out = np.empty((n, a.size))
        parts = {
            "log pi": 0.0,
            "c": self.zu,
            "gamma": 0.5 * _twice(a.located) * self.zu[:, a.located.i] * self.zu[:, a.located.j],
            "B": (self.zv[:, :, None] * self.phi[:, None, :]).reshape(n, -1),
            "sigma": 0.5 * _twice(a.expert) * self.zv[:, a.expert.i] * self.zv[:, a.expert.j],
            "log nu": 0.0 if a.nu is None else -0.5 * a.nu,
        }
        for name, at in a.places.items():
            out[:, at] = parts[name]
        return out

    def score(self) -> np.ndarray:
        """E_W of the complete-data score of each row, shape (n, size); that of log pi without its
        constant."""
        a, at = self.atom, self.atom.places
        out = self.slope() * self.W[:, None]
        out[:, 0] = 1.0
        out[:, at["gamma"]] -= 0.5 * _twice(a.located) * self.P[0][a.located.i, a.located.j]
        out[:, at["sigma"]] -= 0.5 * _twice(a.expert) * self.P[1][a.expert.i, a.expert.j]
        if a.nu is not None:
            half = 0.5 * a.nu
            out[:, -1] += half * (np.log(half) + 1.0 - digamma(half) + self.log_W)
        return out

    def of_scale(self, rw: np.ndarray) -> np.ndarray:
        """sum rw Var_W[s], shape (size, size)."""
        a = self.atom
        if a.nu is None or self.rate is None:
            return np.zeros((a.size, a.size))
        beta, half = self.slope(), 0.5 * a.nu
        out = (beta * (rw * self.W / self.rate)[:, None]).T @ beta  # Var W = E W / rate
        mixed = half * (beta.T @ (rw / self.rate))  # Cov(W, log W) = 1 / rate
        out[-1] += mixed
        out[:, -1] += mixed
        out[-1, -1] += half**2 * rw.sum() * float(polygamma(1, 0.5 * (a.nu + a.p + a.D)))
        return out


@dataclass
class _Sums:
    """What the complete-data information of an atom needs: sums of r, r W and their products with residuals
    and monomials."""

    mass: float
    scaled: float
    tail: float
    ru: np.ndarray
    uu: np.ndarray
    gram: np.ndarray
    cross: np.ndarray
    vv: np.ndarray

    @classmethod
    def zero(cls, a: Atom) -> _Sums:
        p, D, Q = a.p, a.D, a.B.shape[1]
        return cls(
            0.0,
            0.0,
            0.0,
            np.zeros((p, 1)),
            np.zeros((p, p)),
            np.zeros((Q, Q)),
            np.zeros((D, Q)),
            np.zeros((D, D)),
        )

    def add(self, view: _View, rw: np.ndarray) -> None:
        scaled = rw * view.W
        self.mass += float(rw.sum())
        self.scaled += float(scaled.sum())
        self.tail += float(rw @ (view.log_W - view.W))
        self.ru += (scaled @ view.ru)[:, None]
        self.uu += (view.ru * scaled[:, None]).T @ view.ru
        self.gram += (view.phi * scaled[:, None]).T @ view.phi
        self.cross += (view.rv * scaled[:, None]).T @ view.phi
        self.vv += (view.rv * scaled[:, None]).T @ view.rv

    def information(self, a: Atom) -> np.ndarray:
        """Minus the Hessian of the expected complete-data log-likelihood of the atom, without its weight."""
        out, at = np.zeros((a.size, a.size)), a.places
        whole = np.array([[self.scaled]])
        for mean, entries, tangent, covariance, gram, cross, second in (
            ("c", "gamma", a.located, a.gamma, whole, self.ru, self.uu),
            ("B", "sigma", a.expert, a.sigma, self.gram, self.cross, self.vv),
        ):
            both = np.r_[at[mean], at[entries]]
            out[np.ix_(both, both)] = _of_regression(
                tangent, np.linalg.inv(covariance), gram, cross, second, self.mass
            )
        if a.nu is not None:
            half = 0.5 * a.nu
            slope = self.mass * (np.log(half) + 1.0 - float(digamma(half))) + self.tail
            out[-1, -1] = half * (self.mass * (half * float(polygamma(1, half)) - 1.0) - slope)
        return out


def _of_regression(
    tangent: Tangent, P: np.ndarray, gram: np.ndarray, cross: np.ndarray, second: np.ndarray, mass: float
) -> np.ndarray:
    """Minus the Hessian of -(mass log |S| + sum r' S^-1 r) / 2, r = v - B phi, in (B, free entries of S),
    with P = S^-1.

    In B it is P x gram; in B and an entry E: P E P cross; in entries E, F: tr(K E P F) - mass tr(P E P F) /
    2, K = P second P.
    """
    i, j = tangent.i, tangent.j
    m = _twice(tangent)
    score_curvature = P @ cross
    mixed = P[:, i, None] * score_curvature[j] + P[:, j, None] * score_curvature[i]  # (D, E, Q)
    mixed = 0.5 * (mixed * m[:, None]).transpose(0, 2, 1).reshape(len(P) * len(gram), len(i))
    K = P @ second @ P

    def trace(X: np.ndarray) -> np.ndarray:
        """tr(X E P F) of entries E (rows) and F (columns), made symmetric."""
        out = sum(P[np.ix_(a, c)] * X[np.ix_(b, d)] for a, b in ((i, j), (j, i)) for c, d in ((i, j), (j, i)))
        out = np.asarray(out) * np.outer(m, m) / 4
        return 0.5 * (out + out.T)

    return np.block([[np.kron(P, gram), mixed], [mixed.T, trace(K) - 0.5 * mass * trace(P)]])


def _twice(tangent: Tangent) -> np.ndarray:
    """How often each entry stands in the matrix."""
    return np.where(tangent.i == tangent.j, 1.0, 2.0)
