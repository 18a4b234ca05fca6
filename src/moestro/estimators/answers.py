"""What a fitted estimator says of new rows: gate weights, posteriors, densities."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from ..design import FormulaDesign, append_second, split_trials
from ..design.holes import MARGINAL
from ..errors import DataError
from ..fitted import posterior
from ..fitted.groups import group_joint
from .groups import ids_of, weights_of
from .helpers import beside, given_offset, numbers_of, read_response
from .holes import Seen, seen_responses, seen_rows
from .margined import Margined


class Answers(Margined):
    """Reads new rows as the fit did, and answers with NaN where a value is missing."""

    missing: str
    _has_law_of_x = False  # so that values may be missing

    @property
    def _holes(self) -> bool:
        """Whether the likelihood is that of what was seen."""
        return self._has_law_of_x and self.missing == MARGINAL

    @abstractmethod
    def _encode(
        self, y: np.ndarray, response: str, fitting: bool, stated: tuple[Any, ...] | None = None
    ) -> np.ndarray:
        """y (n,) as floats the family understands; learns classes when fitting."""

    @property
    @abstractmethod
    def _classes(self) -> tuple:
        """Labels of the classes; none for numbers."""

    @property
    def _takes_trials(self) -> bool:
        """Whether y may have two columns: successes and trials, or the ends of an interval."""
        return False

    def _split_trials(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Successes (n,) and trials (n,) of a response with two columns; y and None of any other."""
        return split_trials(y) if self._takes_trials else (y, None)

    def _matrices(self, X: Any, offset: Any = None) -> tuple[Any, Any]:
        design = self._fitted().design
        if isinstance(design, FormulaDesign):
            return design.matrices(X)
        return design.matrices(self._numbers(X, offset))

    def _numbers(self, X: Any, offset: Any = None) -> Any:
        """The matrix X as it was fitted, with its offset."""
        X, design = numbers_of(self, X), self._fitted().design
        if offset is not None:
            if not design.known:
                raise DataError("this model was fitted without an offset: leave it out")
            return beside(X, given_offset(offset, X.shape[0]))
        if design.known:
            raise DataError(
                "this model was fitted with an offset: give offset=, one number for each row of X"
            )
        return X

    def _complete(self, X: Any, y: Any = None, response: bool = False, offset: Any = None) -> Seen:
        """The rows of X, of y where the response is read too, and of the offset, without missing values."""
        return seen_rows(self, X, y, response, offset)

    def _with_response(self, X: Any, y: Any, offset: Any = None) -> tuple[Any, Any, np.ndarray]:
        x, z = self._matrices(X, offset)
        response = self._response(read_response(self._fitted().design, X, y), x.shape[0])
        y, trials = self._split_trials(response)
        if self._takes_trials:
            x = append_second(x, self._fitted().design.known, y, trials, self._fitted().fit.model.family)
        return x, z, y

    def _response(self, values: np.ndarray, n: int) -> np.ndarray:
        """The response of n rows as the family understands it."""
        model = self._fitted()
        if self._takes_trials and values.shape == (n, 2):
            return self._encode(values, model.responses[0], fitting=False)
        expected = (n,) if model.single else (n, len(model.responses))
        if values.shape != expected:
            raise DataError(f"y has shape {values.shape}, expected {expected}")
        return self._encode(values, model.responses[0], fitting=False)

    def _scored(
        self, X: Any, y: Any, sample_weight: Any, offset: Any = None
    ) -> tuple[Any, np.ndarray, Any, Any]:
        """X, the response, weights and offset of the rows without missing values."""
        sample_weight = weights_of(self, sample_weight, X)
        seen = self._complete(X, y, response=True, offset=offset)
        if self._holes:
            seen = seen_responses(read_response(self._fitted().design, X, y))
        X, y, w, offset = (seen.take(a) for a in (X, y, sample_weight, offset))
        return X, read_response(self._fitted().design, X, y), w, offset

    def gate_proba(self, X: Any) -> np.ndarray:
        """Prior weight g_i(x) of each expert, shape (n, k)."""
        seen, design = self._complete(X), self._fitted().design
        X = seen.take(X)
        anything = None if isinstance(design, FormulaDesign) or not design.known else np.zeros(len(X))
        return seen.restore(np.exp(self._fitted().log_gate(*self._matrices(X, anything))))

    def responsibilities(
        self, X: Any, y: Any = None, groups: Any = None, per: str = "row", *, offset: Any = None
    ) -> np.ndarray:
        """Posterior probability of each expert given (x, y), shape (n, k).

        y is what `fit` takes: with a formula it may be left out, and is untransformed where it is given.
        `groups` as in `fit`: all rows of a group have the same probabilities, given all of them; per="group"
        has one row a group instead, (G, k), in the order in which groups first appear.
        """
        if per not in ("row", "group") or (per == "group" and groups is None):
            raise DataError(f"per={per!r} must be 'row', or 'group' where groups are given")
        seen = self._complete(X, y, response=True, offset=offset)
        ids, data = ids_of(self, groups, X), self._with_response(*(seen.take(a) for a in (X, y, offset)))
        if groups is None:
            return seen.restore(posterior(self._fitted().log_joint(*data)))
        joint, of_row = group_joint(self._fitted(), *data, seen.take(ids))
        r = posterior(joint)
        return seen.restore_groups(r, ids) if per == "group" else seen.restore(r[of_row])

    def log_density(self, X: Any, y: Any = None, groups: Any = None, *, offset: Any = None) -> np.ndarray:
        """log p(y | x) in the user's units, shape (n,); y as in `responsibilities`.

        With `groups` that of all rows of a group together, shape (G,), in the order in which groups first
        appear: log sum_e pi_e prod_i f_e(y_i | x_i).

        With a formula whose response is transformed it is the density of the transformed response: with
        "log(price) ~ size" that of log(price).
        """
        seen = self._complete(X, y, response=True, offset=offset)
        ids, data = ids_of(self, groups, X), self._with_response(*(seen.take(a) for a in (X, y, offset)))
        if groups is None:
            return seen.restore(self._fitted().log_density(*data))
        joint = group_joint(self._fitted(), *data, seen.take(ids))[0]
        return seen.restore_groups(np.logaddexp.reduce(joint, axis=1), ids)
