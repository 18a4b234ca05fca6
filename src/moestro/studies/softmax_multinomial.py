"""Softmax-gated multinomial logistic experts (arXiv 2310.14188): regimes 1 and 2, standard and modified gate.

The paper states rates and shows no figure, so the design is our own: one input to three on a grid, three
classes, two true experts, and counts instead of rows, so that n may be 10^10.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..design import apply_transform
from ..errors import DataError
from ..measure import MixingMeasure
from ..theory import appearing, hellinger, modulus, parameter_errors, voronoi_loss
from ..theory.splits import split_constant
from .counts import Counts, maximise_counts
from .design import Arm, Row, Study, check_atoms, check_options, log_sizes, read_truth
from .later import later_sizes
from .starts import near_softmax

REACH, INPUTS = 2.0, {1: 101, 2: 15, 3: 7}  # inputs a column, equally likely between -REACH and REACH
BOX = 5.0  # the parameters of the theory are bounded: so far, on columns of variance one
GATES = (None, "tanh", "cube", "sin")
# Among random truths of two experts and three classes whose slopes all differ, the one with the largest
# constant of `appearing` found (regime 1); the second expert without slopes (regime 2).
GATE = {"log_weights": [0.0, 0.0], "gate_slopes": [[-0.7], [0.0]]}
REGIMES = {
    1: {"intercepts": [[1.2, -1.2], [-0.2, 1.3]], "slopes": [[[-1.5], [-3.0]], [[-1.3], [1.4]]]},
    2: {"intercepts": [[1.2, -1.2], [-0.2, 1.3]], "slopes": [[[-1.5], [-3.0]], [[0.0], [0.0]]]},
}
# The same among 70 random truths with two columns of inputs.
TWO_COLUMNS: dict[str, Any] = {
    "log_weights": [0.0, 0.0],
    "gate_slopes": [[0.9, 0.2], [0.0, 0.0]],
    "intercepts": [[-0.8, 0.2], [-1.5, 0.6]],
    "slopes": [[[1.3, 0.9], [0.7, -2.6]], [[-1.5, 0.4], [-0.6, 3.0]]],
}
# And among 25 with three.
THREE_COLUMNS: dict[str, Any] = {
    "log_weights": [0.0, 0.0],
    "gate_slopes": [[-0.3, 0.3, -0.3], [0.0, 0.0, 0.0]],
    "intercepts": [[-0.4, 0.0], [-1.4, 0.0]],
    "slopes": [[[2.4, -1.1, 1.2], [-0.3, -1.5, 2.0]], [[-2.4, -1.0, 2.5], [-1.2, 1.7, 0.5]]],
}
OVER = "-1/4 (regime 2, k=3: none, not identified)"
LINES = {
    "hellinger": "-1/2",
    "loss": "-1/2 (regime 2, k=3: none, not identified)",
    "worst": "-1/2 (regime 2, k=3: none, not identified)",
    "gate_slopes_exact": "-1/2",
    "intercepts_exact": "-1/2",
    "slopes_exact": "-1/2",
    "gate_slopes_over": OVER,
    "intercepts_over": OVER,
    "slopes_over": OVER,
}


def _truth(regime: int) -> dict[str, Any]:
    return {**GATE, **REGIMES[regime]}


def name_of(transform: str | None) -> str:
    """What a gate is called."""
    return "standard" if transform is None else transform


def arms(protocol: str, scale: str) -> list[Arm]:
    """Exact and over-specified, both regimes, up to four gates; and two and three columns of inputs."""
    sizes, replicates = ((10_000, 1_000_000), 2) if scale == "smoke" else (log_sizes(10**4, 10**10, 4), 200)
    cases = [
        (f"regime {regime}, {name_of(transform)} gate, k={k}", k, replicates, _truth(regime), transform)
        for k in (2, 3)
        for regime in (1, 2)
        for transform in (GATES if k == 3 else GATES[:2])
    ]
    cases += [
        ("two inputs, standard gate, k=3", 3, min(replicates, 100), TWO_COLUMNS, None),
        ("three inputs, standard gate, k=3", 3, min(replicates, 50), THREE_COLUMNS, None),
    ]
    return [
        Arm(name, k, sizes, count, truth, {"gate_transform": transform, "uninformed": 2})
        for name, k, count, truth, transform in cases
    ]


def multinomial_measure(intercepts: list[list[float]], **parts: Any) -> MixingMeasure:
    """A measure of multinomial experts from plain lists."""
    k, m = len(intercepts), len(intercepts[0])
    classes = tuple(range(m + 1))
    return MixingMeasure(
        intercepts=np.array(intercepts, dtype=float),
        **parts,
        nuisances=np.zeros((k, 0)),
        family="multinomial",
        classes=classes,
    )


def check(arm: Arm) -> None:
    """k at least the truth's, known options."""
    check_options(arm, {"gate_transform", "uninformed"})
    truth = read_truth(arm, multinomial_measure)
    check_atoms(arm, truth.k)
    if truth.slopes.shape[2] not in INPUTS:
        raise DataError(
            f"arm {arm.name!r}: inputs are a line, a square or a cube, not of {truth.slopes.shape[2]}"
        )


