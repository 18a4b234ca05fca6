"""Pictures of a page: matplotlib's SVG, inline, in the colours of the page, with a text for those who do not
see it."""

from __future__ import annotations

import io
import re
import warnings
import xml.etree.ElementTree as ET
from typing import Any

from ..errors import DataError, FileError
from ..plots.base import PAPER
from ..tables import clean

SVG, LINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
INK = "#010203"  # becomes the page's own colour of text, light or dark
STYLE: Any = {
    "svg.fonttype": "none", "svg.hashsalt": "moestro", "font.family": "sans-serif", "font.size": 11.0,
    "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none",
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": "medium",
}  # fmt: skip


def picture(display: Any, number: int, told: str, size: tuple[float, float] = (5.6, 4.0)) -> str:
    """A display, drawn as the SVG element number `number` of a page, which tells what it shows."""
    try:
        import matplotlib
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError as error:
        raise FileError("a report needs an extra: pip install 'moestro[report]'") from error
    out = io.StringIO()
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # the reader's own fonts have it
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        display.plot(ax=figure.subplots())
        try:
            engine = figure.get_layout_engine()
            if engine is not None:
                engine.execute(figure)  # once, where `savefig` would draw everything twice
            figure.set_layout_engine("none")
            figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
        except ValueError as error:
            raise DataError(f"this picture cannot be drawn: {error}") from error
    return _inline(out.getvalue(), number, told)


def _inline(text: str, number: int, told: str) -> str:
    """The <svg> element alone, scalable, its names its own on the page."""
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", LINK)
    root = ET.fromstring(text)
    for child in list(root):
        if child.tag.endswith("metadata"):
            root.remove(child)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", clean(told))
    for node in root.iter():
        for name, value in node.attrib.items():
            node.set(name, _renamed(name, value, f"p{number}-"))
        if node.tag == f"{{{SVG}}}style":
            node.text = None
    return ET.tostring(root, encoding="unicode")


def _renamed(name: str, value: str, prefix: str) -> str:
    if name == "id":
        return prefix + value
    if name == f"{{{LINK}}}href" and value.startswith("#"):
        return "#" + prefix + value[1:]
    if name == "aria-label":
        return value
    value = value.replace(INK, "currentColor").replace(f"stroke: {PAPER}", "stroke: var(--card, #ffffff)")
    return re.sub(r"url\(#", f"url(#{prefix}", value)
