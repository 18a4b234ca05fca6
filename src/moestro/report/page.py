"""The page as it is written: blocks in an order, and the template that lays them out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from ..errors import FileError
from ..tables import Table


@dataclass(frozen=True)
class Block:
    """A piece of a section.

    Attributes
    ----------
    kind : {"text", "list", "facts", "table", "figure", "code", "warning"}
    content : object
        A text; texts; pairs of texts; a `Table`; an SVG element; a text.
    caption : str
    digits : int
        Of a table.
    """

    kind: str
    content: Any
    caption: str = ""
    digits: int = 4

    @property
    def html(self) -> str:
        """Of a table."""
        return self.content.to_html(self.digits, self.caption) if isinstance(self.content, Table) else ""


@dataclass
class Section:
    """A heading and what stands below it; blocks of one tuple stand side by side where there is room."""

    title: str
    name: str
    rows: list[tuple[Block, ...]] = field(default_factory=list)

    def add(self, *blocks: Block | None) -> None:
        """A row of blocks; None is left out."""
        kept = tuple(b for b in blocks if b is not None)
        if kept:
            self.rows.append(kept)


def page(title: str, sections: Sequence[Section], explorer: dict[str, Any] | None, why: str) -> str:
    """One HTML file that needs no other; every text is escaped by the template engine."""
    try:
        import jinja2
    except ImportError as error:
        raise FileError("a report needs an extra: pip install 'moestro[report]'") from error
    own = files(__package__ or "moestro.report")
    parts = {name: (own / name).read_text("utf-8") for name in ("template.html", "style.css", "explorer.js")}
    engine = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = engine.from_string(parts["template.html"])
    return template.render(
        title=title, sections=sections, explorer=_json(explorer), why=why,
        style=parts["style.css"], script=parts["explorer.js"],
    )  # fmt: skip


def _json(data: dict[str, Any] | None) -> str:
    """JSON that no script element ends in."""
    if data is None:
        return ""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
