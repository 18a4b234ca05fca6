"""Files that commands read and write, checked before the work."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..errors import DataError, FileError
from ..writing import check_target, is_stream
from .options import refuse_given

PICTURES_NEED = "pictures need an extra: pip install 'moestro[plots]'"


def is_stored(path: str, memory_limit: str | None = None) -> bool:
    """Whether rows are read from files block by block: from a folder, a glob, or under a limit of memory."""
    return (
        memory_limit is not None or os.path.isdir(path) or (glob.has_magic(path) and not os.path.exists(path))
    )


def read_data(options: dict[str, Any]) -> tuple[Any, Any]:
    """The frame, and the column of --weights; of rows that are read block by block the path, and its
    name."""
    from ..design.files import read_frame
    from ..design.frames import columns
    from ..design.response import check_weights

    if is_stored(options["data"], options.get("memory_limit")):
        if "memory_limit" not in options:
            raise FileError(f"{options['data']}: this needs rows in memory: give one file")
        refuse_given(["separator", "decimal"], "is of one CSV file that is read whole")
        return options["data"], options["weights"]
    refuse_given(["cache"], "keeps rows that are read block by block: of a folder, a glob, or --memory-limit")
    frame = read_frame(options["data"], options["separator"], options["decimal"])
    name = options["weights"]
    if name is None:
        return frame, None
    weights = columns(frame, [name])[name]
    return frame, check_weights(weights, len(weights), f"column '{name}' (--weights)")


def check_writable(*paths: str | None, read: Iterable[str | None] = ()) -> None:
    """Say before the work, not after it, that a file cannot be written, that two have one name, or that one
    would take the place of what the command has to `read`."""
    given = [path for path in paths if path is not None]
    for path in given:
        check_target(path)
    places = [os.path.realpath(path) for path in given]
    for i, place in enumerate(places):
        if place in places[:i]:
            raise FileError(f"{given[i]}: is given for two files: give each a name of its own")
        if place in [os.path.realpath(path) for path in read if path is not None and path != "-"]:
            raise FileError(f"{given[i]}: is a file that the command reads: write to another")


def check_picture(path: str | None) -> None:
    """Refuse a kind of picture that matplotlib does not write."""
    if not path:
        return
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
    except ImportError as error:
        raise FileError(PICTURES_NEED) from error
    if not is_stream(path):
        check_kind(path, tuple("." + kind for kind in sorted(FigureCanvasAgg.get_supported_filetypes())))


def check_kind(path: str, kinds: tuple[str, ...]) -> None:
    """Refuse a file whose name does not end in one of `kinds`."""
    if os.path.splitext(path)[1].lower() not in kinds:
        which = "one of " if len(kinds) > 1 else ""
        raise FileError(f"{path}: the name must end in {which}{', '.join(kinds)}")


def check_model(path: str | None) -> None:
    """Refuse a name by which a model would be taken for another kind of file."""
    if path and not is_stream(path):
        check_kind(path, (".json",))


def draw(save: Callable[[str], Any], path: str) -> None:
    """Call `save` on the path; its errors in one line."""
    try:
        save(path)
    except ImportError as error:
        raise FileError(PICTURES_NEED) from error
    except ValueError as error:
        if isinstance(error, DataError):
            raise
        raise FileError(f"{path}: {error}") from error


def numbers(name: str, values: np.ndarray) -> np.ndarray:
    """A column as finite numbers."""
    try:
        out = values.astype(float)
    except (TypeError, ValueError) as error:
        raise DataError(f"column '{name}' holds text, but the model was fitted on numbers") from error
    if not np.isfinite(out).all():
        raise DataError(f"column '{name}' has missing or infinite values: remove or fill them first")
    return out
