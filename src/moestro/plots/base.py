"""What all displays share: a picture on given axes, in the same colours."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

COLORS = ("#1b6ca8", "#d1495b", "#66a182", "#edae49", "#7768ae", "#2e4057", "#8d6a4f", "#c06c84")


class Display(ABC):
    """What is drawn, as numbers; `ax_` and `figure_` are matplotlib's, after `plot`."""

    ax_: Any
    figure_: Any

    def plot(self, *, ax: Any = None) -> Self:
        """Draw on `ax`, or on new axes."""
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots()[1]
        self.ax_, self.figure_ = ax, ax.figure
        self._draw(ax)
        return self

    @abstractmethod
    def _draw(self, ax: Any) -> None:
        """Draw on `ax`."""
