"""How rows that are elsewhere are read, and how many of them are held in memory."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..design.groups import check_gate_at
from ..design.holes import check_policy
from ..errors import DataError
from .kept import check_cache
from .reader import BLOCK
from .sources import Complete, source_of

SAMPLE = 500_000  # rows that are kept in memory at most
LEAST = 30_000  # rows that a search and its judge need
UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
RESERVED = 400e6  # bytes of the interpreter with its libraries
COPIES = 12  # of a number of the sample that are held at once: raw, matrices, parts of growing size


@dataclass(frozen=True)
class Held:
    """What a person says of rows that are elsewhere.

    Attributes
    ----------
    weights, groups : str or None
        Columns: of sample weights, and of the ids of groups that share their expert.
    gate_at : {"constant", "first", "mean"}
        Where the gate reads a group.
    missing : {"error", "drop"}
    memory : str, float or None
        Of the process: "2GB", or bytes; None is no limit.
    cache : bool, str or None
        Where what is read is kept for later passes.
    sample : int or None
        Rows that are kept at hand; None is as many as `memory` has room for.
    """

    weights: str | None = None
    groups: str | None = None
    gate_at: str = "constant"
    missing: str = "error"
    memory: str | float | None = None
    cache: Any = None
    sample: int | None = None

    def __post_init__(self) -> None:
        for word, given in (("sample_weight", self.weights), ("groups", self.groups)):
            if given is not None and not isinstance(given, str):
                raise DataError(f"for rows outside memory {word} is the name of a column")
        check_gate_at(self.gate_at, self.groups)
        check_policy(self.missing)
        check_cache(self.cache)

    def source(self, data: Any) -> Any:
        """The source, without its rows that miss a value where `missing` is "drop"."""
        source = source_of(data)
        if self.groups is not None and hasattr(source, "mapped"):
            raise DataError(
                f"groups may be cut in two by partitions, which {source.name} has: give its files"
            )
        if self.cache and hasattr(source, "mapped"):
            raise DataError(f"{source.name} is held by its workers after the first pass: leave cache out")
        return Complete(source) if self.missing == "drop" else source

    def wanted(self, names: Sequence[str]) -> tuple[str, ...]:
        """The columns that are read: those of the design, and what stands beside them."""
        more = (name for name in (self.weights, self.groups) if name is not None)
        return tuple(dict.fromkeys([*names, *more]))

    def beside(self, names: Sequence[str]) -> tuple[str, ...]:
        """Ids that are no column of the design: they may be anything."""
        return (self.groups,) if self.groups is not None and self.groups not in names else ()

    def sizes(self, columns: int) -> tuple[int, int]:
        """Rows of a block, and of the sample."""
        memory = memory_of(self.memory)
        if self.sample is not None:
            return BLOCK, self.sample
        if memory is None:
            return BLOCK, SAMPLE
        each = 8.0 * COPIES * (columns + 2)
        rows = int((memory - RESERVED) / (2 * each))
        if rows < LEAST:
            raise DataError(
                f"memory_limit is too small for {columns} columns: at least "
                f"{(RESERVED + 2 * each * LEAST) / 1e6:.0f}MB"
            )
        return min(BLOCK, rows), min(SAMPLE, rows)


def memory_of(text: str | int | float | None) -> float | None:
    """Bytes of "2GB", "500 MB" or a number."""
    if text is None or isinstance(text, int | float):
        return text
    found = re.fullmatch(r"\s*([0-9.]+)\s*([KMGT]?B?)\s*", str(text).upper())
    if found is None:
        raise DataError(f"memory_limit={text!r} is no size: write '2GB' or '500MB'")
    unit = found[2] if found[2].endswith("B") or not found[2] else found[2] + "B"
    return float(found[1]) * UNITS[unit]
