"""What a fit leaves behind in an estimator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..api import Result
from ..design.holes import take_rows
from ..errors import DataError
from ..fitted import FittedModel, LocatedModel
from ..fitted.values import encode
from ..inference import Request
from ..reading import flags, number, texts
from ..selection import DDSE, Dendrogram, Djump
from ..tables import Table
from .paths import RegularizationPath

KEPT = ("observed", "sandwich")  # covariances that a file may hold
KEPT_SIZE = 200  # parameters up to which it holds them unless told otherwise
KINDS_OF = {"selection": Table, "slope": Djump | DDSE | None, "dendrogram": Dendrogram | None}
ATTRIBUTES = ("n_features_in_", "feature_names_in_", "classes_")  # what `fit` sets beside what it found


@dataclass(frozen=True)
class Penalised:
    """What a penalised fit has beside its model.

    Attributes
    ----------
    alpha : float
        Strength.
    selected : list of str
        Columns with a slope.
    support : ndarray of bool, shape (n_features,)
    path : RegularizationPath or None
        None for a fit that was read from a file.
    """

    alpha: float
    selected: list[str]
    support: np.ndarray
    path: RegularizationPath | None


@dataclass(frozen=True)
class Found:
    """A fitted model, how it was chosen, and the rows it was fitted on.

    Attributes
    ----------
    model : FittedModel or LocatedModel
    selection : Table
        One row a candidate.
    rows : Rows, Observations of a located fit, or None
        None where they are not kept.
    slope : Djump, DDSE or None
    dendrogram : Dendrogram or None
        In the user's units.
    penalised : Penalised or None
    engine : str
        What sums over the rows.
    searched : bool
        Whether the search went on until its own evidence ended it.
    keep : ndarray of bool, shape (n,), or None
        The rows of the data that were fitted on; None where all were.
    """

    model: Any
    selection: Table
    rows: Any = None
    slope: Djump | DDSE | None = None
    dendrogram: Dendrogram | None = None
    penalised: Penalised | None = None
    engine: str = "auto"
    searched: bool = False
    keep: np.ndarray | None = None

    @classmethod
    def of(cls, result: Result, engine: str, searched: bool) -> Found:
        """What was found without a penalty."""
        model, swept = result.model, result.sweep
        tree = None if swept.tree is None else model.in_user_units(swept.tree)
        return cls(
            model, swept.table(), result.rows, swept.choice.slope, tree, engine=engine, searched=searched
        )

    def covariance(self, kind: str, threads: int, cluster: Any = None, **how: Any) -> Any:
        """Covariance of the estimate, from the rows or as a file kept it; words as in `Request`."""
        if self.penalised is not None:
            raise DataError(
                "a penalised fit has no standard errors: "
                "its slopes are shrunk and were chosen from the same data"
            )
        request = Request(kind, cluster, **how)
        kept = self.model.covariances
        if kind in kept and request.is_usual:
            return kept[kind]
        if self.rows is None:
            has = f" (it carries {' and '.join(kept)} ones)" if kept else ""
            what = f"{kind} standard errors" + (f" with {request.correction}" if request.correction else "")
            raise DataError(
                f"{what} need the training data, "
                f"which an estimator from a file or a pickle does not carry{has}: fit again"
            )
        keep = self.keep
        if keep is not None:
            request = request.taking(lambda ids: take_rows(ids, keep))
        return self.model.estimate_covariance(self.rows, request, self.engine, threads)

    def keeping(self, kinds: Sequence[str] | None, threads: int) -> Found:
        """With the covariances of these kinds, for a file; None: what it carries, or both where they can be
        had at little cost."""
        if kinds is None:
            sound = self.penalised is None and self.model.fit.status.usable
            able = sound and self.rows is not None and not self.model.takes_holes
            kinds = (
                KEPT if able and self.model.fit.n_parameters <= KEPT_SIZE else tuple(self.model.covariances)
            )
        if isinstance(kinds, str) or any(kind not in KEPT for kind in kinds):
            raise DataError(f"cov must be a list of {' and '.join(KEPT)}, got {kinds!r}")
        covariances = {kind: self.covariance(kind, threads) for kind in kinds}
        return replace(self, model=replace(self.model, covariances=covariances))

    def to_dict(self) -> dict[str, Any]:
        """What a file keeps beside the model."""
        p = self.penalised
        return {
            "selection": self.selection,
            "slope": self.slope,
            "dendrogram": self.dendrogram,
            "penalised": None
            if p is None
            else {"alpha": p.alpha, "selected": p.selected, "support": p.support},
        }

    @classmethod
    def from_dict(cls, model: FittedModel | LocatedModel, data: dict[str, Any]) -> Found:
        """Inverse of `to_dict`."""
        for name, kinds in KINDS_OF.items():
            if not isinstance(data[name], kinds):
                raise DataError(f"the model file's {name} is of the wrong kind")
        p = data["penalised"]
        penalised = None
        if p is not None:
            support = flags(np.asarray(p["support"]).tolist(), len(np.asarray(p["support"])), "support")
            strength = number(p["alpha"], "strength", 0.0)
            penalised = Penalised(strength, list(texts(p["selected"], "selected columns")), support, None)
        return cls(model, data["selection"], None, data["slope"], data["dendrogram"], penalised)


def describe(estimator: Any, found: Found) -> dict[str, Any]:
    """What makes a model an estimator again, as JSON data."""
    words = estimator.get_params(deep=False)
    return {
        "class": type(estimator).__name__,
        "parameters": {n: encode(v, f"the parameter {n}") for n, v in words.items()},
        "attributes": {n: encode(getattr(estimator, n), n) for n in ATTRIBUTES if hasattr(estimator, n)},
        "found": encode(found.to_dict(), "the fit"),
    }
