"""The top-K sparse gate (arXiv 2309.13850): exact, and over-specified with enough and with too few experts
kept.

Two truths. One is stated by a third-party replication: two experts, one selected, ranked on the whole logit;
under the paper's ranking on the score beta_1' x its second expert would never be selected on [0, 1]. The
other is our own: three experts, two selected, ranked as the paper does, so that the weights of the two
selected ones are seen.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import DataError
from ..experts import Gaussian
from ..gates import TopKGate
from ..measure import MixingMeasure
from ..theory import hellinger, modulus, parameter_errors, voronoi_cells, voronoi_loss
from ..theory.voronoi import top_k_bound
from .design import Arm, Row, Study, check_atoms, check_options, log_sizes, read_truth
from .maximum import maximise
from .softmax_gaussian import TRUTH, gaussian_measure
from .starts import near_softmax

INPUTS = 400  # rows at which the Hellinger distance is averaged
POINTS, LOSSES = 24, (0.1, 0.03, 0.01)  # inputs and losses of the modulus
LINES = {
    "hellinger": "-1/2; flat where too few experts are kept",
    "loss": "-1/2",
    "slopes_exact": "-1/2",
    "intercepts_over": "-1/8",
    "slopes_over": "-1/4",
    "variances_over": "-1/4",
}


# Left of zero the first two experts are selected, right of it the last two.
TWO_OF_THREE: dict[str, Any] = {
    "log_weights": [0.3, 0.0, -0.3],
    "gate_slopes": [[-1.5], [0.0], [1.5]],
    "intercepts": [[-2.0], [0.0], [2.0]],
    "slopes": [[[1.0]], [[-1.0]], [[1.0]]],
    "variances": [0.09, 0.16, 0.09],
}
# Name, atoms fitted, experts kept.
ONE = (("exact, k=2, K=1", 2, 1), ("over, k=3, K=1", 3, 1), ("over, k=3, K=2", 3, 2))
TWO = (
    ("two of three, k=3, K=2", 3, 2),
    ("two of three, k=4, K=3", 4, 3),
    ("two of three, k=4, K=2", 4, 2),
    ("two of three, k=3, K=1", 3, 1),
)


def arms(protocol: str, scale: str) -> list[Arm]:
    """One of two experts selected, and two of three; as many kept as the truth does, more, and fewer."""
    sizes, replicates = ((500, 2000), 2) if scale == "smoke" else (log_sizes(500, 32_000, 4), 40)
    one = {**TRUTH, "gate_options": {"top_k": 1, "rank_on": "logit"}}
    two = {**TWO_OF_THREE, "gate_options": {"top_k": 2, "rank_on": "score"}}
    uninformed = 0 if protocol == "as_published" else 1
    return [
        Arm(name, k, sizes, replicates, truth, {"kept": kept, "uninformed": uninformed, "inputs": inputs})
        for truth, inputs, cases in ((one, [0.0, 1.0], ONE), (two, [-1.0, 1.0], TWO))
        for name, k, kept in cases
    ]


def _truth(arm: Arm) -> MixingMeasure:
    return read_truth(arm, gaussian_measure, gate="top-k")


def check(arm: Arm) -> None:
    """k at least the truth's, K at most k, known options."""
    check_options(arm, {"kept", "uninformed", "inputs"})
    truth = _truth(arm)
    check_atoms(arm, truth.k)
    kept = arm.options.get("kept")
    if not isinstance(kept, int) or not 1 <= kept <= arm.k:
        raise DataError(f"arm {arm.name!r}: kept must lie between 1 and k={arm.k}, got {kept!r}")
    if not _inputs(arm)[0] < _inputs(arm)[1]:
        raise DataError(f"arm {arm.name!r}: inputs lie between two increasing numbers, got {_inputs(arm)}")


def _inputs(arm: Arm) -> tuple[float, float]:
    low, high = arm.options.get("inputs", (0.0, 1.0))
    return float(low), float(high)


def fit(arm: Arm, protocol: str, n: int, rng: np.random.Generator) -> Row:
    """Generalised EM from near the truth; as defined also annealed from a dense gate."""
    truth = _truth(arm)
    rank: Any = truth.gate_options["rank_on"]
    kept = int(arm.options["kept"])
    low, high = _inputs(arm)
    x = rng.uniform(low, high, size=(n, truth.slopes.shape[2]))
    y, _ = truth.sample(x, rng)
    start = near_softmax(truth, arm.k, n, rng, False)
    start = replace(start, gate_options={"top_k": kept, "rank_on": rank})
    seed = int(rng.integers(2**31))
    gate = TopKGate(kept, rank)
    best = maximise(
        x, y, Gaussian(), gate, start, k=arm.k, uninformed=int(arm.options["uninformed"]), seed=seed
    )
    at = low + (high - low) * (np.arange(INPUTS) + 0.5)[:, None] / INPUTS * np.ones(x.shape[1])
    cells = [len(c) for c in voronoi_cells(best.measure, truth)]
    return {
        "hellinger": hellinger(best.measure.conditional(at), truth.conditional(at)).value,
        "loss": voronoi_loss(best.measure, truth, unknown=7),
        "bound": top_k_bound(cells, int(truth.gate_options["top_k"])),
        **parameter_errors(best.measure, truth),
        **best.row(),
    }


def note(rows: list[Row], protocol: str) -> str:
    """What is known of the second truth before any data; of the first one beta_0 and beta_1 are not seen."""
    truth = gaussian_measure(**TWO_OF_THREE, gate="top-k", gate_options={"top_k": 2, "rank_on": "score"})
    x = np.linspace(-1, 1, POINTS)[:, None]
    curve = modulus(truth, truth.k, "softmax-D1", LOSSES, x=x, starts=2)
    return (
        "## Before any data\n\n"
        "* Two of three selected, as many fitted, smallest root mean square Hellinger distance at a loss "
        f"(`theory.modulus`; the sum over all atoms, of which the loss here is the largest part): {curve}."
    )


STUDY = Study(
    name="topk",
    title="Top-K sparse softmax gate",
    paper="arXiv 2309.13850",
    arms=arms,
    fit=fit,
    check=check,
    lines=LINES,
    note=note,
    columns=("hellinger", "bound"),
    differences=(
        "No slope of the paper is known to us, so none is compared. As published: starts near the truth. As "
        "defined: annealing from the dense gate beside it. Where one of two experts is selected its weight "
        "is one, so beta_0 and beta_1 enter the density only through the point where the ranking changes: "
        "their scale is not identified, and a loss that contains them need not vanish; the Hellinger "
        "distance is the number to read. Where two of three are selected, by the paper's ranking, all "
        "parameters are seen up to a translation. `K` in an arm's name is the number that the fit keeps, "
        "`bound` the number that its cells need (the largest sum of as many cell sizes as the truth "
        "selects)."
    ),
)
