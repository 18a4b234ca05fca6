"""What a covariance is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import DataError
from ..rows import Groups, encode_groups
from ..search import Progress
from .clusters import Clusters, columns_of
from .survey import Survey

FORMULAS = ("observed", "expected", "sandwich", "cluster", "survey")
REFITS = ("bootstrap", "jackknife")
KINDS = (*FORMULAS, *REFITS)
# Which words go with which kinds.
WORDS = {
    "cluster": ("cluster", "survey", *REFITS),
    "strata": ("survey",),
    "fpc": ("survey",),
    "resample": ("bootstrap",),
}
RESAMPLES = ("weights", "rows", "parametric")
# Small-sample corrections by their usual names, the first one where none is asked for. n are rows (groups
# that share an expert), G clusters, P estimated parameters.
CORRECTIONS = {
    "sandwich": {"HC0": "", "HC1": "n / (n - P)"},
    "cluster": {"CR1": "G / (G - 1)", "CR0": "", "CR1S": "G / (G - 1) (n - 1) / (n - P)"},
}


@dataclass(frozen=True)
class Request:
    """A kind of covariance and its words.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    cluster : array-like or None
        Of "cluster", the refits, and the primary units of "survey".
    strata, fpc : array-like or None
        Of "survey".
    n_bootstrap : int
    random_state : int or None
    resample : {"weights", "rows", "parametric"} or None
        How a bootstrap draws; None is "weights".
    correction : str or None
        One of `CORRECTIONS` of the kind; None is the first of them.
    progress : callable or None
        (kind, done, total, "") after each refit, as of a search.
    """

    kind: str
    cluster: Any = None
    strata: Any = None
    fpc: Any = None
    n_bootstrap: int = 100
    random_state: int | None = None
    resample: str | None = None
    correction: str | None = None
    progress: Progress | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(f"cov={self.kind!r} is unknown: choose one of {', '.join(KINDS)}")
        for word, kinds in WORDS.items():
            if getattr(self, word) is not None and self.kind not in kinds:
                what = "clusters" if word == "cluster" else word
                raise DataError(f"cov={self.kind!r} has no {what}: use cov={' or '.join(map(repr, kinds))}")
        if self.resample is not None and self.resample not in RESAMPLES:
            raise DataError(f"resample={self.resample!r} is unknown: choose one of {', '.join(RESAMPLES)}")
        known = CORRECTIONS.get(self.kind, {})
        if self.correction is not None and self.correction not in known:
            raise DataError(
                f"correction={self.correction!r} is unknown: choose one of {', '.join(known)}"
                if known
                else f"cov={self.kind!r} has no correction: cov='sandwich' and cov='cluster' have some"
            )

    @property
    def corrected(self) -> str:
        """The name of the small-sample correction, given or usual; "" of a kind without any."""
        return self.correction or next(iter(CORRECTIONS.get(self.kind, {})), "")

    @property
    def is_usual(self) -> bool:
        """Whether the correction is the one where none is asked for, so that the answer may be kept."""
        return self.corrected == Request(self.kind).corrected

    def small_sample(self, n: int, parameters: int) -> float:
        """What the covariance of n rows, or groups, is multiplied by; what counts clusters is in
        `Clusters`."""
        if self.corrected not in ("HC1", "CR1S"):
            return 1.0
        if n <= parameters:
            raise DataError(
                f"correction={self.corrected!r} needs more rows than parameters: {n} and {parameters}"
            )
        return (n if self.corrected == "HC1" else n - 1) / (n - parameters)

    def taking(self, take: Callable[[Any], Any]) -> Request:
        """The same of some of the rows: `take` takes them from each array that has one entry a row."""

        def taken(ids: Any) -> Any:
            if isinstance(ids, tuple):
                return tuple(map(taken, ids))
            return ids if ids is None or np.ndim(ids) == 0 else take(ids)

        return replace(self, **{name: taken(getattr(self, name)) for name in ("cluster", "strata", "fpc")})


OBSERVED = Request("observed")


def of_groups(request: Request, groups: Groups) -> Request:
    """The same with one entry a group where it has one a row: clusters, strata and primary units are made of
    whole groups, whose rows share their expert."""
    code = groups.code
    assert code is not None
    first = np.unique(code, return_index=True)[1]

    def taken(ids: Any, what: str) -> np.ndarray:
        values = np.asarray(ids, dtype=float) if what == "fpc" else encode_groups(ids, len(code), what)[0]
        if values.shape != code.shape or (values != values[first][code]).any():
            raise DataError(f"{what} must have one value a row, the same in all rows of a group")
        return values[first]

    several = request.cluster if isinstance(request.cluster, tuple) else (request.cluster,)
    columns = [c for a in several if a is not None for c in columns_of(a)]
    return replace(
        request,
        cluster=tuple(taken(c, "cluster") for c in columns)
        if len(columns) > 1
        else taken(columns[0], "cluster")
        if columns
        else None,
        strata=None if request.strata is None else taken(request.strata, "strata"),
        fpc=request.fpc if np.ndim(request.fpc) == 0 else taken(request.fpc, "fpc"),
    )


def joint(request: Request, n: int, w: np.ndarray | None) -> Clusters | Survey | None:
    """Rows that a request puts together: clusters, primary units, or None."""
    if request.kind == "survey":
        return Survey.of(request.cluster, request.strata, request.fpc, n, w)
    if request.kind == "cluster" or request.cluster is not None:
        return Clusters.of(request.cluster, n, w, corrected=request.corrected != "CR0")
    return None
