"""The dendrogram of a mixing measure chooses the number of softmax-gated experts (arXiv 2510.12744), beside a
sweep by BIC."""

from __future__ import annotations

import numpy as np

from ..design import ArrayDesign
from ..errors import DataError
from ..experts import Gaussian
from ..gates import SoftmaxGate
from ..measure import measure_of
from ..model import Model
from ..rows import read
from ..search import Options
from ..selection import Mixtures, choose, sweep
from ..theory import voronoi_loss
from .design import Arm, Row, Study, check_atoms, check_options, log_sizes, read_truth
from .softmax_gaussian import TRUTH, gaussian_measure

STARTS, SWEEP_STARTS = (
    8,
    2,
)  # of the one wide fit, and of each fit of a sweep over as many numbers of experts: equal cost


def arms(protocol: str, scale: str) -> list[Arm]:
    """The truth of arXiv 2305.03288 and four fitted atoms, clean and with one row in a hundred replaced by
    noise."""
    sizes, replicates = ((1000,), 2) if scale == "smoke" else ((1000, 10_000, 50_000), 100)
    decay = ((1000, 2000), 2) if scale == "smoke" else (log_sizes(1000, 100_000, 8), 20)
    return [
        Arm("clean", 4, sizes, replicates, TRUTH),
        Arm("contaminated", 4, sizes, replicates, TRUTH, {"noise": 0.01}),
        Arm("merged measure", 4, *decay, TRUTH),
    ]


def check(arm: Arm) -> None:
    """k at least the truth's and at least 2; a share of noise."""
    check_options(arm, {"noise"})
    check_atoms(arm, read_truth(arm, gaussian_measure).k)
    share = arm.options.get("noise", 0.0)
    if not isinstance(share, int | float) or not 0 <= share < 1:
        raise DataError(f"arm {arm.name!r}: noise must be a share of the rows, got {share!r}")
    if arm.k < 2:
        raise DataError(f"arm {arm.name!r}: a dendrogram needs k of at least 2")


def fit(arm: Arm, protocol: str, n: int, rng: np.random.Generator) -> Row:
    """What the dendrogram of one fit of k atoms chooses, and what a sweep over 1 .. k chooses, from
    uninformed starts."""
    truth = read_truth(arm, gaussian_measure)
    d = truth.slopes.shape[2]
    x = rng.uniform(size=(n, d))
    y, _ = truth.sample(x, rng)
    noisy = rng.random(n) < arm.options.get("noise", 0.0)
    y = np.where(noisy, rng.uniform(y.min() - 5, y.max() + 5, n), y)
    design = ArrayDesign(tuple(f"x{j}" for j in range(d)), tuple(range(d)), None)
    rows, units = read(design, x, None, y, None, Gaussian())
    model = Model(SoftmaxGate(), Gaussian(), 1, rows.q, rows.p)
    seed = int(rng.integers(2**31))
    models = Mixtures(model, rows)
    merged = sweep(models, [arm.k], Options(seed=seed, n_starts=STARTS), "dendrogram")
    assert merged.tree is not None
    swept = sweep(models, range(1, arm.k + 1), Options(seed=seed, n_starts=SWEEP_STARTS), "bic")
    atoms = merged.tree.stages[truth.k]
    wide = merged.tree.stages[arm.k]
    return {
        "dsc": merged.tree.k,
        **{rule: swept.fits[choose(swept.fits, rule).index].model.k for rule in ("bic", "aic", "icl")},
        "loss": voronoi_loss(measure_of(wide.model, units, wide.theta), truth, unknown=7),
        "merged_loss": voronoi_loss(measure_of(atoms.model, units, atoms.theta), truth),
        "log_likelihood": merged.chosen.log_likelihood,
        "iterations": sum(f.n_iter for f in (*merged.fits, *swept.fits)),
        "gradient": None,
        "status": str(merged.chosen.status.kind),
    }


STUDY = Study(
    name="dendrogram",
    title="The number of softmax-gated experts by merging one fit",
    paper="arXiv 2510.12744",
    arms=arms,
    fit=fit,
    check=check,
    lines={"merged_loss": "-1/2", "loss": "-1/2"},
    choices=("dsc", "bic", "aic", "icl"),
    protocols=("as_defined",),
    differences=(
        f"One fit of four atoms from {STARTS} uninformed starts and its merges (dsc), beside a sweep over "
        f"one to four experts from {SWEEP_STARTS} starts each (bic, aic, icl). The true number is 2. "
        "merged_loss is the loss of the measure merged down to two atoms, without any further fit. Noise "
        "replaces responses by uniform ones over their range and five more on both sides."
    ),
)
