"""Atoms of softmax-gated and of located measures as the dendrogram merges them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..engine import Order, make_engine
from ..gates import log_sum_exp
from ..located import LocatedFit
from ..located.data import Data
from ..located.measure import LocatedMeasure
from ..model import Model
from ..problems import MixtureFit
from ..rows import Rows, RowsElsewhere


@dataclass(frozen=True)
class SoftmaxAtoms:
    """Atoms of a softmax-gated model in scaled columns.

    A pair is compared and merged at its own centre o, the mean of the rows that it answers for: there beta_0
    and b are values of the gate and of the expert that data have seen, whatever the origin of the columns.
    With w the shares of the pair's gate at o,

        beta_0* = log(e^beta_0i + e^beta_0j),   beta_1*, b* weighted means,
        a* = sum w (a + (beta_1 - beta_1*)(b - b*)),   sigma* = sum w (sigma + (b - b*)^2),

    since u = exp(beta_1 x) f has d2u / dbeta_1 db = du / da and d2u / db2 = 2 du / dsigma. Where gate and
    experts have different columns nothing ties a to beta_1, and a* is the weighted mean too; families other
    than the Gaussian have weighted means throughout.
    """

    model: Model
    rows: Rows | RowsElsewhere
    shares: np.ndarray
    gate: np.ndarray  # (k, q)
    experts: np.ndarray  # (k, m, p)
    variances: np.ndarray  # (k, nu)
    centres: tuple[np.ndarray, np.ndarray]  # of the gate's and of the experts' columns, with a leading one

    @classmethod
    def of(cls, fit: MixtureFit, rows: Rows | RowsElsewhere) -> SoftmaxAtoms:
        """Atoms of a fit with a softmax gate."""
        model = fit.model
        sums = [np.zeros((model.k, model.q)), np.zeros((model.k, model.p))]
        for block in rows.blocks():
            density = model.family.log_density(
                model.predictors(fit.theta, block.x, block.known), block.y[:, None]
            )
            joint = model.log_gate(fit.theta, block.z) + block.sum(density)
            r = np.exp(joint - log_sum_exp(joint)) * block.w[:, None]
            sums[0] += r.T @ block.z
            sums[1] += block.expand(r).T @ block.x
        mass, of_rows = (np.maximum(s[:, :1], 1e-300) for s in sums)
        return cls(
            model,
            rows,
            (mass / mass.sum())[:, 0],
            model.gate_rows(fit.theta),
            np.array(model.expert_coefficients(fit.theta)),
            np.exp(model.nuisances(fit.theta)),
            (sums[0] / mass, sums[1] / of_rows),
        )

    @property
    def theta(self) -> np.ndarray:
        """Parameters of these atoms, for `model`."""
        model = self.model
        return model.pack(model.free_rows(self.gate), self.experts, np.log(self.variances))

    def gaps(self) -> np.ndarray:
        """|difference of (beta_1, b)|^2 + |difference of (a, sigma)| of each pair; all squared where experts
        are not Gaussian."""
        k = len(self.shares)
        out = np.zeros((k, k))
        gaussian = self.model.family.has_variance
        for i in range(k):
            for j in range(i + 1, k):
                _, x = self._centre(i, j)
                apart = self.experts[i] - self.experts[j]
                slow = ((self.gate[i, 1:] - self.gate[j, 1:]) ** 2).sum() + ((apart @ x) ** 2).sum()
                fast = (apart[:, 1:] ** 2).sum()
                if gaussian:
                    fast = np.sqrt(fast + ((self.variances[i] - self.variances[j]) ** 2).sum())
                out[i, j] = out[j, i] = slow + fast
        return out

    def merged(self, i: int, j: int) -> SoftmaxAtoms:
        at = [i, j]
        z, x = self._centre(i, j)
        level = self.gate[at] @ z
        w = np.exp(level - np.logaddexp(level[0], level[1]))
        gate = w @ self.gate[at]
        gate[0] = np.logaddexp(level[0], level[1]) - gate[1:] @ z[1:]
        value = self.experts[at] @ x  # (2, m), at the pair's centre
        expert = np.tensordot(w, self.experts[at], axes=1)
        middle, variance = w @ value, w @ self.variances[at]
        if self.model.family.has_variance:
            off = value[:, 0] - middle[0]
            if self.rows.shared:
                expert[0, 1:] += (w * off) @ (self.gate[at, 1:] - gate[1:])
            variance = variance + w @ off**2
        expert[:, 0] = middle - expert[:, 1:] @ x[1:]
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
            centres=(joined(self.centres[0], z), joined(self.centres[1], x)),
        )

    def log_likelihood(self) -> float:
        return make_engine(self.model, self.rows).evaluate(self.theta, Order.VALUE).value

    def _centre(self, i: int, j: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean row of a pair, of the gate's and of the experts' columns."""
        share = self.shares[[i, j]] / max(self.shares[[i, j]].sum(), 1e-300)
        z, x = (share @ c[[i, j]] for c in self.centres)
        return z, x


@dataclass(frozen=True)
class LocatedAtoms:
    """Atoms of a located measure as Gaussians of the standardised (u, v): a merge matches mean and
    covariance."""

    data: Data
    shares: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, fit: LocatedFit, data: Data) -> LocatedAtoms:
        """Atoms of a fit of degree 1 without Student tails."""
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

    def gaps(self) -> np.ndarray:
        """|difference of (c, b)|^2 + |difference of (Gamma, A, Sigma)| of each pair."""
        m = self.measure()
        slow = np.concatenate([m.means, m.intercepts], axis=1)
        fast = np.concatenate([a.reshape(m.k, -1) for a in (m.covariances, m.slopes, m.noise)], axis=1)
        slow, fast = (((v[:, None] - v) ** 2).sum(axis=2) for v in (slow, fast))
        return slow + np.sqrt(fast)

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
        data = self.data
        value = self.measure().joint_log_density(data.u, data.v)
        return data.offset + float(value.sum() if data.weights is None else data.weights @ value)
