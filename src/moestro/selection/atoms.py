"""Atoms of softmax-gated and of located measures as the dendrogram merges them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..engine import Order, make_engine
from ..errors import DataError
from ..located.data import Data
from ..located.fit import LocatedFit
from ..located.measure import LocatedMeasure
from ..model import Model
from ..rows import Rows
from ..solvers import Fit


@dataclass(frozen=True)
class SoftmaxAtoms:
    """Atoms of a softmax-gated model in scaled columns.

    Gaussian experts: beta_0* = log(e^beta_0i + e^beta_0j), beta_1* and b* weighted means,
    a* = sum w (a + (beta_1 - beta_1*)(b - b*)), sigma* = sum w (sigma + (b - b*)^2): u = exp(beta_1 x) f has d2u/dbeta_1 db = du/da
    and d2u/db2 = 2 du/dsigma. Where gate and experts have different columns nothing ties a to beta_1, and a* is the weighted mean too; other
    families have weighted means throughout.
    """

    model: Model
    rows: Rows
    shares: np.ndarray
    gate: np.ndarray  # (k, q)
    experts: np.ndarray  # (k, m, p)
    variances: np.ndarray  # (k, nu)

    @classmethod
    def of(cls, fit: Fit, rows: Rows) -> SoftmaxAtoms:
        """Atoms of a fit."""
        model = fit.model
        if model.gate.name != "softmax":
            raise DataError(
                f"a dendrogram is defined for softmax and Gaussian gates, not for {model.gate.name}"
            )
        return cls(
            model,
            rows,
            fit.mass / fit.mass.sum(),
            model.gate_rows(fit.theta),
            np.array(model.expert_coefficients(fit.theta)),
            np.exp(model.nuisances(fit.theta)),
        )

    @property
    def theta(self) -> np.ndarray:
        """Parameters of these atoms, for `model`."""
        model = self.model
        return model.pack(model.free_rows(self.gate), self.experts, np.log(self.variances))

    def parts(self) -> tuple[np.ndarray, np.ndarray]:
        k = len(self.shares)
        b, a = self.experts[:, :, 0], self.experts[:, :, 1:].reshape(k, -1)
        if self.model.family.name == "gaussian":
            return np.concatenate([self.gate[:, 1:], b], axis=1), np.concatenate([a, self.variances], axis=1)
        return np.concatenate([self.gate[:, 1:], b, a], axis=1), self.variances[:, :0]

    def merged(self, i: int, j: int) -> SoftmaxAtoms:
        at = [i, j]
        w = self.shares[at] / self.shares[at].sum()
        gate = w @ self.gate[at]
        gate[0] = np.logaddexp(*self.gate[at, 0])
        expert = np.tensordot(w, self.experts[at], axes=1)
        variance = w @ self.variances[at]
        if self.model.family.name == "gaussian":
            off = self.experts[at, 0, 0] - expert[0, 0]
            if self.rows.shared:
                expert[0, 1:] += (w * off) @ (self.gate[at, 1:] - gate[1:])
            variance = variance + w @ off**2
        keep = np.delete(np.arange(len(self.shares)), j)

        def joined(old: np.ndarray, new: np.ndarray | float) -> np.ndarray:
            out = old.copy()
            out[i] = new
            return out[keep]

        return replace(
            self,
            model=replace(self.model, k=self.model.k - 1),
            shares=joined(self.shares, self.shares[at].sum()),
            gate=joined(self.gate, gate),
            experts=joined(self.experts, expert),
            variances=joined(self.variances, variance),
        )

    def log_likelihood(self) -> float:
        return make_engine(self.model, self.rows).evaluate(self.theta, Order.VALUE).value


@dataclass(frozen=True)
class LocatedAtoms:
    """Atoms of a located measure as Gaussians of the standardised (u, v): a merge matches mean and covariance."""

    data: Data
    shares: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, fit: LocatedFit, data: Data) -> LocatedAtoms:
        """Atoms of a fit of degree 1 without Student tails."""
        if fit.specification.degree > 1 or fit.specification.student:
            raise DataError("a dendrogram is defined for affine experts with Gaussian tails")
        mean, covariance = fit.fitted.joint()
        return cls(
            data,
            fit.fitted.weights,
            (mean - data.center) / data.scale,
            covariance / np.outer(data.scale, data.scale),
        )

    def measure(self) -> LocatedMeasure:
        """The atoms in standardised columns."""
        return LocatedMeasure.from_joint(
            self.shares / self.shares.sum(), self.mean, self.covariance, self.data.p
        )

    def in_user_units(self) -> LocatedMeasure:
        """The atoms in the user's units, in the direction of the fit."""
        data = self.data
        return LocatedMeasure.from_joint(
            self.shares / self.shares.sum(),
            self.mean * data.scale + data.center,
            self.covariance * np.outer(data.scale, data.scale),
            data.p,
        )

    def parts(self) -> tuple[np.ndarray, np.ndarray]:
        m = self.measure()
        k = m.k
        at = np.triu_indices(m.d), np.triu_indices(m.q)
        gamma, sigma = m.covariances[:, *at[0]], m.noise[:, *at[1]]
        slow = np.concatenate([m.means, m.intercepts], axis=1)
        return slow, np.concatenate([gamma, m.slopes.reshape(k, -1), sigma], axis=1)

    def merged(self, i: int, j: int) -> LocatedAtoms:
        at = [i, j]
        w = self.shares[at] / self.shares[at].sum()
        mean = w @ self.mean[at]
        off = self.mean[at] - mean
        covariance = np.tensordot(w, self.covariance[at] + off[:, :, None] * off[:, None, :], axes=1)
        keep = np.delete(np.arange(len(self.shares)), j)
        shares, means, covariances = self.shares.copy(), self.mean.copy(), self.covariance.copy()
        shares[i], means[i], covariances[i] = self.shares[at].sum(), mean, covariance
        return replace(self, shares=shares[keep], mean=means[keep], covariance=covariances[keep])

    def log_likelihood(self) -> float:
        m, total = self.measure(), self.data.offset
        for start in range(0, len(self.data.u), 4096):
            at = slice(start, start + 4096)
            value = m.joint_log_density(self.data.u[at], self.data.v[at])
            total += float(value.sum() if self.data.weights is None else self.data.weights[at] @ value)
        return total
