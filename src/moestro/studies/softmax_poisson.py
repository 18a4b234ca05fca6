"""Softmax-gated Poisson experts: the rates of a loss of squares, on counts.

No paper states them. The second derivatives of the density in an atom's parameters are independent here, with
slopes or without, because those in the rate are a new function of y: so a loss with squares of over-fitted
atoms has a modulus of slope one (`theory.appearing`), and the study looks whether maximum likelihood has its
rates.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError
from ..measure import MixingMeasure
from ..theory import appearing, modulus
from .design import Arm, Row, Study, check_atoms, check_options, log_sizes, read_truth
from .later import later_sizes
from .softmax_multinomial import BOX, LOSSES, columns, fit_counts, grid, name_of

POINTS, FEW = {1: 41, 2: 9}, {1: 13, 2: 5}  # inputs a column, of the data and of the moduli
LOSS = "multinomial-D1"  # exact atoms with the power one, over-fitted ones with two
# Among random truths the one with the largest constant of `appearing` found; and its second expert without
# slopes.
GATE = {"log_weights": [0.0, 0.0], "gate_slopes": [[-1.5], [0.0]]}
TRUTHS: dict[str, dict[str, Any]] = {
    "slopes": {**GATE, "intercepts": [[0.4], [1.5]], "slopes": [[[-0.8]], [[0.4]]]},
    "a constant rate": {**GATE, "intercepts": [[0.4], [1.5]], "slopes": [[[-0.8]], [[0.0]]]},
    "two inputs": {
        "log_weights": [0.0, 0.0],
        "gate_slopes": [[-1.5, 0.5], [0.0, 0.0]],
        "intercepts": [[0.4], [1.5]],
        "slopes": [[[-0.5, 0.3]], [[0.3, 0.2]]],
    },
}
LINES = {
    "hellinger": "-1/2",
    "loss": "-1/2",
    "worst": "-1/2",
    "gate_slopes_exact": "-1/2",
    "intercepts_exact": "-1/2",
    "slopes_exact": "-1/2",
    "gate_slopes_over": "-1/4",
    "intercepts_over": "-1/4",
    "slopes_over": "-1/4",
}


def arms(protocol: str, scale: str) -> list[Arm]:
    """Exact and over-specified, with and without slopes, two gates, two inputs."""
    sizes, replicates = ((10_000, 1_000_000), 2) if scale == "smoke" else (log_sizes(10**4, 10**10, 4), 200)
    cases = (
        ("slopes", None, 2, replicates),
        ("slopes", None, 3, replicates),
        ("slopes", "tanh", 3, replicates),
        ("a constant rate", None, 3, replicates),
        ("two inputs", None, 3, min(replicates, 100)),
    )
    return [
        Arm(
            f"{truth}, {name_of(transform)} gate, k={k}", k, sizes, count, TRUTHS[truth],
            {"gate_transform": transform, "uninformed": 2},
        )
        for truth, transform, k, count in cases
    ]  # fmt: skip


def poisson_measure(intercepts: list[list[float]], **parts: Any) -> MixingMeasure:
    """A measure of Poisson experts from plain lists."""
    k = len(intercepts)
    return MixingMeasure(
        intercepts=np.array(intercepts, dtype=float), **parts, nuisances=np.zeros((k, 0)), family="poisson"
    )


def check(arm: Arm) -> None:
    """k at least the truth's, known options, one or two inputs."""
    check_options(arm, {"gate_transform", "uninformed"})
    truth = read_truth(arm, poisson_measure)
    check_atoms(arm, truth.k)
    if truth.slopes.shape[2] not in POINTS:
        raise DataError(f"arm {arm.name!r}: the truth has one column of inputs or two")


def fit(arm: Arm, protocol: str, n: int, rng: np.random.Generator) -> Row:
    """The converged maximum on counts of n rows."""
    return fit_counts(arm, read_truth(arm, poisson_measure), POINTS, n, rng)


def note(rows: list[Row], protocol: str) -> str:
    """What is known of the truths before any data."""
    exact = poisson_measure(**TRUTHS["slopes"])
    curve = modulus(exact, 2, LOSS, LOSSES, x=grid(1, FEW[1]), starts=2)
    lines = [
        f"* Two atoms, smallest root mean square Hellinger distance at a loss (`theory.modulus`): {curve}.",
        f"* One atom more, its parameters within {BOX:g}, in the limit of small losses (`theory.appearing`):",
    ]
    for name, transform in (
        ("slopes", None),
        ("slopes", "tanh"),
        ("a constant rate", None),
        ("two inputs", None),
    ):
        truth = poisson_measure(**TRUTHS[name])
        x = grid(truth.slopes.shape[2], FEW[truth.slopes.shape[2]])
        constant = appearing(truth, LOSS, x=x, z=columns(transform, x), box=BOX)
        lines.append(f"  * {name}, {name_of(transform)} gate: {constant}.")
    return "\n".join(["## Before any data", "", *lines])


STUDY = Study(
    name="softmax-poisson",
    title="Softmax-gated Poisson experts",
    paper="A simulation of our own",
    arms=arms,
    fit=fit,
    check=check,
    lines=LINES,
    note=note,
    table=later_sizes,
    protocols=("as_defined",),
    differences=(
        "No paper states rates of Poisson experts, the loss is that of multinomial ones: powers of one for "
        f"exact atoms and of two for over-fitted ones. Inputs are a grid of {POINTS[1]} points, or of "
        f"{POINTS[2]} by {POINTS[2]}, so that data are counts and n may be 10^10; numbers above the largest "
        "that any input has with a probability of 10^-13 are left out. Starts, tolerances, bounds and "
        "columns are those of `softmax-multinomial`."
    ),
)
