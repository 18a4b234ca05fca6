"""Blocks, degree and number of located polynomial experts by penalised likelihood (BLoMPE, arXiv
2104.08959)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError
from ..located import LocatedMeasure, Specification
from ..search import Options
from ..selection import LocatedModels, choose, sweep
from ..theory.divergences import monte_carlo
from .design import Arm, Row, Study, check_options, read_truth

CORRELATION, SPREAD = 0.7, 0.3  # within a block, and the standard deviation of each response
PARTITION = [[0, 1], [2], [3]]
# Coefficients of 1, x, x^2 of the four responses' means.
MEANS = [
    [[0.0, 1.0, 0.8], [0.5, -1.0, 0.0], [1.0, 0.0, -0.6], [0.0, 0.5, 0.0]],
    [[2.0, -1.0, -0.5], [-1.0, 1.0, 0.4], [0.0, -0.8, 0.0], [1.0, 0.0, 0.7]],
]
CENTRES, VARIANCE = (-1.0, 1.0), 0.3
RULES = ("djump", "ddse", "bic")
RHO, DRAWS = 0.5, 20  # of the Jensen-Kullback-Leibler loss, and responses drawn at each input for it
STARTS, TOL = 2, 1e-6


def arms(protocol: str, scale: str) -> list[Arm]:
    """Two quadratic experts of four responses, two of them correlated."""
    truth = {"means": MEANS, "blocks": PARTITION}
    if scale == "smoke":
        return [Arm("two of four correlated", 2, (300,), 1, truth, {"degrees": [1, 2]})]
    sizes = (250, 500, 1000, 2000, 4000)
    return [Arm("two of four correlated", 4, sizes, 50, truth, {"degrees": [1, 2, 3]})]


def build(means: Any, blocks: Any) -> LocatedMeasure:
    """The true measure: polynomial means, one variance, one correlation within blocks."""
    coefficients = np.array(means, dtype=float)
    k, q, degree = len(coefficients), coefficients.shape[1], coefficients.shape[2] - 1
    if sorted(i for block in blocks for i in block) != list(range(q)):
        raise ValueError(f"blocks {blocks} are no partition of {q} responses")
    noise = np.eye(q)
    for block in blocks:
        noise[np.ix_(block, block)] = CORRELATION
    noise[np.diag_indices(q)] = 1.0
    return LocatedMeasure(
        weights=np.full(k, 1 / k),
        means=np.linspace(*CENTRES, k)[:, None],
        covariances=np.full((k, 1, 1), VARIANCE),
        slopes=coefficients[:, :, 1:],
        intercepts=coefficients[:, :, 0],
        noise=np.tile(SPREAD**2 * noise, (k, 1, 1)),
        degree=degree,
    )


def check(arm: Arm) -> None:
    """A truth that is a measure, and degrees to choose among."""
    check_options(arm, {"degrees"})
    read_truth(arm, build)
    degrees = arm.options.get("degrees", [])
    if not degrees or not all(isinstance(v, int) and v >= 1 for v in degrees):
        raise DataError(f"arm {arm.name!r}: degrees are whole numbers of at least 1, got {degrees!r}")


def fit(arm: Arm, protocol: str, n: int, rng: np.random.Generator) -> Row:
    """Every number of experts, degree and partition of the data's own path; what each rule chooses, its loss
    and that of the best of them."""
    truth = read_truth(arm, build)
    x, y, _ = truth.sample(n, rng)
    models = LocatedModels(x, y, [
        Specification(covariance="blocks", degree=degree) for degree in arm.options["degrees"]
    ])  # fmt: skip
    options = Options(n_starts=STARTS, tol=TOL, seed=int(rng.integers(2**31)))
    fits = [f for f in sweep(models, range(1, arm.k + 1), options).fits if f.status.usable]
    rows = np.repeat(x, DRAWS, axis=0)
    draws = truth.law(rows).sample(rng)
    exact = truth.log_density(rows, draws)
    losses = {id(f): divergence(exact, f.measure.log_density(rows, draws), draws) for f in fits}
    partition = sorted(sorted(block) for block in arm.truth["blocks"])
    out: Row = {"models": len(fits), "oracle": min(losses.values())}
    for rule in RULES:
        chosen = fits[choose(fits, rule).index]
        found = chosen.specification
        out[f"{rule}_k"], out[f"{rule}_degree"] = chosen.k, found.degree
        out[f"{rule}_blocks"] = float(right_blocks(found.blocks, partition))
        out[f"{rule}_right"] = float(
            out[f"{rule}_blocks"] and chosen.k == truth.k and found.degree == truth.degree
        )
        out[f"{rule}_jkl"] = losses[id(chosen)]
        out[f"{rule}_ratio"] = losses[id(chosen)] / out["oracle"]
    best = fits[choose(fits, "djump").index]
    return {
        **out,
        "log_likelihood": best.log_likelihood,
        "iterations": sum(f.n_iter for f in fits),
        "gradient": best.gradient_norm,
        "status": str(best.status.kind),
    }


def divergence(exact: np.ndarray, fitted: np.ndarray, draws: np.ndarray) -> float:
    """JKL_rho(s0, s) averaged over the observed inputs."""
    return float(monte_carlo(lambda _: exact, lambda _: fitted, draws, "jensen-kl", RHO))


def right_blocks(blocks: Any, partition: list[list[int]]) -> bool:
    """Whether every component has the partition; a learned one lists a partition for each."""
    deep = bool(len(blocks)) and bool(len(blocks[0])) and not isinstance(blocks[0][0], int | np.integer)
    each = blocks if deep else [blocks]
    return all(sorted(sorted(int(i) for i in block) for block in one) == partition for one in each)


STUDY = Study(
    name="blompe",
    title="Blocks, degree and number of located polynomial experts",
    paper="arXiv 2104.08959",
    arms=arms,
    fit=fit,
    check=check,
    lines={"djump_jkl": "none: the oracle's, up to a factor and pen / n", "oracle": "-1"},
    protocols=("as_defined",),
    choices=tuple(f"{rule}_{what}" for rule in RULES for what in ("k", "degree")),
    columns=(
        *(f"{rule}_{what}" for rule in RULES for what in ("right", "blocks", "jkl", "ratio")),
        "oracle",
    ),
    differences=(
        "The paper has no numerical part, the design is ours. Two quadratic experts of four responses, two "
        "of which are correlated (0.7). Models are numbers of experts, degrees of the means, and the "
        "partitions that thresholds on residual covariances give (the random sub-collection). Each rule "
        "penalises minus the log-likelihood by a multiple of the number of parameters: the dimension jump, "
        "the slope estimation, BIC. `right` is the share of data sets where number, degree and blocks are "
        "the truth's, `jkl` the Jensen-Kullback-Leibler loss (rho = 1/2) of the choice at the observed "
        "inputs, `ratio` that loss over the smallest among the models fitted (`oracle`): the oracle "
        "inequality says that it is bounded, up to the penalty."
    ),
)
