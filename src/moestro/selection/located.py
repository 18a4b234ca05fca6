"""Located models over a range of k, degrees, covariances and learned blocks, and the choice among all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from ..errors import DataError
from ..located.blocks import block_path
from ..located.data import Data
from ..located.fit import LocatedFit, fit_data
from ..located.specification import Specification
from ..tables import Table
from .atoms import LocatedAtoms
from .choice import SLOPES, Choice, check_criterion, choose, scores
from .cross_validation import held_out
from .dendrogram import Dendrogram, dendrogram
from .sweep import FOLDS

PATH_BLOCKS = 8  # partitions tried for each k where blocks are learned within a sweep
SHARP, GENTLE = 2.0, 0.1  # slope, per standard deviation, of the cut that makes two components of one
CONTRASTS = ("joint", "conditional")


@dataclass(frozen=True)
class LocatedSweep:
    """Fits of located models and the chosen one.

    Attributes
    ----------
    fits : tuple of LocatedFit
    choice : Choice
    tree : Dendrogram or None
    """

    fits: tuple[LocatedFit, ...]
    choice: Choice
    tree: Dendrogram | None = None

    @property
    def chosen(self) -> LocatedFit:
        """The fit that the criterion chose."""
        return self.fits[self.choice.index]

    def table(self) -> Table:
        """One row a fit: model, k, degree, blocks, dimension, log-likelihood, every criterion, status, chosen."""
        specs = [f.specification for f in self.fits]
        return Table(
            {
                "model": [s.label for s in specs],
                "k": [f.k for f in self.fits],
                "degree": [s.degree for s in specs],
                "blocks": [s.block_counts for s in specs],
                "dimension": [f.n_parameters for f in self.fits],
                "log_likelihood": [f.log_likelihood for f in self.fits],
                **self.choice.columns,
                "status": [str(f.status.kind) for f in self.fits],
                "chosen": [i == self.choice.index for i in range(len(self.fits))],
            }
        )


def sweep_located(
    x: Any,
    y: Any,
    ks: Sequence[int],
    specifications: Sequence[Specification],
    criterion: str = "bic",
    *,
    contrast: str = "joint",
    weights: Any = None,
    n_starts: int | None = None,
    tol: float = 1e-8,
    max_iter: int | None = None,
    seed: int | np.random.SeedSequence | None = None,
    n_folds: int = FOLDS,
    threads: int = 1,
    finished: Callable[[LocatedFit], None] | None = None,
) -> LocatedSweep:
    """Fit every specification for every k, each k also from splits of the one before, and choose by `criterion`.

    Parameters
    ----------
    x, y, weights, n_starts, tol, max_iter : as in `fit_located`
    ks : sequence of int
    specifications : sequence of Specification
        Where one learns its blocks, each partition of its path is a candidate.
    criterion : one of `choice.EVERY`
    contrast : {"joint", "conditional"}
        What slope heuristics penalise: minus the joint log-likelihood, or minus that of y given x (as GLoME does).
    """
    check_criterion(criterion)
    if contrast not in CONTRASTS:
        raise DataError(f"contrast={contrast!r} is unknown: choose joint or conditional")
    if not len(ks) or min(ks) < 1:
        raise DataError("the numbers of experts to try must be at least 1")
    if not len(specifications):
        raise DataError("there is no model to fit: give at least one specification")
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    ordered = sorted({int(k) for k in ks})
    x, y = np.asarray(x), np.asarray(y)
    w = None if weights is None else np.asarray(weights, dtype=float)
    how: dict[str, Any] = {"n_starts": n_starts, "tol": tol, "max_iter": max_iter}
    read = partial(Data.read, threads=threads)
    if criterion == "dendrogram":
        if len(specifications) > 1:
            raise DataError("a dendrogram starts from one model: give one specification")
        return _merged(x, y, w, ordered[-1], specifications[0], root, how, read, finished)
    fits = _candidates(x, y, w, ordered, specifications, root, how, read, finished)
    gamma = left_out = None
    if contrast == "conditional" and criterion in SLOPES:
        gamma = np.array([-_score(f, x, y, w, slice(None)) for f in fits])
    if criterion == "cv":
        # Learned partitions are kept as they are, so that every fold has the same candidates.
        fixed = [(f.k, f.specification) for f in fits]
        draw, inner = root.spawn(2)
        left_out = held_out(
            len(x),
            n_folds,
            np.random.default_rng(draw),
            lambda at: _refits(x, y, w, at, fixed, inner, how, read),
            lambda fit, at: _score(fit, x, y, w, at),
        )
    names = [f.k if len(fits) == len(ordered) else f"{f.specification.label}, k={f.k}" for f in fits]
    return LocatedSweep(tuple(fits), choose(fits, criterion, contrast=gamma, held_out=left_out, names=names))


def _candidates(
    x: np.ndarray,
    y: np.ndarray,
    w: np.ndarray | None,
    ks: list[int],
    specifications: Sequence[Specification],
    root: np.random.SeedSequence,
    how: dict[str, Any],
    read: Callable[..., Data],
    finished: Callable[[LocatedFit], None] | None,
) -> list[LocatedFit]:
    out: list[LocatedFit] = []
    for spec, branch in zip(specifications, root.spawn(len(specifications)), strict=True):
        previous: LocatedFit | None = None
        for k, seed in zip(ks, branch.spawn(len(ks)), strict=True):
            data = read(x, y, w, spec, k)
            if spec.learns_blocks:
                found = block_path(data, k, spec, seed=seed, most=PATH_BLOCKS, **how)
            else:
                found = [_next(data, k, spec, previous, seed, how)]
                previous = found[0]
            out += found
            for fit in found if finished is not None else ():
                finished(fit)  # type: ignore[misc]
    return out


def _next(
    data: Data,
    k: int,
    spec: Specification,
    previous: LocatedFit | None,
    seed: np.random.SeedSequence,
    how: dict[str, Any],
) -> LocatedFit:
    """The fit of k components, at least as likely as that of k - 1 before it, which it contains."""
    if previous is None or previous.k != k - 1:
        return fit_data(data, k, spec, seed=seed, **how)
    fit = fit_data(data, k, spec, extra=_splits(data, previous, SHARP), seed=seed, **how)
    if fit.log_likelihood >= previous.log_likelihood or not previous.status.usable:
        return fit
    # Nearly the measure before, with one component written twice: EM only goes up from there.
    gentle = fit_data(
        data,
        k,
        spec,
        extra=_splits(data, previous, GENTLE),
        n_starts=0,
        tol=how["tol"],
        max_iter=how["max_iter"],
    )
    return max(fit, gentle, key=lambda f: (f.status.usable, f.log_likelihood))


def _refits(
    x: np.ndarray,
    y: np.ndarray,
    w: np.ndarray | None,
    at: np.ndarray,
    fixed: list[tuple[int, Specification]],
    seed: np.random.SeedSequence,
    how: dict[str, Any],
    read: Callable[..., Data],
) -> list[LocatedFit]:
    part = None if w is None else w[at]
    return [
        fit_data(read(x[at], y[at], part, spec, k), k, spec, seed=own, **how)
        for (k, spec), own in zip(fixed, seed.spawn(len(fixed)), strict=True)
    ]


def _score(fit: LocatedFit, x: np.ndarray, y: np.ndarray, w: np.ndarray | None, at: Any) -> float:
    """log p(y | x) of some rows."""
    value = fit.measure.log_density(x[at], y[at])
    return float(value.sum() if w is None else w[at] @ value)


def _splits(data: Data, fit: LocatedFit, sharpness: float) -> tuple[np.ndarray, ...]:
    """Responsibilities of k + 1 components: each component of a fit cut across its longest axis."""
    r = data.responsibilities(fit.fitted)
    rows = np.concatenate([data.u, data.v], axis=1)
    out = []
    for e in range(fit.k):
        w = r[:, e] if data.weights is None else r[:, e] * data.weights
        if w.sum() <= 0:
            continue
        centred = rows - (w @ rows) / w.sum()
        axis = np.ones(rows.shape[1])
        for _ in range(8):  # power iteration for the leading direction
            axis = centred.T @ (w * (centred @ axis))
            axis /= max(float(np.linalg.norm(axis)), 1e-300)
        along = centred @ axis
        spread = np.sqrt(max(float(w @ along**2) / w.sum(), 1e-300))
        share = 1.0 / (1.0 + np.exp(-np.clip(sharpness * along / spread, -30, 30)))
        out.append(np.column_stack([r[:, :e], r[:, e] * share, r[:, e + 1 :], r[:, e] * (1.0 - share)]))
    return tuple(out)


def _merged(
    x: np.ndarray,
    y: np.ndarray,
    w: np.ndarray | None,
    largest: int,
    spec: Specification,
    root: np.random.SeedSequence,
    how: dict[str, Any],
    read: Callable[..., Data],
    finished: Callable[[LocatedFit], None] | None,
) -> LocatedSweep:
    """One fit of the largest k, its dendrogram, and the fit that starts from the merged measure of the chosen k."""
    data = read(x, y, w, spec, largest)
    if spec.learns_blocks:
        raise DataError("a dendrogram needs given blocks, or another covariance")
    widest = fit_data(data, largest, spec, seed=root, **how)
    tree = dendrogram(LocatedAtoms.of(widest, data), widest.weight_sum)
    fits = [widest]
    if tree.k < largest:
        atoms: LocatedAtoms = tree.stages[tree.k]
        r = data.responsibilities(atoms.in_user_units())
        fits.insert(0, fit_data(data, tree.k, spec, initial=r, tol=how["tol"], max_iter=how["max_iter"]))
    for fit in fits if finished is not None else ():
        finished(fit)  # type: ignore[misc]
    return LocatedSweep(tuple(fits), Choice(0, "dendrogram", scores(fits)), tree)


def with_options(spec: Specification, **options: Any) -> list[Specification]:
    """`spec` for every combination of lists: with_options(spec, degree=[1, 2], covariance=["full", "diagonal"])."""
    out = [spec]
    for name, values in options.items():
        out = [replace(s, **{name: v}) for s in out for v in values]
    return out
