"""What the estimators share: read, fit, store, answer. No numerics here."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..design import Observations
from ..design.groups import known_experts
from ..design.holes import Dropped
from ..design.levels import stated_order
from ..design.response import check_weights
from ..fitted import write_file
from ..rows import is_elsewhere, refuse_cache
from ..threads import thread_count
from .elsewhere import fit_elsewhere
from .found import Found, Penalised, describe
from .groups import ids_of, weights_of
from .helpers import read_arrays, read_formula, refuse_name, warn_if_weak
from .holes import training_rows
from .paths import RegularizationPath
from .shown import Shown


class MoEBase(Shown):
    """Mixture of experts behind scikit-learn's interface."""

    n_experts: Any
    formula: str | None
    missing: str
    n_jobs: int | None
    _found: Found

    @abstractmethod
    def _estimate(self, data: Observations) -> Found:
        """Fit and choose."""

    # Fitting

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        groups: Any = None,
        offset: Any = None,
        partial: Any = None,
    ) -> Self:
        """Fit by maximum likelihood.

        Parameters
        ----------
        X : array-like or frame of shape (n, d)
            With a `formula` a frame (pandas, polars, pyarrow, ...) or a mapping of columns. Of MoERegressor
            and MoEClassifier also rows that are elsewhere: the path of a file, a folder or a glob (Parquet,
            Arrow, CSV), a folder of memory-mapped ``column.npy``, a pyarrow Dataset, a polars LazyFrame, a
            function that returns an iterator of batches. They are read block by block, and `y` and
            `sample_weight` are names of columns there.
        y : array-like of shape (n,)
            With a `formula` it may be left out: the response is then read from the frame. Where it is given
            it takes the place of the column that the formula's response reads, in that column's own units:
            with "log(price) ~ size" y is the price. Binomial experts take two columns too, (n, 2), successes
            and trials; in a formula ``prop(successes, trials) ~ x``. So do Weibull experts and those of
            family "interval": the ends between which y lies, equal where it is seen, infinite where open; in
            a formula ``interval(lower, upper) ~ x``, or ``cens(time, status) ~ x``.
        sample_weight : str or array-like of shape (n,), optional
            Real-valued, at least 0: weight 0 is a deleted row, weight 2 a row written twice; with groups a
            deleted group and one that was seen twice, so it is constant within a group. With a formula it may
            be the name of a column.
        groups : str or array-like of shape (n,), optional
            Ids, of any type and in any order, of rows that share their expert (the choices of one person, the
            visits of one patient), or the name of their column in a frame. The gate's columns are then those
            of the groups, constant within each unless `gate_at` says otherwise; the likelihood is a product
            over groups, and criteria, robust standard errors and cross-validation count groups. Located and
            penalised fits refuse them.
        offset : str or array-like of shape (n,), optional
            Added to the linear predictor of every expert with the coefficient one: of counts the logarithm of
            the exposure. With a formula the name of a column, the same as ``+ offset(column)`` in it, read
            again from the rows that are predicted; else numbers, which `predict` needs too. Located and
            penalised fits and classes refuse it.
        partial : str or array-like of shape (n,), optional
            The expert, from 1, that a row is known to have, missing where it is not known, or the name of the
            column. Such rows have no other expert in the fit, and experts keep these numbers; predictions use
            the gate as for any row. The log-likelihood is that of the response and the known experts.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, groups, offset, partial)

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any,
        *,
        sample_weight: Any = None,
        groups: Any = None,
        offset: str | None = None,
        partial: Any = None,
        **parameters: Any,
    ) -> Self:
        """The estimator with this formula, fitted on a frame: ``cls(formula=formula,
        **parameters).fit(data)``.

        Parameters
        ----------
        formula : str
            "y ~ experts' columns | gate's columns", written as in R: ``y ~ x1 + log(x2) + C(region) | z1``.
            Without ``|`` the gate has the experts' columns; ``| 1`` makes it constant.
        data : frame (pandas, polars, pyarrow, ...), mapping of columns, or source as in `fit`
        sample_weight : str or array-like of shape (n,), optional
            The column, or the weights.
        groups : str or array-like of shape (n,), optional
            The column, or the ids, of rows that share their expert: ``groups="person"``.
        offset : str, optional
            The column of an offset: the same as ``+ offset(column)`` in the experts' part.
        partial : str or array-like of shape (n,), optional
            As in `fit`.
        **parameters
            Of the estimator. `predict` and the others then take frames with the same columns.
        """
        moe = cls(**{"formula": formula, **parameters})
        return moe._fit(data, None, sample_weight, groups, offset, partial)

    def _fit(self, X: Any, y: Any, sample_weight: Any, groups: Any, offset: Any, partial: Any) -> Self:
        if is_elsewhere(X):
            found = fit_elsewhere(self, X, y, sample_weight, groups, offset, partial)
            self._store(found)
            if found.searched:
                warn_if_weak(found.model.fit.evidence)
            return self
        refuse_cache(getattr(self, "cache", None))
        seen, dropped = training_rows(self, X, y, offset)
        X, y, sample_weight, groups, offset, partial = (
            seen.take(a) for a in (X, y, sample_weight, groups, offset, partial)
        )
        ids, data, given_y = ids_of(self, groups, X), X, y
        read = read_arrays if self.formula is None else read_formula
        design, x, z, y, responses = read(self, X, y, offset)
        stated = stated_order(data if given_y is None else given_y, responses[0])
        y = self._encode(y, responses[0], True, stated)
        y, trials = self._split_trials(y)
        w = check_weights(weights_of(self, sample_weight, data), len(y))
        if self.formula is None:
            refuse_name(partial, "partial", "labels")
        k = int(self.n_experts) if isinstance(self.n_experts, int | np.integer) else None
        known = known_experts(partial, data, len(y), k)
        given = Observations(
            design, x, z, y, w, responses, self._classes, ids, trials, dropped=dropped, partial=known
        )
        found = self._estimate(given)
        self._store(replace(found, keep=seen.keep))
        if found.searched:
            warn_if_weak(found.model.fit.evidence)
        return self

    def _store(self, found: Found) -> None:
        self._found = found
        self.n_experts_ = found.model.fit.k
        self.n_iter_ = max(found.model.fit.n_iter, 1)
        self.selection_, self.slope_, self.dendrogram_ = found.selection, found.slope, found.dendrogram

    # What was found

    @property
    def fit_(self) -> Any:
        """Everything that was found, frozen: a `MixtureFit` or a `LocatedFit`."""
        return self._fitted().fit

    @property
    def measure_(self) -> Any:
        """Mixing measure in the user's units: a `MixingMeasure` or, from x to y, a `LocatedMeasure`."""
        return self._fitted().measure

    @property
    def dropped_(self) -> Dropped | None:
        """Rows that ``missing="drop"`` left out, and where values were missing; None without it."""
        return self._fitted().dropped

    @property
    def alpha_(self) -> float:
        """Strength of a penalised fit."""
        return self._penalised("alpha_").alpha

    @property
    def selected_(self) -> list[str]:
        """Names of the columns with a slope in a penalised fit."""
        return self._penalised("selected_").selected

    @property
    def support_(self) -> np.ndarray:
        """Boolean (n_features,) of a penalised fit: true where the gate or an expert uses the column.

        Of a fit by formula: one entry a column of its design, the gate's first, then those that only experts
        have. A `gate_transform` that is an object may mix columns: a slope behind it counts for all that it
        reads.
        """
        return self._penalised("support_").support

    @property
    def path_(self) -> RegularizationPath:
        """The path that a penalised fit was chosen on; a file does not keep it."""
        path = self._penalised("path_").path
        if path is None:
            raise AttributeError("a model that was read from a file has no path_: fit again")
        return path

    def _penalised(self, name: str) -> Penalised:
        if self._fitted() and self._found.penalised is not None:
            return self._found.penalised
        raise AttributeError(f"a fit without a penalty has no {name}")

    def _fitted(self) -> Any:
        """The `FittedModel` or `LocatedModel`."""
        check_is_fitted(self, "_found")
        return self._found.model

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_found")

    # File

    def save(self, path: Any, cov: Sequence[str] | None = None) -> None:
        """Write the fitted estimator as JSON: `moestro.load_model` makes it an estimator again, `moestro
        predict` reads it.

        Parameters
        ----------
        path : path
        cov : sequence of {"observed", "sandwich"}, optional
            Covariances of the estimate that the file keeps, so that `inference` and `summary` need no
            training data. Each costs one pass over the training data with sums of P x P numbers, P
            parameters, and P (P + 1) / 2 numbers in the file. By default both up to 200 parameters, where the
            training data are there, the fit is usable and not penalised; ``()`` keeps none.
        """
        self._fitted()
        found = self._found.keeping(cov, thread_count(self.n_jobs))
        write_file(path, found.model.to_dict() | {"estimator": describe(self, found)})

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        return state | {"_found": replace(state["_found"], rows=None)} if "_found" in state else state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._holes
        tags.input_tags.sparse = self.get_params(deep=False).get("penalty") is not None
        return tags
