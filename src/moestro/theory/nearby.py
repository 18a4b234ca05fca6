"""Measures near a true one at a given loss, as vectors without constraints, and their densities.

The gauge is that of `voronoi_loss(..., gauge="fixed")`. An atom of a cell moves by (s eps)^(1/rho) u in a
part with the exponent rho and cells gain s eps v of weight; the s at which the loss is eps solves a quadratic
equation. So an infimum at that loss is over (u, v, shares), by least squares, in extended precision.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import DataError
from ..measure import MixingMeasure
from .asked import power_of, reals, whole
from .exponents import voronoi_exponent
from .losses import LOSSES, Loss
from .response import FAMILIES, Real, expert_densities, response_values

STEP = 2.0**-20  # of differences: cut off and rounded at about 1e-12
STEPS, FAR = 200, 1e6
EDGE = 1e-3  # beyond the box, relatively, that a penalty leaves


class Nearby:
    """Measures near the truth whose atom i is in the cell of true atom cell[i], as vectors (u, v, shares)."""

    def __init__(
        self,
        truth: MixingMeasure,
        cell: np.ndarray,
        loss: Loss,
        r: float | None,
        x: np.ndarray,
        z: np.ndarray,
        box: float | None = None,
    ) -> None:
        self.truth, self.cell, self.x, self.z = truth, cell, x.astype(Real), z.astype(Real)
        self.box = np.inf if box is None else box
        self.kept = int(truth.gate_options["top_k"]) if truth.gate == "top-k" else None
        weights = np.exp(truth.log_weights - truth.log_weights.max())
        self.true = (weights / weights.sum()).astype(Real)
        self.reference = int(np.argmax(self.true))
        self.terms = []
        for i, j in enumerate(cell):
            m = int((cell == j).sum())
            own = r if r else float(voronoi_exponent(m, loss.system))
            chosen = loss.exact if m == 1 else loss.over
            self.terms.append([(t.parts, float(t.exponent(own)), t.rows, i) for t in chosen])
        self.shapes = {name: value[cell].shape for name, value in truth.components().items()}
        self.sizes = {name: int(np.prod(shape)) for name, shape in self.shapes.items()}
        self.size = sum(self.sizes.values()) + truth.k + len(cell)
        self.y, self.y_weights = response_values(truth, x)
        self.root = np.sqrt(self._density(truth.log_weights.astype(Real), self._true_parts()))

    def _true_parts(self) -> dict[str, np.ndarray]:
        return {name: value.astype(Real) for name, value in self.truth.components().items()}

    def gates(self, log_weights: np.ndarray, gate_slopes: np.ndarray) -> np.ndarray:
        """log w_i + beta_1i' z, shape (m, k); minus infinity where a sparse gate does not select i."""
        score = self.z @ gate_slopes.T
        if self.kept is None:
            return log_weights + score
        rank = score if self.truth.gate_options["rank_on"] == "score" else log_weights + score
        least = np.sort(rank, axis=1)[:, [-self.kept]]
        return np.where(rank >= least, log_weights + score, -np.inf)

    def experts(self, parts: dict[str, np.ndarray]) -> np.ndarray:
        """Densities of the atoms at the values of y, shape (m, k, S)."""
        eta = parts["intercepts"] + np.einsum("nd,kmd->nkm", self.x, parts["slopes"])
        variances = parts["variances"][:, 0] if "variances" in parts else None
        return expert_densities(self.truth, eta, variances, self.y)

    def _density(self, log_weights: np.ndarray, parts: dict[str, np.ndarray]) -> np.ndarray:
        """p(y | x) at the values of y, shape (m, S)."""
        gate = self.gates(log_weights, parts["gate_slopes"])
        gate = np.exp(gate - gate.max(axis=1, keepdims=True))
        gate = gate / gate.sum(axis=1, keepdims=True)
        return np.einsum("nk,nks->ns", gate, self.experts(parts))

    def place(self, v: np.ndarray, eps: float) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Log-weights and components of the measure with loss eps in the direction v."""
        u, start = {}, 0
        for name, size in self.sizes.items():
            u[name] = v[start : start + size].reshape(self.shapes[name]).astype(Real)
            start += size
        gain = v[start : start + self.truth.k].astype(Real)
        gain[self.reference] = 0.0
        logits = v[start + self.truth.k :].astype(Real)
        share = np.empty(len(self.cell), dtype=Real)
        for j in range(self.truth.k):
            own = self.cell == j
            e = np.exp(logits[own] - logits[own].max())
            share[own] = e / e.sum()
        inside = self.cell == self.reference
        u["gate_slopes"] = self._centred(u["gate_slopes"], share, inside)
        size = np.zeros(len(self.cell), dtype=Real)
        for terms in self.terms:
            for parts, rho, rows, i in terms:
                if rows:
                    flat = u[parts[0]][i].reshape(u[parts[0]].shape[1], -1)
                    size[i] += (np.sqrt((flat**2).sum(axis=1)) ** rho).sum()
                else:
                    size[i] += np.sqrt(sum((u[n][i] ** 2).sum() for n in parts)) ** rho
        a = (share * self.true[self.cell] * size).sum() + np.abs(gain).sum() - eps * gain.sum()
        b = eps * (share * gain[self.cell] * size).sum()
        s = 2 / (
            a + np.sqrt(np.maximum(a * a + 4 * b, 0))
        )  # the root of b s^2 + a s = 1 that is 1 / a at b = 0
        out = {name: value[self.cell].astype(Real) for name, value in self.truth.components().items()}
        for terms in self.terms:
            for parts, rho, _, i in terms:
                for n in parts:
                    out[n][i] += (s * eps) ** (1 / Real(rho)) * u[n][i]
        total = self.true + s * eps * gain
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.log(share * total[self.cell]), out

    def _centred(self, slopes: np.ndarray, share: np.ndarray, inside: np.ndarray) -> np.ndarray:
        """The mean beta_1 of the reference cell stays; elsewhere nothing changes."""
        slopes[inside] -= share[inside] @ slopes[inside]
        return slopes

    def random(self, rng: np.random.Generator, eps: float, odd: bool) -> np.ndarray:
        """A direction to start from; an odd one has a small atom far away in each cell of several."""
        v = rng.standard_normal(self.size)
        if not odd or not np.isfinite(self.box):
            return v
        v *= 0.01
        start = 0
        seen: set[int] = set()
        small = np.array([j in seen or bool(seen.add(int(j))) for j in self.cell.tolist()])
        squares = np.zeros(len(self.cell))
        for name, size in self.sizes.items():
            to = rng.uniform(-self.box, self.box, self.shapes[name])
            delta = (to - self.truth.components()[name][self.cell]).reshape(len(self.cell), -1)
            v[start : start + size].reshape(len(self.cell), -1)[small] = delta[small] / np.sqrt(eps)
            squares += (delta**2).sum(axis=1)
            start += size
        share = np.minimum(0.5, eps / (self.true[self.cell].astype(float) * squares))
        v[start + self.truth.k :][small] = np.log(share[small])
        return v

    def gap(self, v: np.ndarray, eps: float) -> np.ndarray:
        """(sqrt p - sqrt p*) / eps, each square a share of H^2 / eps^2, and how far atoms are beyond the
        box."""
        with np.errstate(all="ignore"):
            log_weights, parts = self.place(v, eps)
            p = self._density(log_weights, parts)
            out = (np.sqrt(p) - self.root) * np.sqrt(self.y_weights / (2 * len(self.x))) / eps
        out = np.where(np.isfinite(out), out, FAR).ravel()
        if np.isfinite(self.box):
            beyond = [np.maximum(np.abs(value) / self.box - 1, 0).ravel() for value in parts.values()]
            out = np.concatenate([out, np.minimum(np.concatenate(beyond), FAR)])
        return out

    def slopes(self, v: np.ndarray, eps: float) -> np.ndarray:
        """Derivatives of `gap` by central differences: the flat directions need the digits of `Real`."""
        out = np.zeros((max(len(self.gap(v, eps)), self.size), self.size))
        for i in range(self.size):
            step = np.zeros(self.size)
            step[i] = STEP
            change = (self.gap(v + step, eps) - self.gap(v - step, eps)) / (2 * STEP)
            out[: len(change), i] = change
        return out

    def descend(self, start: np.ndarray, eps: float) -> tuple[np.ndarray, float]:
        """A local minimum from `start`, and its distance; infinite where an atom left its cell."""
        from scipy.optimize import least_squares

        def values(v: np.ndarray) -> np.ndarray:
            own = self.gap(v, eps)
            out = np.zeros(max(len(own), self.size))  # MINPACK wants as many equations as unknowns
            out[: len(own)] = own
            return out

        def slopes(v: np.ndarray) -> np.ndarray:
            return self.slopes(v, eps)

        jac: Any = slopes
        found = least_squares(
            values, start, jac, method="lm",
            xtol=1e-12, ftol=1e-6, gtol=1e-12, max_nfev=STEPS,
        )  # fmt: skip
        own = self.gap(found.x, eps)[: self.root.size]
        distance = float(np.sqrt((own**2).sum()) * eps)
        return found.x, distance if self.stays(found.x, eps) else np.inf

    def stays(self, v: np.ndarray, eps: float) -> bool:
        """Whether every atom is nearest to the true atom of its cell, and in the box."""
        fit = self.measure(v, eps)
        if not np.isfinite(fit.atoms()).all() or np.abs(fit.atoms()).max() > self.box * (1 + EDGE):
            return False
        gap = ((fit.atoms()[:, None] - self.truth.atoms()) ** 2).sum(axis=2)
        return bool((gap.argmin(axis=1) == self.cell).all())

    def measure(self, v: np.ndarray, eps: float) -> MixingMeasure:
        """The measure of a direction."""
        log_weights, parts = self.place(v, eps)
        parts = {name: np.asarray(value, dtype=float) for name, value in parts.items()}
        with np.errstate(invalid="ignore", divide="ignore"):
            nuisances = (
                np.log(parts.pop("variances")) if "variances" in parts else np.zeros((len(self.cell), 0))
            )
        return replace(
            self.truth.permute(self.cell.tolist()),
            log_weights=np.asarray(log_weights, dtype=float),
            nuisances=nuisances,
            **parts,
        )


def check_question(
    truth: Any, k: int, loss: str, r: float | None, x: Any, z: Any
) -> tuple[float | None, np.ndarray, np.ndarray]:
    """The power, the inputs and the gate columns of a question about measures near `truth`, checked."""
    k = whole("k", k)
    sparse = isinstance(truth, MixingMeasure) and truth.gate == "top-k" and k == truth.k
    if not isinstance(truth, MixingMeasure) or not (truth.gate == "softmax" or sparse):
        raise DataError("modulus takes a mixing measure with a softmax gate, or a top-K gate and k = k*")
    if truth.law.name not in FAMILIES:
        raise DataError(f"modulus knows {', '.join(FAMILIES)} experts, not {truth.law.name} ones")
    known = isinstance(loss, str) and loss in LOSSES
    if not known or LOSSES[loss].top_k or LOSSES[loss].at_origin is not None:
        raise DataError(f"modulus takes a loss of softmax gates, not {loss!r}")
    if {p for t in LOSSES[loss].exact for p in t.parts} != set(truth.components()):
        raise DataError(f"{loss} is not a loss of this model")
    r = power_of(loss, LOSSES[loss].needs_r, r)
    if k < truth.k:
        raise DataError(f"k={k} is below the {truth.k} atoms of the truth")
    x = reals("x", x)
    z = x if z is None else reals("z", z)
    shape = (truth.slopes.shape[2], truth.gate_slopes.shape[1])
    if x.ndim != 2 or z.ndim != 2 or len(x) != len(z) or (x.shape[1], z.shape[1]) != shape:
        raise DataError(f"x and z must be matrices of {shape[0]} and {shape[1]} columns")
    return r, x, z
