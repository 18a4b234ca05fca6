"""What every fitted estimator says of its experts, with uncertainty, and how well they describe the rows."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from ..design.response import check_weights
from ..errors import DataError
from ..fitted import FittedModel, assigned, named_columns, posterior, residuals
from ..fitted.groups import gate_inputs, group_joint
from ..inference.classification import Classification, classify, profile_means
from ..inference.dispersion import dispersion_checks
from ..inference.pseudo import pseudo_r2
from ..rows import Rows, encode_groups
from ..tables import Table
from ..threads import thread_count
from .groups import ids_of, weights_of
from .holes import Seen
from .tested import Tested


class Described(Tested):
    """Posteriors, classes and residuals of a fit."""

    @abstractmethod
    def _with_response(self, X: Any, y: Any, offset: Any = None) -> tuple[Any, Any, np.ndarray]:
        """The experts' columns, the gate's, and the response."""

    @abstractmethod
    def _complete(self, X: Any, y: Any = None, response: bool = False, offset: Any = None) -> Seen:
        """The rows without missing values."""

    @abstractmethod
    def responsibilities(
        self, X: Any, y: Any = None, groups: Any = None, per: str = "row", *, offset: Any = None
    ) -> np.ndarray:
        """Posterior probability of each expert, (n, k)."""

    def _posterior(self, x: Any, z: Any, y: np.ndarray) -> np.ndarray:
        return posterior(self._fitted().log_joint(x, z, y))

    def _rows(
        self, X: Any, y: Any, sample_weight: Any, offset: Any, what: str, groups: Any = None
    ) -> tuple[Any, Any, np.ndarray, np.ndarray, np.ndarray | None]:
        """x, z, y and weights of the rows given, or of the training data, and the number of each row's group,
        None without groups."""
        grouped = isinstance(self._fitted(), FittedModel) and self._fitted().fit.group_sizes is not None
        if X is not None:
            if grouped and groups is None:
                raise DataError(f"rows share their expert in groups in this fit: {what} needs their groups=")
            seen = self._complete(X, y, response=True, offset=offset)
            ids = seen.take(ids_of(self, groups, X))
            x, z, y = self._with_response(*(seen.take(a) for a in (X, y, offset)))
            sample_weight = seen.take(weights_of(self, sample_weight, X))
            w = check_weights(sample_weight, len(y))
            code = None if ids is None else encode_groups(ids, len(y))[0]
        else:
            if any(given is not None for given in (y, sample_weight, offset, groups)):
                raise DataError("y, sample_weight, groups and offset are given with X")
            if self._found.rows is None:
                raise DataError(
                    f"{what} needs data, and an estimator from a file or a pickle carries none: give X and y"
                )
            rows, code = self._found.rows, None
            if not isinstance(rows, Rows):
                x, z, y, w = rows.x, rows.z, rows.y, rows.w
            else:
                x, z, y, w = rows.inputs, rows.z, rows.y, rows.row_weights
                code = None if rows.groups is None else rows.groups.of_rows
        return x, z, y, np.ones(len(y)) if w is None else w, code

    def _single_rows(self, what: str) -> None:
        model = self._fitted()
        if isinstance(model, FittedModel) and model.fit.group_sizes is not None:
            raise DataError(f"{what} is of single rows, and these share their expert in groups")

    def assign(self, X: Any, y: Any = None, groups: Any = None, *, offset: Any = None) -> Table:
        """The most probable expert of each row given (x, y), counted from 1, and the posterior of each.

        Columns expert, posterior(1), ..., posterior(k); y, groups and offset as in `responsibilities`.
        """
        return Table(assigned(self.responsibilities(X, y, groups, offset=offset)))

    def classification(
        self,
        X: Any = None,
        y: Any = None,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        offset: Any = None,
        cov: str = "observed",
        level: float = 0.95,
        **how: Any,
    ) -> Classification:
        """How well the experts can be told apart, on the training data or on other rows; where rows share
        their expert, groups are classified, and other rows need their `groups`.

        Average posteriors by assigned expert, shares (the gate's average weight; of located experts their
        weight) with standard errors and intervals, the odds of correct classification, entropy R². Standard
        errors, by `cov` as in `inference`, are None where a fit has none; those of average weights are
        conditional on the columns of the gate.
        """
        model = self._fitted()
        if model.fit.k == 1:
            raise DataError("one expert has nothing to classify")
        x, z, y, w, code = self._rows(X, y, sample_weight, offset, "classification", groups)
        r = self._posterior(x, z, y) if code is None else posterior(group_joint(model, x, z, y, code)[0])
        if code is not None:
            first = np.unique(code, return_index=True)[1]
            if (w != w[first][code]).any():
                raise DataError("sample_weight must be the same in all rows of a group")
            (x, z), w = gate_inputs(model, x, z, code), w[first]
        try:
            covariance = self._covariance(cov, **how)
        except DataError:
            if cov != "observed":
                raise
            covariance = None
        shares, errors = model.shares(x, z, w, covariance)
        return classify(r, w, shares, errors, level)

    def profiles(
        self,
        X: Any = None,
        y: Any = None,
        sample_weight: Any = None,
        *,
        groups: Any = None,
        offset: Any = None,
    ) -> Table:
        """Posterior-weighted means of all columns and of the response by expert, with standard errors.

        Columns of the design, in the user's units; a class is its indicator. The errors take the posterior as
        given. Rows that share their expert have the posterior of their group, and its rows count together in
        the errors.
        """
        model = self._fitted()
        x, z, y, w, code = self._rows(X, y, sample_weight, offset, "profiles", groups)
        r = (
            self._posterior(x, z, y)
            if code is None
            else posterior(group_joint(model, x, z, y, code)[0])[code]
        )
        return profile_means(r, w, named_columns(model, x, z, y), code)

    def pseudo_r2(self) -> Table:
        """McFadden's R² of classes and counts, against the constant and against one expert."""
        model = self._fitted()
        if not isinstance(model, FittedModel) or self._found.penalised is not None:
            raise DataError(
                "McFadden's R² is defined for unpenalised fits of classes and counts: use score()"
            )
        if self._found.rows is None:
            raise DataError("McFadden's R² needs the training data, which a file does not carry: fit again")
        return pseudo_r2(model.fit, self._found.rows, self._found.engine, thread_count(self.n_jobs))

    def dispersion(
        self, X: Any = None, y: Any = None, sample_weight: Any = None, *, offset: Any = None
    ) -> Table:
        """Of counts: Pearson's X² beside its degrees of freedom, and the number of zeros beside the model's,
        on the training data or on other rows; check, observed, expected, ratio, z, p."""
        model = self._fitted()
        if not isinstance(model, FittedModel) or model.classes or not model.fit.model.family.discrete:
            raise DataError("dispersion is checked for counts only: look at quantile_residuals(X, y)")
        self._single_rows("dispersion")
        x, z, counts, w, _ = self._rows(X, y, sample_weight, offset, "dispersion")
        law = model.distribution(x, z)
        parameters = model.fit.n_parameters if X is None else 0
        return dispersion_checks(counts, law.mean(), law.variance(), law.cdf(0.0), w, parameters)

    def quantile_residuals(
        self, X: Any, y: Any = None, random_state: int | None = None, *, offset: Any = None
    ) -> np.ndarray:
        """Quantile residuals (n,), or (n, q) of several responses: standard normal where the model is right.

        Phi^-1(F(y | x)); of counts and classes, where F jumps, a random point of the jump (Dunn and Smyth,
        1996).
        """
        seen = self._complete(X, y, response=True, offset=offset)
        x, z, y = self._with_response(*(seen.take(a) for a in (X, y, offset)))
        return seen.restore(residuals(self._fitted(), x, z, y, random_state))
