"""Displays of whether the predictive law is right: quantile residuals and calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..errors import DataError
from ..fitted import FittedModel, LocatedModel, residuals
from ..inference.estimates import wilson
from .base import COLORS, Display, color, label
from .data import Rows, rows_of
from .lines import model_of

SHOWN = 600  # residuals that are drawn, evenly among their ranks
BINS = 10


@dataclass
class ResidualDisplay(Display):
    """Quantile residuals against the standard normal law, with 95% pointwise bands: QQ, or as a worm, the
    difference to it (van Buuren and Fredriks, 2001).

    Attributes
    ----------
    theory, sample : ndarray of shape (m,)
    low, high : ndarray of shape (m,)
        Ends of the band.
    kind : {"qq", "worm"}
    """

    theory: np.ndarray
    sample: np.ndarray
    low: np.ndarray
    high: np.ndarray
    kind: str = "qq"

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        y: Any = None,
        *,
        kind: str = "qq",
        offset: Any = None,
        random_state: int | None = 0,
        ax: Any = None,
    ) -> Self:
        """Compute and draw, on the training rows or on (X, y); the random points of counts and classes are
        drawn by `random_state`."""
        rows = rows_of(estimator, X, y, offset=offset)
        return cls.of(model_of(estimator), rows, kind, random_state).plot(ax=ax)

    @classmethod
    def of(
        cls,
        model: FittedModel | LocatedModel,
        rows: Rows,
        kind: str = "qq",
        random_state: int | None = 0,
        outcome: int = 0,
    ) -> Self:
        """From rows, not drawn yet; of several responses that at place `outcome`."""
        from scipy.special import betaincinv, ndtri

        if kind not in ("qq", "worm"):
            raise DataError(f"kind={kind!r} is unknown: choose qq or worm")
        found = _of_one(model, rows, random_state, outcome)
        ranked = np.sort(found[rows.w > 0])
        n = len(ranked)
        at = np.unique(np.linspace(0, n - 1, min(n, SHOWN)).astype(int))
        i = at + 1.0
        low, high = (
            ndtri(betaincinv(i, n + 1 - i, q)) for q in (0.025, 0.975)
        )  # of uniform order statistics
        return cls(ndtri((i - 0.5) / n), ranked[at], low, high, kind)

    def _draw(self, ax: Any) -> None:
        worm = self.kind == "worm"
        less = self.theory if worm else np.zeros(len(self.theory))
        ax.fill_between(
            self.theory, self.low - less, self.high - less, color="0.6", alpha=0.35, lw=0,
            label="95% where the model is right",
        )  # fmt: skip
        ax.plot(self.theory, self.theory - less, color="0.4", lw=1)
        ax.plot(self.theory, self.sample - less, "o", ms=3, color=COLORS[0])
        title = "Worm plot of quantile residuals" if worm else "Quantile residuals"
        ax.set(xlabel="standard normal quantile", ylabel="difference" if worm else "residual", title=title)
        ax.legend(frameon=False, fontsize="small")


@dataclass
class CalibrationDisplay(Display):
    """Whether probabilities are as large as they say: of classes the observed share against the predicted
    probability, in bins, with 95% intervals; of numbers the share of rows inside central intervals against
    their level.

    Attributes
    ----------
    predicted, observed, low, high : list of ndarray
        One array a class, or a single one of numbers.
    labels : tuple
        Of the classes.
    """

    predicted: list[np.ndarray]
    observed: list[np.ndarray]
    low: list[np.ndarray]
    high: list[np.ndarray]
    labels: tuple

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        y: Any = None,
        *,
        offset: Any = None,
        random_state: int | None = 0,
        ax: Any = None,
    ) -> Self:
        """Compute and draw, on the training rows or on (X, y)."""
        return cls.of(model_of(estimator), rows_of(estimator, X, y, offset=offset), random_state).plot(ax=ax)

    @classmethod
    def of(
        cls, model: FittedModel | LocatedModel, rows: Rows, random_state: int | None = 0, outcome: int = 0
    ) -> Self:
        """From rows, not drawn yet."""
        if model.classes:
            proba = model.mean(rows.x, rows.z)
            parts = [_reliability(p, rows.y == c, rows.w) for c, p in enumerate(proba.T)]
            predicted, observed, low, high = (list(part) for part in zip(*parts, strict=True))
            return cls(predicted, observed, low, high, model.classes)
        from scipy.special import ndtr

        found = _of_one(model, rows, random_state, outcome)
        central = np.abs(2 * ndtr(found) - 1)
        levels = np.linspace(0.0, 1.0, 2 * BINS + 1)[1:-1]
        share = np.array([rows.w @ (central <= level) for level in levels]) / rows.w.sum()
        ends = wilson(share, np.full(len(levels), rows.w.sum()))
        return cls([levels], [share], [ends[0]], [ends[1]], ())

    def _draw(self, ax: Any) -> None:
        ax.plot([0, 1], [0, 1], color="0.6", lw=1, zorder=0)
        parts = zip(self.predicted, self.observed, self.low, self.high, strict=True)
        for c, (x, y, low, high) in enumerate(parts):
            name = label(self.labels[c]) if self.labels else None
            ends = [np.maximum(y - low, 0.0), np.maximum(high - y, 0.0)]
            ax.errorbar(x, y, yerr=ends, fmt="o-", ms=4, lw=1, color=color(c), label=name)
        ax.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), title="Calibration")
        if self.labels:
            ax.set(xlabel="predicted probability", ylabel="observed share")
            ax.legend(frameon=False, fontsize="small")
        else:
            ax.set(xlabel="level of the central interval", ylabel="share of the rows inside")


def _of_one(
    model: FittedModel | LocatedModel, rows: Rows, random_state: int | None, outcome: int
) -> np.ndarray:
    """Quantile residuals (n,) of the response at place `outcome`."""
    found = residuals(model, rows.x, rows.z, rows.y, random_state)
    return np.reshape(found, (len(rows.w), -1))[:, outcome]


def _reliability(p: np.ndarray, hit: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, ...]:
    """Average probability, observed share and its interval in bins with equally many rows."""
    parts = [at for at in np.array_split(np.argsort(p, kind="stable"), BINS) if w[at].sum() > 0]
    mass = np.array([w[at].sum() for at in parts])
    mean, share = (np.array([w[at] @ v[at] for at in parts]) / mass for v in (p, hit.astype(float)))
    return mean, share, *wilson(share, mass)
