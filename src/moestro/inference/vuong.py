"""The likelihood-ratio test of Vuong (1989) between numbers of experts, as Lo, Mendell and Rubin (2001)
proposed it and Mplus and Stata print it.

Under regularity 2 (L1 - L0) is distributed as sum_j lambda_j Z_j^2, lambda the eigenvalues of

    W = [ B1 H1^-1,  B10 H0^-1 ; -B01 H1^-1, -B0 H0^-1 ],

H the observed informations, B the outer products of the scores of both models. A mixture with an expert too
many is not regular: Jeffries (2003) shows that the proof does not hold, and simulations that the test may be
far from its level. It is here for comparison with other programs; `bootstrap_test` needs no such condition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from ..problems import MixtureFit
from ..rows import Rows
from .bootstrap_test import likelihood_ratio
from .covariance import covariance, row_scores
from .estimates import experts, p_text

TERMS = 100_000  # of the sum for a tail probability
REACH = 80.0  # largest weights beyond which chi-squared variables hardly go


@dataclass(frozen=True)
class VuongTest:
    """A test of k experts against more; as text with its warning.

    Attributes
    ----------
    k, more : int
    statistic : float
        2 (L1 - L0).
    df : int
        Difference in parameters.
    mean, std : float
        Of its law where k experts are the truth.
    p : float
    adjusted, p_adjusted : float
        Of Lo, Mendell and Rubin: the statistic divided by 1 + 1 / (df log n).
    """

    k: int
    more: int
    statistic: float
    df: int
    mean: float
    std: float
    p: float
    adjusted: float
    p_adjusted: float

    def __str__(self) -> str:
        return (
            f"Vuong-Lo-Mendell-Rubin test of {experts(self.k)} against {self.more}: 2 log ratio "
            f"{self.statistic:.3f}, {self.df} more parameters, mean {self.mean:.3f}, standard deviation "
            f"{self.std:.3f}, {p_text(self.p)}\n"
            f"Lo-Mendell-Rubin adjusted: {self.adjusted:.3f}, {p_text(self.p_adjusted)}\n"
            "Its law is not proved for mixtures (Jeffries, 2003), and its level may be far from the stated "
            "one: prefer bootstrap_test."
        )


def vuong_test(
    smaller: MixtureFit, larger: MixtureFit, rows: tuple[Rows, Rows], engine: str = "auto", threads: int = 1
) -> VuongTest:
    """Of fits on the same units, each with its own rows' scaling."""
    parts = []
    for fit, own in zip((larger, smaller), rows[::-1], strict=True):
        scores = np.concatenate(list(row_scores(fit, own, engine, threads)))
        parts.append((scores, covariance(fit, own, engine=engine, threads=threads).matrix))
    weights = vuong_weights(*parts[0], *parts[1])
    statistic = likelihood_ratio(smaller, larger)
    df = larger.n_parameters - smaller.n_parameters
    adjusted = statistic / (1.0 + 1.0 / (df * np.log(larger.weight_sum)))
    return VuongTest(
        smaller.k, larger.k, statistic, df, float(weights.sum()), float(np.sqrt(2.0 * (weights**2).sum())),
        exceeds(weights, statistic), float(adjusted), exceeds(weights, float(adjusted)),
    )  # fmt: skip


def vuong_weights(
    scores: np.ndarray, inverse: np.ndarray, scores0: np.ndarray, inverse0: np.ndarray
) -> np.ndarray:
    """lambda of scores (u, P) with inverse information (P, P) against scores0 (u, P0), inverse0; those that
    are rounding are left out."""
    B, B0, across = scores.T @ scores, scores0.T @ scores0, scores.T @ scores0
    W = np.block([[B @ inverse, across @ inverse0], [-across.T @ inverse, -B0 @ inverse0]])
    values = np.linalg.eigvals(W).real
    return values[np.abs(values) > 1e-8 * np.abs(values).max(initial=0.0)]


def exceeds(weights: np.ndarray, q: float) -> float:
    """P(sum_j lambda_j Z_j^2 > q) by numerical inversion of the characteristic function (Davies, 1973).

    1/2 + sum_k sin(theta(u_k)) / (pi (k + 1/2) rho(u_k)) at u_k = (k + 1/2) STEP, with
    theta = sum atan(2 lambda u) / 2 - q u and rho = prod (1 + 4 lambda^2 u^2)^(1/4); the step is so small
    that the probability of what it folds back, beyond 2 pi / STEP, is nil.
    """
    if not len(weights):
        raise DataError("no parameter of these fits has a standard error, so the test has no distribution")
    scale = np.abs(weights).max()
    lam, q = weights / scale, q / scale
    step = 2.0 * np.pi / (abs(q) + REACH + 4.0 * np.abs(lam).sum())
    middle = np.arange(TERMS) + 0.5
    u = middle * step
    theta, log_rho = -q * u, np.zeros(TERMS)
    for one in lam:
        theta += 0.5 * np.arctan(2.0 * one * u)
        log_rho += 0.25 * np.log1p((2.0 * one * u) ** 2)
    total = float((np.sin(theta) * np.exp(-log_rho) / middle).sum())
    return float(np.clip(0.5 + total / np.pi, 0.0, 1.0))