def grid(d: int = 1, points: int | None = None) -> np.ndarray:
    """The inputs (m, d)."""
    line = np.linspace(-REACH, REACH, points or INPUTS[d])
    return np.stack([c.ravel() for c in np.meshgrid(*[line] * d, indexing="ij")], axis=1)


def columns(transform: str | None, x: np.ndarray) -> np.ndarray:
    """Gate columns M(x)."""
    return x if transform is None else apply_transform(transform, x)


def fit(arm: Arm, protocol: str, n: int, rng: np.random.Generator) -> Row:
    """The converged maximum on counts of n rows."""
    return fit_counts(arm, read_truth(arm, multinomial_measure), INPUTS, n, rng)


def fit_counts(
    arm: Arm, truth: MixingMeasure, points: dict[int, int], n: int, rng: np.random.Generator
) -> Row:
    """The converged maximum on counts of n rows of `truth`, at `points` inputs a column."""
    d = truth.slopes.shape[2]
    x = grid(d, points[d])
    z = columns(arm.options.get("gate_transform"), x)
    data = Counts.draw(truth, x, z, n, rng)
    starts = [near_softmax(truth, arm.k, n, rng, False)]
    if arm.k == truth.k + 1:
        starts.append(far_start(truth, n, rng))
    best = maximise_counts(
        data, starts, arm.k, truth, uninformed=int(arm.options.get("uninformed", 0)),
        seed=int(rng.integers(2**31)), box=BOX,
    )  # fmt: skip
    rows = np.asarray(hellinger(best.measure.conditional(x, z), truth.conditional(x, z)).rows)
    last = best.fit.history["gradient"]
    return {
        "loss": best.loss,
        "worst": best.worst,
        "hellinger": float(np.sqrt((rows**2).mean())),
        **{k: v for k, v in parameter_errors(best.measure, truth, 2.0).items() if v is not None},
        "log_likelihood": best.fit.log_likelihood,
        "iterations": best.fit.n_iter,
        "gradient": last[-1] if last else None,
        "status": str(best.fit.status.kind),
    }


def far_start(truth: MixingMeasure, n: int, rng: np.random.Generator) -> MixingMeasure:
    """The truth and an atom anywhere, of weight n^(-1/2): near the truth in density, far from it in loss."""
    out = truth.permute([*range(truth.k), int(rng.integers(truth.k))])
    log_weights = np.append(out.log_weights[:-1], out.log_weights[-1] - 0.5 * np.log(n))
    parts = {"gate_slopes": out.gate_slopes, "intercepts": out.intercepts, "slopes": out.slopes}
    parts = {name: np.array(value) for name, value in parts.items()}
    for value in parts.values():
        value[-1] = rng.uniform(-0.5 * BOX, 0.5 * BOX, value[-1].shape)
    return replace(out, log_weights=log_weights, **parts)


