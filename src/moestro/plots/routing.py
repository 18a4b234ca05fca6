"""Display of what sparse layers did with their tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from .base import Display


@dataclass
class RoutingDisplay(Display):
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

    def _draw(self, ax: Any) -> None:
        image = ax.imshow(self.loads, aspect="auto", cmap="Blues", vmin=0.0)
        self.figure_.colorbar(image, ax=ax, label="load")
        words = [
            f"{name}\nH {h:.2f}, MI {mi:.2f}"
            for name, h, mi in zip(self.layers, self.entropy, self.mutual_information, strict=True)
        ]
        ax.set_yticks(range(len(words)), words)
        ax.set(xlabel="expert", title="Where the tokens went")
