"""Displays of regularisation paths and of the stability of what they select."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from typing import Any, Self

import numpy as np

from ..errors import DataError
from .base import COLORS, Display, key_above, label

NAMED = 10  # columns with a name in the picture


@dataclass
class PathDisplay(Display):
    """Largest absolute slope of each column against the strength, with the chosen strength marked.

    Attributes
    ----------
    alphas : ndarray of shape (A,)
    names : list of str
    sizes : ndarray of shape (A, d)
    chosen : int
    """

    alphas: np.ndarray
    names: list[str]
    sizes: np.ndarray
    chosen: int

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the path of a penalised estimator, or of `alpha_path`."""
        path = getattr(estimator, "path_", estimator)
        if not hasattr(path, "sizes"):
            raise DataError("there is nothing to draw: fit with a penalty")
        return cls.of(path).plot(ax=ax)

    @classmethod
    def of(cls, path: Any) -> Self:
        """From a path, not drawn yet."""
        names, sizes = path.sizes()
        return cls(path.alphas, names, sizes, path.chosen)

    def _draw(self, ax: Any) -> None:
        first = np.where(self.sizes > 0, np.arange(len(self.alphas))[:, None], len(self.alphas)).min(axis=0)
        order = np.argsort(first, kind="stable")
        for rank, j in enumerate(order):
            if first[j] == len(self.alphas):
                break
            own = self.sizes[self.chosen, j] > 0
            ax.plot(
                self.alphas, self.sizes[:, j], lw=1.5 if own else 0.8,
                color=COLORS[rank % len(COLORS)] if own else "0.7",
                label=label(self.names[j]) if own and rank < NAMED else None,
            )  # fmt: skip
        ax.axvline(self.alphas[self.chosen], color="0.4", ls="--", lw=0.9)
        _strengths(ax, self.alphas)
        ax.set(ylabel="largest absolute slope", title="Regularisation path")
        key_above(ax)


@dataclass
class StabilityDisplay(Display):
    """How often each column is selected in half of the rows, against the strength."""

    stability: Any
    threshold: float = 0.8

    @classmethod
    def from_stability(cls, stability: Any, *, threshold: float = 0.8, ax: Any = None) -> Self:
        """Draw what `stability_selection` found."""
        return cls(stability, threshold).plot(ax=ax)

    def _draw(self, ax: Any) -> None:
        s, stable = self.stability, set(self.stability.stable(self.threshold))
        colors = cycle(COLORS)
        for j, name in enumerate(s.names):
            if not s.frequency[:, j].any():
                continue
            own = name in stable
            ax.plot(
                s.alphas,
                s.frequency[:, j],
                lw=1.5 if own else 0.6,
                color=next(colors) if own else "0.75",
                label=label(name) if own else None,
            )
        ax.axhline(self.threshold, color="0.4", ls="--", lw=0.9)
        _strengths(ax, s.alphas)
        ax.set(ylabel="share of the halves", ylim=(0, 1.02), title="Stability of the selection")
        key_above(ax)


def _strengths(ax: Any, alphas: np.ndarray) -> None:
    """An axis of strengths, the strongest first, in plain numbers."""
    from matplotlib.ticker import LogLocator, NullLocator

    ax.set_xscale("log")
    ax.invert_xaxis()
    ax.set_xlabel("alpha")
    decades = float(np.log10(np.max(alphas) / np.min(alphas)))
    digits = (
        range(1, 10) if decades < 0.7 else (1, 2, 3, 5) if decades < 1.2 else (1, 3) if decades < 3 else (1,)
    )
    ax.xaxis.set_major_locator(LogLocator(subs=[float(d) for d in digits]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter("{x:g}")
