"""Responses and weights as numbers, or one sentence why not."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import DataError
from ..reading import from_numpy
from .frames import refuse_dates, which_rows

WEIGHTS = 1e100  # the largest sum of weights: its square and its products with sums of squares are doubles


def encode_classes(y: np.ndarray, known: tuple = (), name: str = "y") -> tuple[np.ndarray, tuple]:
    """Class indices (n,) as floats, and the sorted labels; `known` labels are kept and others refused."""
    y = np.asarray(y)
    if y.ndim == 2:
        raise DataError(
            f"the response '{name}' has {y.shape[1]} columns, a class has one: for successes and trials use "
            "family='binomial'"
        )
    if y.dtype == object:
        y = y.astype(str) if all(isinstance(v, str) for v in y) else y
    labels = np.unique(y)
    if known:
        order = np.array(known, dtype=labels.dtype if labels.dtype.kind in "US" else None)
        unseen = [v for v in labels if v not in known]
        if unseen:
            first = from_numpy(unseen[0])
            raise DataError(
                f"{name} has the class {first!r}, which was not seen in fitting: "
                f"the known classes are {', '.join(map(str, known))}"
            )
        sorter = np.argsort(order, kind="stable")
        return sorter[np.searchsorted(order, y, sorter=sorter)].astype(float), known
    code = np.empty(len(y))
    for start in range(0, len(y), 1 << 20):  # in pieces: no second index array of n entries
        at = slice(start, start + (1 << 20))
        code[at] = np.searchsorted(labels, y[at])
    return code, tuple(labels.tolist())


def check_repeated(classes: int, n: int, name: str = "y") -> None:
    """Refuse more than two classes of which each of n rows has one alone: on a line the largest of linear
    scores can single out every row, so the likelihood has no maximum; numbers or names of rows were
    passed."""
    if classes == n > 2:
        raise DataError(
            f"the response '{name}' has {classes} classes in {n} rows, one a row: "
            "for numbers use MoERegressor (--family gaussian)"
        )


def check_constants(classes: int, k: int, n: int, name: str = "y") -> None:
    """Refuse k experts of so many classes that n rows are fewer than the parameters of a fit without columns,
    k (classes - 1) + k - 1: a row has one score, and n scores span at most n directions."""
    constants = k * classes - 1
    if k > 1 and constants > n and classes > 1:
        most = (n + 1) // classes
        fewer = f"at most {most} experts" if most > 1 else "one expert"
        raise DataError(
            f"{k} experts of the {classes} classes of '{name}' have {constants} parameters without any "
            f"column, and the data {n} rows: use {fewer}, or for numbers MoERegressor (--family gaussian)"
        )


def ordered_classes(
    y: np.ndarray, levels: Any, name: str = "y", stated: tuple[Any, ...] | None = None
) -> tuple:
    """The classes of y (n,) from the lowest to the highest: `levels`; where these are None the order that its
    type has `stated`, and none where it has not, as numbers are sorted. Numbers may be written as text, as a
    shell does."""
    y = np.asarray(y)
    found = set(y.tolist()) if y.ndim == 1 else set()
    if levels is None:
        if stated is not None:
            return stated
        if any(isinstance(v, str) for v in found):
            raise DataError(
                f"the response '{name}' holds text, which has no order by itself: give its classes from the "
                "lowest to the highest, levels=['low', 'medium', 'high'] (--levels low,medium,high), or an "
                "ordered categorical"
            )
        return ()
    if isinstance(levels, str) or len(set(levels)) != len(levels):
        raise DataError(f"levels must be a list of different classes, got {levels!r}")
    known = tuple(map(from_numpy, levels))
    if all(isinstance(v, str) for v in known) and not any(isinstance(v, str) for v in found):
        known = tuple({str(v): v for v in found}.get(v, v) for v in known)
    for lost, says in ((found - set(known), "and levels does not name it"), (set(known) - found, "")):
        if lost:
            first = min(lost, key=str)
            has = f"the response '{name}' has the class {first!r}, {says}"
            raise DataError(has if says else f"no row has the class {first!r} that levels names")
    if stated is not None and known != stated:
        raise DataError(
            f"levels={list(known)} contradicts the order that the response '{name}' states itself, "
            f"{' < '.join(map(str, stated))}: leave levels out, or reorder the categories"
        )
    return known


def numeric_response(
    y: np.ndarray, name: str = "y", holes: bool = False, open_ends: bool = False
) -> np.ndarray:
    """The response as finite floats; with `holes` NaN where it is missing, with `open_ends` infinite where an
    interval has no end."""
    refuse_dates(f"the response '{name}'", np.asarray(y))
    try:
        out = np.ascontiguousarray(y, dtype=float)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"the response '{name}' holds text: for classes use MoEClassifier (--family multinomial)"
        ) from error
    bad = np.isinf(out) if holes else np.isnan(out) if open_ends else ~np.isfinite(out)
    if bad.any():
        raise DataError(
            f"the response '{name}' is NaN or infinite in {which_rows(bad)}: remove those rows first"
        )
    return out


def finite_numbers(values: Any, n: int, name: str, hint: str) -> np.ndarray:
    """Finite numbers (n,); `hint` says to a person who gave text, or another shape, what they are."""
    if values is not None:
        refuse_dates(name, np.asarray(values))
    try:
        out = np.ascontiguousarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} holds text: {hint}") from error
    if out.shape != (n,):
        raise DataError(f"{name} has shape {out.shape}, expected ({n},): {hint}")
    bad = ~np.isfinite(out)
    if bad.any():
        raise DataError(f"{name} is NaN or infinite in {which_rows(bad)}")
    return out


def check_weights(weights: Any, n: int, name: str = "sample_weight") -> np.ndarray | None:
    """Finite, non-negative weights (n,) with a positive sum."""
    if weights is None:
        return None
    w = finite_numbers(weights, n, name, "weights are numbers of at least 0, one a row")
    if (w < 0).any():
        raise DataError(f"{name} is negative in {which_rows(w < 0)}: weights must be at least 0")
    with np.errstate(over="ignore"):
        total = float(w.sum())
    if total <= 0:
        raise DataError(f"{name} is zero for every row: give at least one row a positive weight")
    if not 1 / WEIGHTS <= total <= WEIGHTS:
        raise DataError(
            f"{name} sums to {total:.3g}, too far from 1 for double precision: rescale the weights"
        )
    return w
