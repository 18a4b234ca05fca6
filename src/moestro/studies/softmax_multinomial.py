"""Softmax-gated multinomial logistic experts (arXiv 2310.14188): regimes 1 and 2, standard and modified gate.

The paper states rates and shows no figure, so the design is our own: one input, four classes, two true experts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..design import apply_transform, learn_transform
from ..errors import DataError
from ..experts import Multinomial
from ..gates import SoftmaxGate
from ..measure import MixingMeasure
from ..theory import parameter_errors, voronoi_loss
from .design import Arm, Row, Study, check_options, log_sizes
from .maximum import maximise
from .starts import near_softmax

CLASSES = 4
GATE = {"log_weights": [0.4, 0.0], "gate_slopes": [[2.5], [0.0]]}
INTERCEPTS = [[1.5, 0.0, -1.0], [-1.5, 0.5, 0.5]]
REGIMES = {
    1: [[[2.0], [-1.5], [1.0]], [[-1.0], [2.0], [-2.0]]],
    2: [[[2.0], [-1.5], [1.0]], [[0.0], [0.0], [0.0]]],
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
    return {**GATE, "intercepts": INTERCEPTS, "slopes": REGIMES[regime]}


def arms(protocol: str, scale: str) -> list[Arm]:
    """Exact and over-specified, both regimes, both gates."""
    if scale == "smoke":
        sizes, replicates = (2000, 8000), 2
    else:
        sizes, replicates = log_sizes(1000, 320_000, 11), 40
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


def _measure(arm: Arm) -> MixingMeasure:
    try:
        m = len(arm.truth["intercepts"][0])
        k = len(arm.truth["intercepts"])
        return MixingMeasure(
            **arm.truth, nuisances=np.zeros((k, 0)), family="multinomial", classes=tuple(range(m + 1))
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(f"arm {arm.name!r}: the truth is no mixing measure: {error}") from error


def check(arm: Arm) -> None:
    """k at least the truth's, known options."""
    check_options(arm, {"gate_transform", "uninformed"})
    truth = _measure(arm)
    if arm.k < truth.k:
        raise DataError(f"arm {arm.name!r}: k={arm.k} is below the {truth.k} atoms of the truth")


def fit(arm: Arm, protocol: str, n: int, rng: np.random.Generator) -> Row:
    """The converged maximum on uniform inputs."""
    truth = _measure(arm)
    x = rng.uniform(-2, 2, (n, truth.slopes.shape[2]))
    transform = arm.options.get("gate_transform")
    z = None if transform is None else apply_transform(learn_transform(transform, x), x)
    y, _ = truth.sample(x, rng, z)
    start = near_softmax(truth, arm.k, n, rng, False)
    best = maximise(
        x, y.astype(float), Multinomial(truth.intercepts.shape[1] + 1), SoftmaxGate(), start, k=arm.k, z=z,
        uninformed=int(arm.options.get("uninformed", 0)), seed=int(rng.integers(2**31)),
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
        "The paper has no figure, so there is no published number to replay: these are the rates of its theorems on a design of "
        "our own, by converged maximum likelihood over one informed and two uninformed starts. Rates are upper "
        "bounds up to logarithms, and statements about the slowest case in regime 2 are about sequences of truths."
    ),
)
