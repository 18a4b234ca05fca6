"""The top-K sparse gate (arXiv 2309.13850): exact, and over-specified with enough and with too few experts
kept.

The design is the one stated by a third-party replication: two true experts, one selected. It ranks on the
whole logit; under the paper's ranking on the score beta_1' x the second expert would never be selected on [0,
1].
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import DataError
from ..experts import Gaussian
from ..gates import TopKGate
from ..measure import MixingMeasure
from ..theory import hellinger, parameter_errors, voronoi_cells, voronoi_loss
from ..theory.voronoi import top_k_bound
from .design import Arm, Row, Study, check_atoms, check_options, log_sizes, read_truth
from .maximum import maximise
from .softmax_gaussian import TRUTH, gaussian_measure
from .starts import near_softmax

INPUTS = 400  # rows at which the Hellinger distance is averaged
LINES = {
    "hellinger": "-1/2; flat where too few experts are kept",
    "loss": "-1/2",
    "slopes_exact": "-1/2",
    "intercepts_over": "-1/8",
    "slopes_over": "-1/4",
    "variances_over": "-1/4",
}


def arms(protocol: str, scale: str) -> list[Arm]:
    """k = 2 with one kept; k = 3 with one and two kept; and a truth with two of three selected."""
    sizes, replicates = ((500, 2000), 2) if scale == "smoke" else (log_sizes(500, 64_000, 8), 20)
    truth = {**TRUTH, "gate_options": {"top_k": 1, "rank_on": "logit"}}
    uninformed = 0 if protocol == "as_published" else 1
    return [
        Arm(name, k, sizes, replicates, truth, {"kept": kept, "uninformed": uninformed})
        for name, k, kept in (("exact, k=2, K=1", 2, 1), ("over, k=3, K=1", 3, 1), ("over, k=3, K=2", 3, 2))
    ]


def _truth(arm: Arm) -> MixingMeasure:
    return read_truth(arm, gaussian_measure, gate="top-k")


def check(arm: Arm) -> None:
    """k at least the truth's, K at most k, known options."""
    check_options(arm, {"kept", "uninformed"})
    truth = _truth(arm)
    check_atoms(arm, truth.k)
    kept = arm.options.get("kept")
    if not isinstance(kept, int) or not 1 <= kept <= arm.k:
        raise DataError(f"arm {arm.name!r}: kept must lie between 1 and k={arm.k}, got {kept!r}")


def fit(arm: Arm, protocol: str, n: int, rng: np.random.Generator) -> Row:
    """Generalised EM from near the truth; as defined also annealed from a dense gate."""
    truth = _truth(arm)
    rank: Any = truth.gate_options["rank_on"]
    kept = int(arm.options["kept"])
    x = rng.uniform(size=(n, truth.slopes.shape[2]))
    y, _ = truth.sample(x, rng)
    start = near_softmax(truth, arm.k, n, rng, False)
    start = replace(start, gate_options={"top_k": kept, "rank_on": rank})
    seed = int(rng.integers(2**31))
    gate = TopKGate(kept, rank)
    best = maximise(
        x, y, Gaussian(), gate, start, k=arm.k, uninformed=int(arm.options["uninformed"]), seed=seed
    )
    at = (np.arange(INPUTS) + 0.5)[:, None] / INPUTS * np.ones(x.shape[1])
    cells = [len(c) for c in voronoi_cells(best.measure, truth)]
    return {
        "hellinger": hellinger(best.measure.conditional(at), truth.conditional(at)).value,
        "loss": voronoi_loss(best.measure, truth, unknown=7),
        "bound": top_k_bound(cells, int(truth.gate_options["top_k"])),
        **parameter_errors(best.measure, truth),
        **best.row(),
    }


STUDY = Study(
    name="topk",
    title="Top-K sparse softmax gate",
    paper="arXiv 2309.13850",
    arms=arms,
    fit=fit,
    check=check,
    lines=LINES,
    differences=(
        "No slope of the paper is known to us, so none is compared. As published: starts near the truth. As "
        "defined: annealing from the dense gate beside it. With K = 1 the weight of the selected expert is "
        "one, so beta_0 and beta_1 enter the density only through the point where the ranking changes: "
        "their scale is not identified, and a loss that contains them need not vanish. The Hellinger "
        "distance is the number to read."
    ),
)
