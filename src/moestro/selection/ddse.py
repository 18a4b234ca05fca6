"""The slope of minus the contrast against the penalty, by regressions over ever fewer of the most complex
models (Baudry, Maugis and Michel, 2012): see `slope`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import DataError
from ..tables import Table
from .slope import Collection

BISQUARE = 4.685  # 95 % efficiency under Gaussian errors
MAD = 0.6745


@dataclass(frozen=True)
class DDSE:
    """What the slope estimation chose.

    Attributes
    ----------
    model : object
        Name of the chosen model.
    index : int
        Its place in what was given.
    slope : tuple of float
        Smallest and largest slope on the chosen plateau.
    kappa : float
        The constant that was used: `factor` times the plateau's median slope.
    plateau : int
        Number of regressions that agree on the model.
    long_enough : bool
        Whether the plateau has the share of regressions asked for; if none has, the longest is taken.
    regressions : Table
        Models used (pen at least this), slope, intercept, model chosen.
    models : Table
        model, pen, contrast.
    """

    model: Any
    index: int
    slope: tuple[float, float]
    kappa: float
    plateau: int
    long_enough: bool
    regressions: Table
    models: Table

    @property
    def line(self) -> tuple[float, float, float]:
        """Intercept and slope of the plateau's middle regression, and the penalty from which it is fitted."""
        inside = [r for r in self.regressions.rows() if self.slope[0] <= r["slope"] <= self.slope[1]]
        middle = sorted(inside, key=lambda r: r["slope"])[len(inside) // 2]
        return middle["intercept"], middle["slope"], middle["pen_at_least"]


def ddse(
    pen: Sequence[float] | np.ndarray,
    contrast: Sequence[float] | np.ndarray,
    complexity: Sequence[float] | np.ndarray | None = None,
    names: Sequence[Any] | None = None,
    *,
    factor: float = 2.0,
    share: float = 0.15,
    points: int = 2,
    robust: bool = True,
) -> DDSE:
    """Choose a model by the slope of -contrast against pen over the most complex models.

    Parameters
    ----------
    pen, contrast, complexity, names : as in `djump`
    factor : float
        Optimal over smallest penalty.
    share : float
        Share of all regressions that a plateau must have; the last such plateau chooses.
    points : int
        Fewest models in a regression.
    robust : bool
        Bisquare M-estimation of each slope, or least squares.

    Returns
    -------
    DDSE
    """
    models = Collection.of(pen, contrast, complexity, names)
    points = max(points, 2)
    if len(models.pen) < points + 1:
        raise DataError(
            f"the slope needs at least {points + 1} models with different penalties, got {len(models.pen)}"
        )
    lines, chosen = [], []
    for first in range(len(models.pen) - points + 1):
        intercept, slope = _line(models.pen[first:], -models.contrast[first:], robust)
        lines.append((intercept, slope))
        chosen.append(models.best(factor * slope))
    at = np.array(chosen)
    edges = np.flatnonzero(np.r_[True, np.diff(at) != 0, True])
    lengths = np.diff(edges)
    wide = np.flatnonzero(lengths >= share * lengths.sum())
    pick = int(wide[-1]) if len(wide) else int(np.argmax(lengths))
    inside = slice(edges[pick], edges[pick + 1])
    slopes = np.array([s for _, s in lines])
    best = int(at[edges[pick]])
    return DDSE(
        models.names[best],
        int(models.index[best]),
        (float(slopes[inside].min()), float(slopes[inside].max())),
        factor * float(np.median(slopes[inside])),
        int(lengths[pick]),
        bool(len(wide)),
        Table(
            {
                "pen_at_least": models.pen[: len(at)],
                "slope": slopes,
                "intercept": [a for a, _ in lines],
                "model": [models.names[i] for i in at],
            }
        ),
        Table({"model": models.names, "pen": models.pen, "contrast": models.contrast}),
    )


def _line(x: np.ndarray, y: np.ndarray, robust: bool) -> tuple[float, float]:
    """Intercept and slope: least squares, or Tukey's bisquare with a MAD scale from least squares."""
    X = np.column_stack([np.ones(len(x)), x])
    unit = X / np.abs(X).max(axis=0)
    scale = np.abs(X).max(axis=0)
    beta = np.linalg.lstsq(unit, y, rcond=None)[0]
    size = float(np.abs(y).max()) + 1e-300
    for _ in range(200 if robust and len(x) > 2 else 0):
        residual = y - unit @ beta
        spread = float(np.median(np.abs(residual))) / MAD
        if spread <= 1e-13 * size:  # more than half of the points lie on the line
            break
        w = np.sqrt(np.maximum(1.0 - (residual / (BISQUARE * spread)) ** 2, 0.0) ** 2)
        new = np.linalg.lstsq(unit * w[:, None], y * w, rcond=None)[0]
        moved = np.abs(unit @ (new - beta)).max()
        beta = new
        if moved <= 1e-10 * size:
            break
    beta = beta / scale
    return float(beta[0]), float(beta[1])
