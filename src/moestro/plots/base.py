"""What all displays share: a picture on given axes, in the same colours."""

from __future__ import annotations

import html
import io
from abc import ABC, abstractmethod
from base64 import b64encode
from typing import Any, Self

import numpy as np

from ..tables import clean, shortened

# Okabe and Ito (2008), less yellow, which white paper swallows: colour-blind readers can tell any two apart.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#555555", "#000000")
PAPER = "#ffffff"  # around points and lines, so that each is seen; a page puts its own colour here
WIDE = 56  # letters of a legend's line
NAME = 32  # columns of a name in a picture


class Display(ABC):
    """What is drawn, as numbers; `ax_` and `figure_` are matplotlib's, after `plot`."""

    ax_: Any
    figure_: Any

    def plot(self, *, ax: Any = None) -> Self:
        """Draw on `ax`, or on new axes."""
        if ax is None:
            import matplotlib.pyplot as plt

            ax = plt.subplots(layout="constrained")[1]  # long names are not cut
        self.ax_, self.figure_ = ax, ax.figure
        self._draw(ax)
        return self

    def _repr_html_(self) -> str | None:
        """In a notebook: the picture, with what it shows as its alternative text.

        None while pyplot holds the figure, which the notebook then shows by itself; a display that was not
        drawn yet is drawn, and pyplot does not learn of it.
        """
        from matplotlib._pylab_helpers import Gcf
        from matplotlib.figure import Figure

        figure = getattr(self, "figure_", None)
        if figure is None:
            figure = self.plot(ax=Figure(layout="constrained").subplots()).figure_
        elif any(held.canvas.figure is figure for held in Gcf.get_all_fig_managers()):
            return None
        picture = io.BytesIO()
        figure.savefig(picture, format="png", bbox_inches="tight")
        titles = [t for ax in figure.axes if (t := ax.get_title())]
        shown = html.escape("; ".join(titles) or type(self).__name__, quote=True)
        return f'<img src="data:image/png;base64,{b64encode(picture.getvalue()).decode()}" alt="{shown}">'

    @abstractmethod
    def _draw(self, ax: Any) -> None:
        """Draw on `ax`."""


def label(name: object) -> str:
    """A name as a picture shows it: on one line, short, and never read as a formula."""
    return shortened(clean(str(name)), NAME).replace("$", r"\$")


def key_above(ax: Any) -> None:
    """The legend between title and axes, where it hides nothing whatever their size; the title is set
    before."""
    names = ax.get_legend_handles_labels()[1]
    if not names:
        return
    columns = max(1, min(len(names), 4, WIDE // (max(map(len, names)) + 4)))
    key = ax.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns, frameon=False, fontsize="small",
        borderaxespad=0.2, columnspacing=1.2, handlelength=1.4,
    )  # fmt: skip
    key.set_in_layout(False)  # a long name takes no room from the axes
    pad = 8 + 15 * -(-len(names) // columns)
    ax.set_title(ax.get_title(), pad=pad, fontsize=ax.title.get_fontsize())


def color(e: int) -> str:
    """Of expert e, counted from zero."""
    return COLORS[e % len(COLORS)]


def blended(r: np.ndarray) -> np.ndarray:
    """RGB (..., 3) of memberships (..., k): the experts' colours, mixed by them."""
    own = [[int(color(e)[i : i + 2], 16) / 255 for i in (1, 3, 5)] for e in range(r.shape[-1])]
    return np.clip(r @ np.array(own), 0.0, 1.0)
