"""Softmax-gated multinomial logistic experts (arXiv 2310.14188): regimes 1 and 2, standard and modified gate.

The paper states rates and shows no figure, so the design is our own: one input, three classes, two true
experts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..design import apply_transform, learn_transform
from ..experts import Multinomial
from ..gates import SoftmaxGate
from ..measure import MixingMeasure
from ..theory import parameter_errors, voronoi_loss
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


STUDY = Study(
    name="softmax-multinomial",
    title="Softmax-gated multinomial logistic experts",
    paper="arXiv 2310.14188",
    arms=arms,
    fit=fit,
    check=check,
    lines=LINES,
    protocols=("as_defined",),
    differences=(
        "The paper has no figure, so there is no published number to replay: these are the rates of its "
        "theorems on a design of our own, by converged maximum likelihood over one informed and two "
        "uninformed starts, coefficients held within 25 on standardised columns, since the parameters of "
        "the theory are bounded. Rates are upper bounds up to logarithms, and statements about the slowest "
        "case in regime 2 are about sequences of truths."
    ),
)
