"""What every fitted estimator says of its experts, with uncertainty: who they are, and what they do."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..design import FormulaDesign
from ..design.response import check_weights
from ..errors import DataError
from ..fitted import FittedModel, assigned, named_columns, posterior, residuals
from ..inference.bands import bands
from ..inference.classification import Classification, classify, profile_means
from ..inference.margins import Quantity, margins
from ..inference.pseudo import pseudo_r2
from ..rows import Rows
from ..tables import Table
from ..threads import thread_count
from .effects import at_values, columns_of, effects_of, matrices, quantities_of, values_of
from .holes import Seen
from .tested import Tested


class Described(Tested):
    """Posteriors, classes and margins of a fit."""

    @abstractmethod
    def _with_response(self, X: Any, y: Any, offset: Any = None) -> tuple[Any, Any, np.ndarray]:
        """The experts' columns, the gate's, and the response."""

    @abstractmethod
    def _complete(self, X: Any, y: Any = None, response: bool = False, offset: Any = None) -> Seen:
        """The rows without missing values."""

    @abstractmethod
    def _numbers(self, X: Any, offset: Any = None) -> Any:
        """The matrix X as it was fitted, with its offset."""

    @abstractmethod
    def responsibilities(
        self, X: Any, y: Any = None, groups: Any = None, per: str = "row", *, offset: Any = None
    ) -> np.ndarray:
        """Posterior probability of each expert, (n, k)."""

    def _posterior(self, x: Any, z: Any, y: np.ndarray) -> np.ndarray:
        return posterior(self._fitted().log_joint(x, z, y))

    def _rows(
        self, X: Any, y: Any, sample_weight: Any, offset: Any, what: str
    ) -> tuple[Any, Any, np.ndarray, np.ndarray]:
        """x, z, y and weights: those given, or the training data."""
        model = self._fitted()
        if isinstance(model, FittedModel) and model.fit.group_sizes is not None:
            raise DataError(
                f"{what} is of single rows, and these share their expert in groups: use assign(..., groups=)"
            )
        if X is not None:
            seen = self._complete(X, y, response=True, offset=offset)
            x, z, y = self._with_response(*(seen.take(a) for a in (X, y, offset)))
            sample_weight = seen.take(sample_weight)
            w = check_weights(sample_weight, len(y))
        else:
            if any(given is not None for given in (y, sample_weight, offset)):
                raise DataError("y, sample_weight and offset are given with X")
            if self._found.rows is None:
                raise DataError(
                    f"{what} needs data, and an estimator from a file or a pickle carries none: give X and y"
                )
            rows = self._found.rows
            x, z, y, w = rows.inputs if isinstance(rows, Rows) else rows.x, rows.z, rows.y, rows.w
        return x, z, y, np.ones(len(y)) if w is None else w

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
        offset: Any = None,
        cov: str = "observed",
        level: float = 0.95,
        **how: Any,
    ) -> Classification:
        """How well the experts can be told apart, on the training data or on other rows.

        Average posteriors by assigned expert, shares (the gate's average weight; of located experts their
        weight) with standard errors and intervals, the odds of correct classification, entropy R². Standard
        errors, by `cov` as in `inference`, are None where a fit has none; those of average weights are
        conditional on the columns of the gate.
        """
        model = self._fitted()
        if model.fit.k == 1:
            raise DataError("one expert has nothing to classify")
        x, z, y, w = self._rows(X, y, sample_weight, offset, "classification")
        try:
            covariance = self._covariance(cov, **how)
        except DataError:
            if cov != "observed":
                raise
            covariance = None
        shares, errors = model.shares(x, z, w, covariance)
        return classify(self._posterior(x, z, y), w, shares, errors, level)

    def profiles(
        self, X: Any = None, y: Any = None, sample_weight: Any = None, *, offset: Any = None
    ) -> Table:
        """Posterior-weighted means of all columns and of the response by expert, with standard errors.

        Columns of the design, in the user's units; a class is its indicator. The errors take the posterior as
        given.
        """
        model = self._fitted()
        x, z, y, w = self._rows(X, y, sample_weight, offset, "profiles")
        columns = named_columns(model, x, z, y)
        return profile_means(self._posterior(x, z, y), w, columns)

    def pseudo_r2(self) -> Table:
        """McFadden's R² of classes and counts, against the constant and against one expert."""
        model = self._fitted()
        if not isinstance(model, FittedModel) or self._found.penalised is not None:
            raise DataError("McFadden's R² is of unpenalised fits of classes and counts: use score()")
        if self._found.rows is None:
            raise DataError("McFadden's R² needs the training data, which a file does not carry: fit again")
        return pseudo_r2(model.fit, self._found.rows, self._found.engine, thread_count(self.n_jobs))

    def quantile_residuals(
        self, X: Any, y: Any = None, random_state: int | None = None, *, offset: Any = None
    ) -> np.ndarray:
        """Quantile residuals (n,), or (n, q) of several responses: standard normal where the model is right.

        Phi^-1(F(y | x)); of counts and classes, where F jumps, a random point of the jump (Dunn and Smyth,
        1996).
        """
        seen = self._complete(X, y, response=True, offset=offset)
        x, z, y = self._with_response(*(seen.take(a) for a in (X, y, offset)))
        return seen.spread(residuals(self._fitted(), x, z, y, random_state))

    def margins(
        self,
        X: Any,
        variables: Sequence[str] | None = None,
        *,
        kind: str = "slopes",
        of: Any = ("mixture", "expert", "gate"),
        contrasts: Mapping[str, tuple[Any, Any]] | None = None,
        at: Mapping[str, Any] | None = None,
        sample_weight: Any = None,
        offset: Any = None,
        cov: str = "observed",
        level: float = 0.95,
        simultaneous: bool = False,
        **how: Any,
    ) -> Table:
        """Averages over the rows of X of what the mixture, each expert and the gate predict, or of how it
        changes with a column.

        Parameters
        ----------
        X : array-like or frame
            As `predict` takes it.
        variables : sequence of str, optional
            Columns; all that the model reads, unless given.
        kind : {"slopes", "predictions", "contrasts"}
            Derivatives of E[Y | x] (of class probabilities), of experts' means and of gate weights, for
            columns of text differences to their first level; the averages themselves; differences between two
            values of a column.
        of : {"mixture", "expert", "gate"} or several
        contrasts : mapping of column to (from, to)
        at : mapping of column to value
            Set in every row.
        sample_weight : array-like of shape (n,), optional
        offset : array-like of shape (n,), optional
            As in `predict`.
        cov, level, **how
            As in `inference`: standard errors by the delta method, conditional on X, or of the refits.
        simultaneous : bool
            Whether the intervals cover all rows of the table at once.

        Returns
        -------
        Table
            of, component, (outcome,) variable, contrast, estimate, std_error, z, p, low, high.

        Examples
        --------
        >>> from moestro import MoERegressor, load_dataset
        >>> tone = load_dataset("tone")
        >>> moe = MoERegressor.from_formula("tuned ~ stretchratio", tone, random_state=0)
        >>> moe.margins(tone, of="mixture").columns["variable"]
        ['stretchratio']
        """
        model = self._fitted()
        data, sample_weight = self._columns(X, offset, sample_weight)
        data = at_values(data, at)
        n = matrices(model.design, data)[0].shape[0]
        w = check_weights(sample_weight, n)
        quantities = self._quantities(of)
        return margins(
            effects_of(model.design, data, kind, variables, contrasts),
            quantities, values_of(quantities), model, np.ones(n) if w is None else w,
            self._covariance(cov, **how), level, simultaneous,
        )  # fmt: skip

    def bands(
        self,
        X: Any,
        *,
        of: Any = "mixture",
        offset: Any = None,
        cov: str = "observed",
        level: float = 0.95,
        simultaneous: bool = False,
        **how: Any,
    ) -> Table:
        """Confidence intervals of E[Y | x] (of class probabilities), of experts' means and of gate weights,
        row by row; `predict_distribution(X).interval` has those of a response.

        Parameters
        ----------
        X : array-like or frame
            As `predict` takes it.
        of : {"mixture", "expert", "gate"} or several
        offset : array-like of shape (n,), optional
            As in `predict`.
        cov, level, **how
            As in `inference`: standard errors by the delta method, or of the refits.
        simultaneous : bool
            Whether the intervals of one quantity cover it in all rows of X at once: a band about a curve.

        Returns
        -------
        Table
            row (from 0; rows with a missing value are left out where a fit leaves them out), of, component,
            (outcome,) estimate, std_error, low, high.

        Examples
        --------
        >>> from moestro import MoERegressor, load_dataset
        >>> tone = load_dataset("tone")
        >>> moe = MoERegressor.from_formula("tuned ~ stretchratio", tone, random_state=0)
        >>> band = moe.bands({"stretchratio": [1.5, 2.0, 2.5]}, of="expert", simultaneous=True)
        >>> band.columns["component"]
        [1, 2, 1, 2, 1, 2]
        """
        model, quantities = self._fitted(), self._quantities(of)
        data, _ = self._columns(X, offset)
        design = matrices(model.design, data)
        covariance = self._covariance(cov, **how)
        return bands(
            quantities, values_of(quantities), model, design, covariance, level, simultaneous,
            bool(model.classes),
        )  # fmt: skip

    def _columns(self, X: Any, offset: Any, sample_weight: Any = None) -> tuple[dict[str, np.ndarray], Any]:
        """The columns that the design reads, by name, and the weights of the same rows."""
        design, seen = self._fitted().design, self._complete(X, offset=offset)
        X, sample_weight, offset = (seen.take(a) for a in (X, sample_weight, offset))
        given = X if isinstance(design, FormulaDesign) else self._numbers(X, offset)
        return columns_of(design, given), sample_weight

    def _quantities(self, of: Any) -> list[Quantity]:
        """What the parts `of` the model predict."""
        model = self._fitted()
        outcomes = [str(c) for c in model.classes] or ([""] if model.single else list(model.responses))
        return quantities_of(of, model.fit.k, outcomes)
