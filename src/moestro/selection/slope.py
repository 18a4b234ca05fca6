"""Slope heuristics (Birgé and Massart, 2007; Baudry, Maugis and Michel, 2012): a penalty learned from data.

For models m with a contrast gamma(m) (minus the log-likelihood), a penalty shape pen(m) and a complexity
C(m), the chosen model minimises gamma(m) + kappa pen(m) at twice the smallest reasonable kappa. Djump finds
that kappa where the complexity of the chosen model drops most; DDSE finds it as the slope of -gamma against
pen over the most complex models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from ..tables import Table


@dataclass(frozen=True)
class Collection:
    """Models in increasing penalty; of models with equal penalty the one with the smallest contrast.

    Attributes
    ----------
    names : tuple
    pen, complexity, contrast : ndarray of shape (m,)
    index : ndarray of shape (m,)
        Places in what was given.
    """

    names: tuple[Any, ...]
    pen: np.ndarray
    complexity: np.ndarray
    contrast: np.ndarray
    index: np.ndarray

    @classmethod
    def of(
        cls,
        pen: Sequence[float] | np.ndarray,
        contrast: Sequence[float] | np.ndarray,
        complexity: Sequence[float] | np.ndarray | None = None,
        names: Sequence[Any] | None = None,
    ) -> Collection:
        """Check and sort the columns; complexity is the penalty's shape by default, names are 1, 2, ..."""
        shape, gamma = (np.asarray(a, dtype=float).ravel() for a in (pen, contrast))
        size = shape if complexity is None else np.asarray(complexity, dtype=float).ravel()
        labels = list(range(1, len(shape) + 1)) if names is None else list(names)
        if not len(shape) == len(gamma) == len(size) == len(labels):
            raise DataError("pen, contrast, complexity and names must have one entry a model")
        if not all(np.isfinite(a).all() for a in (shape, gamma, size)):
            raise DataError("pen, contrast and complexity must be finite numbers")
        if (shape < 0).any() or (size < 0).any():
            raise DataError("pen and complexity must be at least 0")
        order = np.lexsort((gamma, shape))
        keep = order[np.r_[True, np.diff(shape[order]) > 0]] if len(order) else order
        if len(keep) < 2:
            raise DataError(
                f"slope heuristics need at least 2 models with different penalties, got {len(keep)}"
            )
        return cls(tuple(labels[i] for i in keep), shape[keep], size[keep], gamma[keep], keep)

    def best(self, kappa: float) -> int:
        """Place of the model with the least contrast + kappa pen; of equals that of the smaller penalty."""
        return int(np.argmin(self.contrast + kappa * self.pen))

    def path(self) -> tuple[np.ndarray, np.ndarray]:
        """The chosen model for every kappa > 0, the lower convex hull: (places, kappas where they begin)."""
        at = self.best(0.0)
        places, starts = [at], [0.0]
        while at > 0:
            with np.errstate(divide="ignore"):
                meet = (self.contrast[:at] - self.contrast[at]) / (self.pen[at] - self.pen[:at])
            at, kappa = int(np.flatnonzero(meet <= meet.min())[0]), float(meet.min())
            places.append(at)
            starts.append(kappa)
        return np.array(places), np.array(starts)


@dataclass(frozen=True)
class Djump:
    """What the dimension jump chose.

    Attributes
    ----------
    model : object
        Name of the chosen model.
    index : int
        Its place in what was given.
    kappa_min : float
        Where the complexity of the chosen model drops most.
    kappa : float
        The constant that was used, `factor` times kappa_min.
    path : Table
        kappa from which a model is chosen, model, complexity.
    """

    model: Any
    index: int
    kappa_min: float
    kappa: float
    path: Table


def djump(
    pen: Sequence[float] | np.ndarray,
    contrast: Sequence[float] | np.ndarray,
    complexity: Sequence[float] | np.ndarray | None = None,
    names: Sequence[Any] | None = None,
    *,
    factor: float = 2.0,
    area: float = 0.0,
    threshold: float = 0.0,
) -> Djump:
    """Choose a model by the largest drop of complexity.

    Parameters
    ----------
    pen : array-like of shape (m,)
        Shape of the penalty, up to its constant.
    contrast : array-like of shape (m,)
        Minus the log-likelihood, in total or per row.
    complexity : array-like of shape (m,), optional
        Of each model; `pen` by default.
    names : sequence, optional
    factor : float
        Optimal over smallest penalty.
    area : float
        Above 0, drops are taken over the windows [kappa (1 - area), kappa (1 + area)].
    threshold : float
        Above 0, kappa_min is the first kappa with a complexity of at most this.

    Returns
    -------
    Djump
    """
    models = Collection.of(pen, contrast, complexity, names)
    places, starts = models.path()
    size = models.complexity[places]
    if threshold > 0:
        below = np.flatnonzero(size <= threshold)
        if not len(below):
            raise DataError(f"no model has a complexity of at most {threshold:g}")
        kappa_min = float(starts[below[0]])
    elif len(places) == 1:
        kappa_min = 0.0  # the model with the smallest penalty also has the smallest contrast
    elif area > 0:
        inside = [np.searchsorted(starts, starts[1:] * (1 + s * area), side="right") - 1 for s in (-1, 1)]
        drop = size[inside[0]] - size[inside[1]]
        kappa_min = float(starts[1:][_first_of_largest(drop)])
    else:
        kappa_min = float(starts[1 + _first_of_largest(size[:-1] - size[1:])])
    chosen = models.best(factor * kappa_min)
    return Djump(
        models.names[chosen],
        int(models.index[chosen]),
        kappa_min,
        factor * kappa_min,
        Table({"kappa": starts, "model": [models.names[i] for i in places], "complexity": size}),
    )


def _first_of_largest(drop: np.ndarray) -> int:
    """Of equal drops the one at the smallest kappa: where no model is skipped, only that speaks of noise."""
    return int(np.argmax(drop))
