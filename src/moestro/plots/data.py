"""The rows beneath a picture: columns, response, weights and posteriors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..errors import DataError
from ..fitted import FittedModel, LocatedModel, posterior
from .lines import ranked

POINTS = 800  # that a picture shows


@dataclass(frozen=True)
class Rows:
    """Rows that a model has seen, or others.

    Attributes
    ----------
    x, z : arrays of shape (n, d) and (n, e), or None
        As the design gives them.
    y : ndarray of shape (n,) or (n, q)
        Response; classes by their place.
    w : ndarray of shape (n,)
        Weights.
    r : ndarray of shape (n, k)
        Posteriors of the experts.
    """

    x: Any
    z: Any
    y: np.ndarray
    w: np.ndarray
    r: np.ndarray

    def column(self, model: FittedModel | LocatedModel, name: str) -> np.ndarray:
        """A column (n,) of the experts or of the gate, by its name."""
        for matrix, names in ((self.x, model.design.expert_names), (self.z, model.design.gate_names)):
            if matrix is not None and name in names:
                found = matrix[:, [list(names).index(name)]]
                return np.ravel(found.toarray() if sp.issparse(found) else found)
        known = ", ".join(dict.fromkeys([*model.design.gate_names, *model.design.expert_names]))
        raise DataError(f"no column '{name}' to draw against: the columns are {known}")

    def ends(self, model: FittedModel | LocatedModel, name: str) -> tuple[float, float] | None:
        """The smallest and the largest value of a column; None where there is one value."""
        found = self.column(model, name)
        low, high = float(found.min()), float(found.max())
        return (low, high) if low < high else None

    def term(self, model: FittedModel | LocatedModel, part: str) -> str | None:
        """The strongest column of a part that has more than two values, else the strongest."""
        found = ranked(model, part)
        wide = (name for name in found if len(np.unique(self.column(model, name)[:1000])) > 2)
        return next(wide, found[0] if found else None)

    def known(self, model: FittedModel | LocatedModel) -> np.ndarray | None:
        """The average offset and one trial, where the model has them: what lines are drawn at."""
        d, known = len(model.design.expert_names), self.x.shape[1] - len(model.design.expert_names)
        if not known:
            return None
        return np.array([float(np.mean(self.x[:, d])), 1.0][: known if _trials(model) else 1])

    def responses(self, model: FittedModel | LocatedModel) -> np.ndarray:
        """(n, q); successes as their share of the trials."""
        y = np.reshape(self.y, (len(self.y), -1))
        tried = _trials(model) and self.x.shape[1] - len(model.design.expert_names) > 1
        return y / self.x[:, -1:] if tried else y

    def shown(self, most: int = POINTS) -> np.ndarray:
        """Places of at most so many rows, evenly spread."""
        n = len(self.w)
        return np.arange(n) if n <= most else np.linspace(0, n - 1, most).astype(int)


def _trials(model: FittedModel | LocatedModel) -> bool:
    """Whether a second number known of a row is its trials, not the end of an interval."""
    return isinstance(model, FittedModel) and not model.fit.model.family.takes_bounds


def ends_of(
    estimator: Any, model: FittedModel | LocatedModel, part: str, term: str | None
) -> tuple[float, float] | None:
    """Where the rows of a fit end along `term`, by default the strongest column; None where they are not at
    hand."""
    name = term or next(iter(ranked(model, part)), None)
    if name is None or not hasattr(estimator, "_rows"):
        return None
    try:
        estimator._single_rows("this picture")
        x, z, y, w, _ = estimator._rows(None, None, None, None, "this picture")
        return Rows(x, z, y, w, np.empty((0, model.fit.k))).ends(model, name)
    except DataError:  # of a file, of groups, or of a column that the caller refuses by its name
        return None


def rows_of(
    estimator: Any, X: Any = None, y: Any = None, sample_weight: Any = None, *, offset: Any = None
) -> Rows:
    """The rows (X, y), or those that an estimator was fitted on, with their posteriors."""
    if not hasattr(estimator, "_rows"):
        raise DataError(f"expected a fitted moestro estimator, got {type(estimator).__name__}")
    estimator._single_rows("this picture")
    x, z, y, w, _ = estimator._rows(X, y, sample_weight, offset, "this picture")
    return Rows(x, z, y, w, posterior(estimator._fitted().log_joint(x, z, y)))
