"""Display of what sparse layers did with their tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .displays import axes


@dataclass
class RoutingDisplay:
    """Load of every expert, layer by layer, with the layer's entropy and mutual information.

    Attributes
    ----------
    layers : list of str
    loads : ndarray of shape (layers, experts)
        Share of the assignments; layers with fewer experts are filled with NaN.
    entropy, mutual_information : list of float
    """

    layers: list[str]
    loads: np.ndarray
    entropy: list[float]
    mutual_information: list[float]

    @classmethod
    def from_stats(cls, stats: Any, *, ax: Any = None) -> Self:
        """Draw a `moestro.deep.RoutingStats`."""
        table = stats.table()
        return cls(table["layer"], stats.loads(), table["entropy"], table["mutual_information"]).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw on `ax`."""
        self.ax_ = axes(ax)
        self.figure_ = self.ax_.figure
        image = self.ax_.imshow(self.loads, aspect="auto", cmap="Blues", vmin=0.0)
        self.figure_.colorbar(image, ax=self.ax_, label="load")
        words = [
            f"{name}\nH {h:.2f}, MI {mi:.2f}"
            for name, h, mi in zip(self.layers, self.entropy, self.mutual_information, strict=True)
        ]
        self.ax_.set_yticks(range(len(words)), words)
        self.ax_.set(xlabel="expert", title="Routing")
        return self
