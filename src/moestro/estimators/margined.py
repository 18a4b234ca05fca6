"""What the experts of every fitted estimator, their gate and their mixture do, with uncertainty."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..design import FormulaDesign
from ..design.response import check_weights
from ..errors import DataError
from ..inference.bands import bands
from ..inference.margins import Quantity, margins
from ..tables import Table
from .described import Described
from .effects import at_values, columns_of, effects_of, matrices, quantities_of, values_of
from .groups import weights_of


class Margined(Described):
    """Margins, and confidence intervals of means and gate weights."""

    @abstractmethod
    def _numbers(self, X: Any, offset: Any = None) -> Any:
        """The matrix X as it was fitted, with its offset."""

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
        sample_weight : str or array-like of shape (n,), optional
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
        sample_weight = weights_of(self, sample_weight, X)
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

    def to_marginaleffects(
        self, X: Any, *, of: Any = "mixture", offset: Any = None, cov: str = "observed", **how: Any
    ) -> Any:
        """The fit for the functions of the package marginaleffects (Arel-Bundock, Greifer and Heiss, 2024):
        `avg_slopes`, `avg_comparisons`, `predictions`, `datagrid`, `hypotheses`.

        Predictions are handed on with their exact derivatives, as linear functions of the estimates: give
        these functions eps_vcov=1e-4, a step that rounds less than their own.

        Parameters
        ----------
        X : array-like or frame
            As `predict` takes it: the rows that those functions average over unless they get others.
        of : {"mixture", "expert", "gate"} or several
            What is predicted; experts, gate weights and classes are the column group.
        offset : array-like of shape (n,), optional
            As in `predict`.
        cov, **how
            As in `inference`: the covariance of the estimates, for the delta method.

        Raises
        ------
        DataError
            Without the package, or where a parameter has no standard error.

        Examples
        --------
        >>> from moestro import MoERegressor, load_dataset  # doctest: +SKIP
        >>> from marginaleffects import avg_slopes  # doctest: +SKIP
        >>> tone = load_dataset("tone")  # doctest: +SKIP
        >>> moe = MoERegressor.from_formula("tuned ~ stretchratio", tone, random_state=0)  # doctest: +SKIP
        >>> avg_slopes(moe.to_marginaleffects(tone, of="expert"))  # doctest: +SKIP
        """
        try:
            from .marginal_effects import MarginalEffectsModel
        except ImportError as error:
            raise DataError(
                f"marginaleffects is not installed ({error}): pip install marginaleffects"
            ) from error
        data, _ = self._columns(X, offset)
        return MarginalEffectsModel(self._fitted(), self._covariance(cov, **how), data, self._quantities(of))

    def _columns(self, X: Any, offset: Any, sample_weight: Any = None) -> tuple[dict[str, np.ndarray], Any]:
        """The columns that the design reads, by name, and the weights of the same rows."""
        design, seen = self._fitted().design, self._complete(X, offset=offset)
        X, sample_weight, offset = (seen.take(a) for a in (X, sample_weight, offset))
        given = X if isinstance(design, FormulaDesign) else self._numbers(X, offset)
        data = columns_of(design, given)
        if any(len(column) == 0 for column in data.values()):
            raise DataError("X has no rows")
        return data, sample_weight

    def _quantities(self, of: Any) -> list[Quantity]:
        """What the parts `of` the model predict."""
        model = self._fitted()
        outcomes = [str(c) for c in model.classes] or ([""] if model.single else list(model.responses))
        return quantities_of(of, model.fit.k, outcomes)
