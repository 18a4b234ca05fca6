"""Displays of how the number of experts was chosen: slope heuristics and dendrograms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..errors import DataError
from ..selection import DDSE, Dendrogram, Djump
from .base import COLORS, Display, key_above


def _of(estimator: Any, name: str, kind: type, how: str) -> Any:
    found = getattr(estimator, name, None)
    if not isinstance(found, kind):
        raise DataError(f"there is nothing to draw: fit with n_experts={how}")
    return found


@dataclass
class SlopeDisplay(Display):
    """-contrast against the penalty's shape, with the line that the slope estimation fitted and the model it
    chose.

    Attributes
    ----------
    found : DDSE
    """

    found: DDSE

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the choice of an estimator fitted with n_experts="ddse", or of `select_experts`' `choice`."""
        return cls(_of(estimator, "slope_", DDSE, '"ddse"')).plot(ax=ax)

    def _draw(self, ax: Any) -> None:
        models = self.found.models
        ax.plot(models["pen"], -np.array(models["contrast"]), "o", color=COLORS[0], ms=4)
        intercept, slope, start = self.found.line
        x = np.array([start, max(models["pen"])])
        ax.plot(x, intercept + slope * x, "-", color=COLORS[1], lw=1.5, label=f"slope {slope:.4g}")
        at = models["model"].index(self.found.model)
        ax.plot(
            models["pen"][at], -models["contrast"][at], "o", mfc="none", mec=COLORS[1], ms=11, label=(
                f"chosen: {self.found.model}"
            ),
        )  # fmt: skip
        ax.set(xlabel="shape of the penalty", ylabel="minus the contrast", title="Slope estimation")
        key_above(ax)


@dataclass
class JumpDisplay(Display):
    """Complexity of the chosen model against the penalty's constant kappa: the jump, and twice its place.

    Attributes
    ----------
    found : Djump
    """

    found: Djump

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the choice of an estimator fitted with n_experts="djump"."""
        return cls(_of(estimator, "slope_", Djump, '"djump"')).plot(ax=ax)

    def _draw(self, ax: Any) -> None:
        kappa, size = np.array(self.found.path["kappa"]), np.array(self.found.path["complexity"])
        end = max(1.3 * self.found.kappa, 1.1 * float(kappa[-1]) if len(kappa) < 4 else 0.0, 1e-12)
        ax.step(np.append(kappa, end), np.append(size, size[-1]), where="post", color=COLORS[0])
        ax.axvline(self.found.kappa_min, color=COLORS[2], ls=":", label=f"jump at {self.found.kappa_min:.4g}")
        ax.axvline(
            self.found.kappa, color=COLORS[1], ls="--", label=(
                f"used: {self.found.kappa:.4g}, chosen: {self.found.model}"
            )
        )  # fmt: skip
        ax.set(xlabel="kappa", ylabel="complexity of the chosen model", xlim=(0, end), title="Dimension jump")
        key_above(ax)


@dataclass
class DendrogramDisplay(Display):
    """The merges of an over-specified measure, by height, with the cut at the chosen number of experts.

    Attributes
    ----------
    found : Dendrogram
    """

    found: Dendrogram

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the merges of an estimator fitted with n_experts="dendrogram"."""
        return cls(_of(estimator, "dendrogram_", Dendrogram, '"dendrogram"')).plot(ax=ax)

    def _draw(self, ax: Any) -> None:
        """Draw on `ax`; heights on a logarithmic scale."""
        from scipy.cluster.hierarchy import dendrogram

        linkage = self.found.linkage()
        heights = linkage[:, 2]
        K = len(linkage) + 1
        cut = float(heights[K - self.found.k - 1]) if self.found.k < K else 0.0
        cut = float(np.sqrt(max(cut, heights[0] / 10) * heights[K - self.found.k]))
        tree = dendrogram(linkage, no_plot=True)
        floor = max(float(heights[heights > 0].min(initial=1.0)) / 10, 1e-12)
        for x, y in zip(tree["icoord"], tree["dcoord"], strict=True):
            ax.plot(x, np.maximum(y, floor), color=COLORS[0], lw=1.5)
        ax.axhline(cut, color=COLORS[1], ls="--", lw=1, label=f"{self.found.k} experts")
        leaves = [5 + 10 * i for i in range(K)]
        labels = [str(int(v) + 1) for v in tree["ivl"]]
        ax.set(yscale="log", xlabel="expert of the wide fit", ylabel="height of the merge", title="Merges")
        ax.set_xticks(leaves, labels)
        key_above(ax)
