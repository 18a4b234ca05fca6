"""Softmax-gated multinomial logistic experts (arXiv 2310.14188): regimes 1 and 2, standard and modified gate.

The paper states rates and shows no figure, so the design is our own: one input, three classes, two true
experts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..design import apply_transform, learn_transform
from ..experts import Multinomial
from ..gates import SoftmaxGate
from ..measure import MixingMeasure
from ..theory import hellinger, modulus, parameter_errors, voronoi_loss
from .design import Arm, Row, Study, check_atoms, check_options, log_sizes, read_truth
from .maximum import maximise
from .starts import near_softmax

# Each expert changes its favourite class where the gate prefers it: without that, ungrouped choices say
# little about the mixture (the smallest eigenvalue of the information of a row was 1e-5 for a random design,
# and is 2e-4 here).
REACH = 3.0
BOX = 25.0  # the parameters of the theory are bounded: so far, on columns of variance one
GATE = {"log_weights": [0.0, 0.0], "gate_slopes": [[-2.0], [0.0]]}
REGIMES = {
    1: {"intercepts": [[6.0, 2.4], [-3.0, -7.2]], "slopes": [[[3.0], [1.5]], [[3.0], [3.0]]]},
    2: {"intercepts": [[6.0, 2.4], [1.0, -1.0]], "slopes": [[[3.0], [1.5]], [[0.0], [0.0]]]},
}
LINES = {
    "loss": "-1/2",
    "gate_slopes_exact": "-1/2",
    "intercepts_exact": "-1/2",
    "slopes_exact": "-1/2",
    "gate_slopes_over": "-1/4 (regime 2, standard gate: slower than any power)",
    "intercepts_over": "-1/4 (regime 2, standard gate: slower than any power)",
    "slopes_over": "-1/4 (regime 2, standard gate: slower than any power)",
}


def _truth(regime: int) -> dict[str, Any]:
    return {**GATE, **REGIMES[regime]}


def arms(protocol: str, scale: str) -> list[Arm]:
    """Exact and over-specified, both regimes, both gates."""
    if scale == "smoke":
        sizes, replicates = (2000, 8000), 2
    else:
        sizes, replicates = log_sizes(5000, 640_000, 8), 20
    return [
        Arm(
            f"regime {regime}, {'standard' if transform is None else transform} gate, k={k}",
            k,
            sizes,
            replicates,
            _truth(regime),
            {"gate_transform": transform, "uninformed": 2},
        )
        for k in (2, 3)
        for regime in (1, 2)
        for transform in (None, "tanh")
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
    check_atoms(arm, read_truth(arm, multinomial_measure).k)


def fit(arm: Arm, protocol: str, n: int, rng: np.random.Generator) -> Row:
    """The converged maximum on uniform inputs."""
    truth = read_truth(arm, multinomial_measure)
    x = rng.uniform(-REACH, REACH, (n, truth.slopes.shape[2]))
    transform = arm.options.get("gate_transform")
    z = None if transform is None else apply_transform(learn_transform(transform, x), x)
    y, _ = truth.sample(x, rng, z)
    start = near_softmax(truth, arm.k, n, rng, False)
    best = maximise(
        x, y.astype(float), Multinomial(truth.intercepts.shape[1] + 1), SoftmaxGate(), start, k=arm.k, z=z,
        uninformed=int(arm.options.get("uninformed", 0)), seed=int(rng.integers(2**31)), box=BOX,
    )  # fmt: skip
    return {
        "loss": voronoi_loss(best.measure, truth),
        **parameter_errors(best.measure, truth),
        **best.row(),
    }


LOSSES = (0.1, 0.03, 0.01)
POINTS = 25  # inputs of the moduli: more equations than a measure of two atoms has parameters
SPLIT = 0.7  # of the smaller of two classes' weights, moved to the other and back


def split(truth: MixingMeasure) -> MixingMeasure:
    """Three atoms with the density of `truth`, whose last expert has two classes of equal slopes: e^{a_1} and
    e^{a_2} of its halves are moved by +t and -t, so that their sum stays and so does their mean."""
    out = truth.permute([0, 1, 1])
    intercepts, log_weights = np.array(out.intercepts), np.array(out.log_weights)
    first, second = np.exp(intercepts[1])
    t = SPLIT * min(first, second)
    intercepts[1:] = np.log([[first + t, second - t], [first - t, second + t]])
    log_weights[1:] -= np.log(2)
    return replace(out, intercepts=intercepts, log_weights=log_weights)


def note(rows: list[Row], protocol: str) -> str:
    """The moduli of the exact arms, and a measure of three atoms with each truth's density."""
    x = np.linspace(-REACH, REACH, POINTS)[:, None]
    lines = [
        "## Before any data",
        "Smallest root mean square Hellinger distance of a measure with a given loss (`theory.modulus`), two "
        "atoms:",
    ]
    for regime in REGIMES:
        truth = multinomial_measure(**_truth(regime))
        for name, z in (("standard", x), ("tanh", np.tanh(x))):
            found = modulus(truth, 2, "multinomial-D1", LOSSES, x=x, z=z, starts=2)
            lines.append(f"* regime {regime}, {name} gate: {found}.")
    lines.append("Three atoms: the truths are not identified. One of them split in two, under either gate:")
    for regime in REGIMES:
        truth = multinomial_measure(**_truth(regime))
        other = split(truth)
        gap = max(float(hellinger(other.conditional(x, z), truth.conditional(x, z))) for z in (x, np.tanh(x)))
        lines.append(
            f"* regime {regime}: intercepts {np.round(other.intercepts[1:], 2).tolist()} for "
            f"{truth.intercepts[1].tolist()}: loss {voronoi_loss(other, truth):.3g}, "
            f"Hellinger distance {gap:.0e}."
        )
    return "\n\n".join(
        ["\n".join(lines[:1]), lines[1], "\n".join(lines[2:6]), lines[6], "\n".join(lines[7:])]
    )


STUDY = Study(
    name="softmax-multinomial",
    title="Softmax-gated multinomial logistic experts",
    paper="arXiv 2310.14188",
    arms=arms,
    fit=fit,
    check=check,
    lines=LINES,
    note=note,
    protocols=("as_defined",),
    differences=(
        "The paper has no figure, so there is no published number to replay: these are the rates of its "
        "theorems on a design of our own, by converged maximum likelihood over one informed and two "
        "uninformed starts, coefficients held within 25 on standardised columns, since the parameters of "
        "the theory are bounded. Rates are upper bounds up to logarithms, and statements about the slowest "
        "case in regime 2 are about sequences of truths."
    ),
)