LOSSES = (0.1, 0.03, 0.01)
# Inputs a column of the moduli: more equations than a measure of two atoms has parameters.
POINTS = {1: 25, 2: 6, 3: 4}
HALF = 0.5  # of the largest split of an expert without slopes


def note(rows: list[Row], protocol: str) -> str:
    """What is known of the truths before any data."""
    x = grid(1, POINTS[1])
    lines = ["* Two atoms, smallest root mean square Hellinger distance at a loss (`theory.modulus`):"]
    for regime in REGIMES:
        truth = multinomial_measure(**_truth(regime))
        for transform in (None, "tanh"):
            found = modulus(truth, 2, "multinomial-D1", LOSSES, x=x, z=columns(transform, x), starts=2)
            lines.append(f"  * regime {regime}, {name_of(transform)} gate: {found}.")
    lines.append(
        f"* One atom more, its parameters within {BOX:g}, in the limit of small losses (`theory.appearing`):"
    )
    truth = multinomial_measure(**_truth(1))
    for transform in GATES:
        z = columns(transform, x)
        constant = appearing(truth, "multinomial-D1", x=x, z=z, box=BOX)
        lines.append(f"  * regime 1, {name_of(transform)} gate: {constant}.")
    for d, name, parts in ((2, "two", TWO_COLUMNS), (3, "three", THREE_COLUMNS)):
        constant = appearing(multinomial_measure(**parts), "multinomial-D1", x=grid(d, POINTS[d]), box=BOX)
        lines.append(f"  * {name} inputs, standard gate: {constant}.")
    lines.append("* One atom more in regime 2: not identified (`theory.splits`), whatever the gate.")
    truth = multinomial_measure(**_truth(2))
    other = split_constant(truth, 1, np.array([1.0, 0.0, -1.0]), HALF * smallest(truth))
    for transform in GATES:
        z = columns(transform, x)
        gap = hellinger(other.conditional(x, z), truth.conditional(x, z)).value
        lines.append(
            f"  * {name_of(transform)} gate: a split of the second expert with a loss of "
            f"{voronoi_loss(other, truth):.2g} has a Hellinger distance of {gap:.0e}."
        )
    return "\n".join(["## Before any data", "", *lines])


def smallest(truth: MixingMeasure) -> float:
    """The smallest probability of the second expert's classes."""
    logits = np.append(truth.intercepts[1], 0.0)
    return float((np.exp(logits) / np.exp(logits).sum()).min())


STUDY = Study(
    name="softmax-multinomial",
    title="Softmax-gated multinomial logistic experts",
    paper="arXiv 2310.14188",
    arms=arms,
    fit=fit,
    check=check,
    lines=LINES,
    note=note,
    table=later_sizes,
    protocols=("as_defined",),
    differences=(
        "The paper has no figure, so there is no published number to replay: these are the rates of its "
        f"theorems on a design of our own. Inputs are a grid of {INPUTS[1]} points, of {INPUTS[2]}^2 or of "
        f"{INPUTS[3]}^3, so that data are counts and n may be 10^10. Converged maximum likelihood over a "
        "start near the truth, one with a small third atom anywhere, and two that know nothing, to a "
        "gradient of 10^-4 n^(-3/4) a row, or to where rounding leaves no better point; "
        f"coefficients are held within {BOX:g} on standardised columns, "
        "since the parameters of the theory are bounded. `worst` is the largest loss found among points "
        "whose log-likelihood is within 1/2 of the maximum: the other ends, and points along the flattest "
        "directions. Errors of over-fitted atoms are weighted root mean squares. Rates are upper bounds up "
        "to logarithms. The last table (Results) has the slopes of means without the smallest size."
    ),
)
