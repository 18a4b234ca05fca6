"""A pre-trained expert contaminated by one trainable Gaussian prompt (arXiv 2505.18455).

    p(y | x) = (1 - s) f0(y | tanh(eta_0' x), nu_0) + s N(y; tanh(eta' x), nu),    s = sigmoid(beta' x + tau)

Twelve published slopes: the best specified of this family of papers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..engine import Evaluation, Order
from ..errors import DataError
from ..experts.gaussian import LOG_2PI
from ..solvers import Newton, run
from ..solvers.base import ROUNDOFF
from .design import Arm, Published, Row, Study, check_options, log_sizes

D = 8
NU_0 = 1e-3
CASES = ("distinguishable", "close direction", "close variance")
PUBLISHED = {
    "distinguishable": (-0.45, -0.52, -0.50, -0.54),
    "close direction": (-0.37, -0.23, -0.39, -0.35),
    "close variance": (-0.39, -0.22, -0.37, -0.39),
}
LINES = {"beta": "-1/2; -3/8", "tau": "-1/2; -1/4 (of exp(tau))", "eta": "-1/2; -3/8", "nu": "-1/2; -3/8"}
NU_BOUNDS = (-16.0, 4.0)


@dataclass(frozen=True)
class Prompt:
    """theta = (tau, beta, eta, log nu)."""

    beta: np.ndarray
    tau: float
    eta: np.ndarray
    nu: float

    def theta(self) -> np.ndarray:
        return np.concatenate([[self.tau], self.beta, self.eta, [np.log(self.nu)]])


@dataclass(frozen=True)
class ContaminatedLikelihood:
    """Observed log-likelihood of the prompt with the pre-trained density held; what Newton asks for.

    Attributes
    ----------
    x : ndarray of shape (n, d)
    y : ndarray of shape (n,)
    log_f0 : ndarray of shape (n,)
        Log-density of the pre-trained expert at each row.
    """

    x: np.ndarray
    y: np.ndarray
    log_f0: np.ndarray

    @cached_property
    def weight_sum(self) -> float:
        return float(len(self.y))

    @property
    def diagonal_share(self) -> float:
        return ROUNDOFF

    @property
    def coordinates(self) -> Any:
        return self

    @cached_property
    def lower(self) -> np.ndarray:
        return np.append(np.full(2 * self.x.shape[1] + 1, -1e4), NU_BOUNDS[0])

    @cached_property
    def upper(self) -> np.ndarray:
        return np.append(np.full(2 * self.x.shape[1] + 1, 1e4), NU_BOUNDS[1])

    @property
    def size(self) -> int:
        return len(self.lower)

    def inward(self, phi: np.ndarray, gradient: np.ndarray) -> np.ndarray:
        return ~(((phi <= self.lower) & (gradient < 0)) | ((phi >= self.upper) & (gradient > 0)))

    def gradient_norm(self, phi: np.ndarray, gradient: np.ndarray) -> float:
        return float(np.abs(np.where(self.inward(phi, gradient), gradient, 0.0)).max()) / self.weight_sum

    def evaluate(self, phi: np.ndarray, order: Order) -> Evaluation:
        d = self.x.shape[1]
        Z = np.column_stack([np.ones(len(self.y)), self.x])
        u = Z @ phi[: d + 1]
        h = np.tanh(self.x @ phi[d + 1 : 2 * d + 1])
        precision = np.exp(-phi[-1])
        e = self.y - h
        log_1 = -np.logaddexp(0, -u) - 0.5 * (LOG_2PI + phi[-1] + e**2 * precision)
        log_0 = -np.logaddexp(0, u) + self.log_f0
        L = np.logaddexp(log_1, log_0)
        value, r = float(L.sum()), np.exp(log_1 - L)
        if order == Order.VALUE:
            return Evaluation(value, np.array([r.sum()]))
        s, slope = 0.5 * (1 + np.tanh(0.5 * u)), 1 - h**2
        # Scores of u, of eta' x and of log nu in the prompt's own density, and their second derivatives.
        a, b, c = 1 - s, e * precision * slope, 0.5 * (e**2 * precision - 1)
        features = (Z, self.x, np.ones((len(self.y), 1)))
        places = (slice(0, d + 1), slice(d + 1, 2 * d + 1), slice(2 * d + 1, 2 * d + 2))
        total = (r - s, r * b, r * c)
        gradient = np.concatenate([f.T @ v for f, v in zip(features, total, strict=True)])
        zero = np.zeros(len(u))
        bb = precision * (-(slope**2) - 2 * e * h * slope)
        own = ((zero, zero, zero), (zero, bb, -b), (zero, -b, -0.5 * e**2 * precision))
        inner = (a + s, b, c)  # of log prompt - log f0: d/du of log(s / (1 - s)) is one
        info = ((s * (1 - s), zero, zero), (zero, r * precision * slope**2, zero), (zero, zero, 0.5 * r))
        H, D_ = np.zeros((self.size, self.size)), np.zeros((self.size, self.size))
        for i in range(3):
            for j in range(3):
                weight = (
                    r * (1 - r) * inner[i] * inner[j] + r * own[i][j] - (s * (1 - s) if i == j == 0 else 0.0)
                )
                H[places[i], places[j]] = (features[i] * weight[:, None]).T @ features[j]
                if i == j:
                    D_[places[i], places[j]] = (features[i] * info[i][j][:, None]).T @ features[j]
        return Evaluation(value, np.array([r.sum()]), gradient, D_, H)


def arms(protocol: str, scale: str) -> list[Arm]:
    """Three cases."""
    sizes, replicates = ((1000, 4000), 2) if scale == "smoke" else (log_sizes(1000, 100_000, 20), 40)
    return [
        Arm(
            case,
            1,
            sizes,
            replicates,
            {"case": case},
            {"dimension": D, "uninformed": 0 if protocol == "as_published" else 3},
        )
        for case in CASES
    ]


def check(arm: Arm) -> None:
    """A known case and known options."""
    check_options(arm, {"dimension", "uninformed"})
    if arm.truth.get("case") not in CASES or set(arm.truth) != {"case"}:
        raise DataError(f"arm {arm.name!r}: the truth is one of {', '.join(CASES)}, got {arm.truth!r}")
    if arm.k != 1:
        raise DataError(f"arm {arm.name!r}: there is one prompt, got k={arm.k}")


def _truth(case: str, n: int, d: int) -> Prompt:
    eta_0 = np.eye(d)[0]
    close = n ** (-1 / 8)
    beta = np.full(d, d**-0.5)
    if case == "distinguishable":
        return Prompt(beta, 1.0, -eta_0, NU_0)
    if case == "close direction":
        return Prompt(beta, 1.0, eta_0 * (1 + close), NU_0)
    return Prompt(beta, 1.0, -eta_0, NU_0 * (1 + close))


def fit(arm: Arm, protocol: str, n: int, rng: np.random.Generator) -> Row:
    """The maximum next to the truth as published; the best of several as defined."""
    case, d = arm.truth["case"], int(arm.options["dimension"])
    truth = _truth(case, n, d)
    x = rng.standard_normal((n, d))
    prompt = rng.random(n) < 1 / (1 + np.exp(-(x @ truth.beta + truth.tau)))
    h_0 = np.tanh(x[:, 0])
    laplace = case == "distinguishable"
    scale = np.sqrt(NU_0 / 2)  # of a Laplace law with variance nu_0
    noise_0 = rng.laplace(0, scale, n) if laplace else rng.normal(0, np.sqrt(NU_0), n)
    y = np.where(prompt, np.tanh(x @ truth.eta) + rng.normal(0, np.sqrt(truth.nu), n), h_0 + noise_0)
    gap = y - h_0
    log_f0 = (
        -np.log(2 * scale) - np.abs(gap) / scale
        if laplace
        else -0.5 * (LOG_2PI + np.log(NU_0) + gap**2 / NU_0)
    )
    target = ContaminatedLikelihood(x, y, log_f0)
    starts = [
        truth.theta() + rng.normal(0, 0.05 * n**-0.083, target.size) * np.append(np.ones(2 * d + 1), 0.1)
    ]
    starts += [
        np.concatenate([[0.0], np.zeros(d), rng.normal(0, 1, d), [np.log(gap.var() + NU_0)]])
        for _ in range(int(arm.options.get("uninformed", 0)))
    ]
    done = [run(Newton(), target, np.clip(s, target.lower, target.upper), tol=1e-8) for s in starts]
    best = max(done, key=lambda o: o.value)
    phi = best.phi
    tau = abs(phi[0] - truth.tau) if case == "distinguishable" else abs(np.exp(phi[0]) - np.exp(truth.tau))
    assert best.evaluation.gradient is not None
    return {
        "beta": float(np.linalg.norm(phi[1 : d + 1] - truth.beta)),
        "tau": float(tau),
        "eta": float(np.linalg.norm(phi[d + 1 : 2 * d + 1] - truth.eta)),
        "nu": float(abs(np.exp(phi[-1]) - truth.nu)),
        "log_likelihood": best.value,
        "iterations": best.iterations,
        "gradient": target.gradient_norm(phi, best.evaluation.gradient),
        "status": "converged" if best.converged else "stopped at the limit",
    }


STUDY = Study(
    name="contaminated",
    title="A pre-trained expert and one trainable prompt",
    paper="arXiv 2505.18455",
    arms=arms,
    fit=fit,
    check=check,
    lines=LINES,
    published={
        (case, column): Published(value, None, 0.05, "printed in the figures")
        for case, values in PUBLISHED.items()
        for column, value in zip(("beta", "tau", "eta", "nu"), values, strict=True)
    },
    differences=(
        "Both protocols maximise the same likelihood by Newton's method; the published code reaches the "
        "maximum next to the truth by EM. As defined "
        "adds uninformed starts and keeps the best. The published description does not give the prompt's "
        "variance in the first case; "
        "it is taken equal to the pre-trained one's, 0.001. With that variance the two "
        "densities stay apart in both close cases (a prompt at distance n^(-1/8) in direction is several "
        "standard deviations away, and in "
        "'close variance' the directions have opposite signs), so the slow rates that are published for them "
        "do not show in the "
        "design as it is described."
    ),
)
