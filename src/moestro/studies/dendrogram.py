"""The dendrogram of a mixing measure chooses the number of experts, with softmax gates (arXiv 2510.12744) and
with Gaussian ones (arXiv 2505.13052), beside a sweep by BIC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..design import ArrayDesign, Units
from ..errors import DataError
from ..experts import Gaussian
from ..gates import SoftmaxGate
from ..located import LocatedMeasure, Specification
from ..measure import MixingMeasure, measure_of
from ..model import Model
from ..rows import read_rows
from ..search import Options
from ..selection import LocatedModels, Mixtures, choose, sweep
from ..theory import parameter_errors, voronoi_loss
from .design import Arm, Row, Study, check_atoms, check_options, log_sizes, read_truth
from .gaussian_gate import before as before_located
from .gaussian_gate import truth_of
from .softmax_gaussian import TRUTH, before, gaussian_measure

STARTS, SWEEP_STARTS = (
    8,
    2,
)  # of the one wide fit, and of each fit of a sweep over as many numbers of experts: equal cost
LINES = {
    "merged_loss": "-1/2",
    "merged_intercepts": "-1/2",
    "merged_slopes": "-1/2",
    "loss": "-1/2",
    "intercepts_over": "-1/8, -1/12",
    "slopes_over": "-1/4, -1/6 (Gaussian gate -1/4)",
}


def arms(protocol: str, scale: str) -> list[Arm]:
    """The truth of arXiv 2305.03288 and four fitted atoms, clean and with one row in a hundred replaced by
    noise; and the first of arXiv 2305.07572 with five."""
    smoke = scale == "smoke"
    sizes, replicates = ((1000,), 2) if smoke else ((1000, 10_000, 50_000), 100)
    decay = ((1000, 2000), 2) if smoke else (log_sizes(1000, 100_000, 8), 20)
    located = ((1000,), 1) if smoke else (log_sizes(1000, 64_000, 4), 20)
    return [
        Arm("clean", 4, sizes, replicates, TRUTH),
        Arm("contaminated", 4, sizes, replicates, TRUTH, {"noise": 0.01}),
        Arm("merged measure", 4, *decay, TRUTH),
        Arm("Gaussian gate, K=5", 5, *located, truth_of(1)),
    ]


def _truth(arm: Arm) -> MixingMeasure | LocatedMeasure:
    located = "means" in arm.truth
    return read_truth(arm, LocatedMeasure) if located else read_truth(arm, gaussian_measure)


def check(arm: Arm) -> None:
    """k at least the truth's and at least 2; a share of noise."""
    check_options(arm, {"noise"})
    check_atoms(arm, _truth(arm).k)
    share = arm.options.get("noise", 0.0)
    if not isinstance(share, int | float) or not 0 <= share < 1:
        raise DataError(f"arm {arm.name!r}: noise must be a share of the rows, got {share!r}")
    if arm.k < 2:
        raise DataError(f"arm {arm.name!r}: a dendrogram needs k of at least 2")


@dataclass(frozen=True)
class Softmax:
    """Softmax-gated Gaussian experts on rows, and the way back to the user's units."""

    models: Mixtures
    units: Units

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray) -> Softmax:
        d = x.shape[1]
        design = ArrayDesign(tuple(f"x{j}" for j in range(d)), tuple(range(d)), None)
        rows, units = read_rows(design, x, None, y, None, Gaussian())
        return cls(Mixtures(Model(SoftmaxGate(), Gaussian(), 1, rows.q, rows.p), rows), units)

    def measure(self, atoms: Any) -> MixingMeasure:
        return measure_of(atoms.model, self.units, atoms.theta)


@dataclass(frozen=True)
class Located:
    """Gaussian-gated experts of full covariance."""

    models: LocatedModels

    @classmethod
    def of(cls, x: np.ndarray, y: np.ndarray) -> Located:
        return cls(LocatedModels(x, y, [Specification()]))

    def measure(self, atoms: Any) -> LocatedMeasure:
        return atoms.in_user_units()


def fit(arm: Arm, protocol: str, n: int, rng: np.random.Generator) -> Row:
    """What the dendrogram of one fit of k atoms chooses, and what a sweep over 1 .. k chooses, from
    uninformed starts."""
    truth = _truth(arm)
    if isinstance(truth, LocatedMeasure):
        x, y, _ = truth.sample(n, rng)
    else:
        x = rng.uniform(size=(n, truth.slopes.shape[2]))
        y, _ = truth.sample(x, rng)
    noisy = rng.random(n) < arm.options.get("noise", 0.0)
    drawn = rng.uniform(y.min() - 5, y.max() + 5, n)
    y = np.where(noisy, drawn, y.reshape(n))
    side = Located.of(x, y) if isinstance(truth, LocatedMeasure) else Softmax.of(x, y)
    seed = int(rng.integers(2**31))
    merged = sweep(side.models, [arm.k], Options(seed=seed, n_starts=STARTS), "dendrogram")
    assert merged.tree is not None
    swept = sweep(side.models, range(1, arm.k + 1), Options(seed=seed, n_starts=SWEEP_STARTS), "bic")
    wide, narrow = (side.measure(merged.tree.stages[k]) for k in (arm.k, truth.k))
    over, exact = parameter_errors(wide, truth), parameter_errors(narrow, truth)
    return {
        "dsc": merged.tree.k,
        **{rule: swept.fits[choose(swept.fits, rule).index].k for rule in ("bic", "aic", "icl")},
        "loss": voronoi_loss(wide, truth, unknown=7),
        "merged_loss": voronoi_loss(narrow, truth, unknown=7),
        **{f"merged_{name}": exact[f"{name}_exact"] for name in ("intercepts", "slopes")},
        **{f"{name}_over": over[f"{name}_over"] for name in ("intercepts", "slopes")},
        "log_likelihood": merged.chosen.log_likelihood,
        "iterations": sum(f.n_iter for f in (*merged.fits, *swept.fits)),
        "gradient": None,
        "status": str(merged.chosen.status.kind),
    }


def note(rows: list[Row], protocol: str) -> str:
    """The moduli of both truths."""
    sizes = sorted({int(r["n"]) for r in rows})
    located = before_located(sizes[0], sizes[-1]).split("\n\n", 1)[1]
    return f"{before(sizes)} (Softmax gate.)\n{located} (Gaussian gate.)"


STUDY = Study(
    name="dendrogram",
    title="The number of experts by merging one fit",
    paper="arXiv 2510.12744, 2505.13052",
    arms=arms,
    fit=fit,
    check=check,
    lines=LINES,
    note=note,
    choices=("dsc", "bic", "aic", "icl"),
    protocols=("as_defined",),
    differences=(
        f"One fit of too many atoms from {STARTS} uninformed starts and its merges (dsc), beside a sweep "
        f"over all numbers of experts up to it from {SWEEP_STARTS} starts each (bic, aic, icl). The true "
        "number is 2 under the softmax gate, 3 under the Gaussian gate. `loss`, `intercepts_over` and "
        "`slopes_over` are of the wide fit, the latter two weighted means over the atoms of cells that "
        "hold several; `merged_loss`, `merged_intercepts` and `merged_slopes` are of the measure merged "
        "down to the true number, without any further fit. Noise replaces responses by uniform ones over "
        "their range and five more on both sides."
    ),
)
