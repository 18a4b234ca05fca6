"""What the estimators share: read, fit, store, answer. No numerics here."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..design import FormulaDesign, Observations, append_trials
from ..design.response import check_weights
from ..errors import DataError
from ..fitted import posterior, write_file
from ..fitted.groups import group_joint
from ..threads import thread_count
from .described import Described
from .found import Found, Penalised, describe
from .groups import ids_of
from .helpers import beside, checked, given_offset, read_arrays, read_formula, read_response, warn_if_weak
from .paths import RegularizationPath


class MoEBase(Described):
    """Mixture of experts behind scikit-learn's interface."""

    formula: str | None
    n_jobs: int | None
    _found: Found

    @abstractmethod
    def _encode(self, y: np.ndarray, response: str, fitting: bool) -> np.ndarray:
        """y (n,) as floats the family understands; learns classes when fitting."""

    @property
    @abstractmethod
    def _classes(self) -> tuple:
        """Labels of the classes; none for numbers."""

    @property
    def _takes_trials(self) -> bool:
        """Whether y may have two columns, successes and trials."""
        return False

    def _split_trials(self, y: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Successes (n,) and trials (n,) of a response with two columns; y and None of any other."""
        return (y[:, 0].copy(), y[:, 1].copy()) if self._takes_trials and y.ndim == 2 else (y, None)

    @abstractmethod
    def _estimate(self, data: Observations) -> Found:
        """Fit and choose."""

    # Fitting

    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, groups: Any = None, offset: Any = None
    ) -> Self:
        """Fit by maximum likelihood.

        Parameters
        ----------
        X : array-like or frame of shape (n, d)
            With a `formula` a frame (pandas, polars, pyarrow, ...) or a mapping of columns.
        y : array-like of shape (n,)
            With a `formula` it may be left out: the response is then read from the frame. Where it is given
            it takes the place of the column that the formula's response reads, in that column's own units:
            with "log(price) ~ size" y is the price. Binomial experts take two columns too, (n, 2), successes
            and trials; in a formula ``prop(successes, trials) ~ x``.
        sample_weight : array-like of shape (n,), optional
            Real-valued, at least 0: weight 0 is a deleted row, weight 2 a row written twice; with groups a
            deleted group and one that was seen twice, so it is constant within a group.
        groups : str or array-like of shape (n,), optional
            Ids, of any type and in any order, of rows that share their expert (the choices of one person, the
            visits of one patient), or the name of their column in a frame. The gate's columns are then those
            of the groups, constant within each; the likelihood is a product over groups, and criteria, robust
            standard errors and cross-validation count groups. Located and penalised fits refuse them.
        offset : str or array-like of shape (n,), optional
            Added to the linear predictor of every expert with the coefficient one: of counts the logarithm of
            the exposure. With a formula the name of a column, the same as ``+ offset(column)`` in it, read
            again from the rows that are predicted; else numbers, which `predict` needs too. Located and
            penalised fits and classes refuse it.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, groups, offset)

    @classmethod
    def from_formula(
        cls,
        formula: str,
        data: Any,
        *,
        sample_weight: Any = None,
        groups: Any = None,
        offset: str | None = None,
        **parameters: Any,
    ) -> Self:
        """The estimator with this formula, fitted on a frame: ``cls(formula=formula,
        **parameters).fit(data)``.

        Parameters
        ----------
        formula : str
            "y ~ experts' columns | gate's columns", written as in R: ``y ~ x1 + log(x2) + C(region) | z1``.
            Without ``|`` the gate has the experts' columns; ``| 1`` makes it constant.
        data : frame (pandas, polars, pyarrow, ...) or mapping of columns
        sample_weight : array-like of shape (n,), optional
        groups : str or array-like of shape (n,), optional
            The column, or the ids, of rows that share their expert: ``groups="person"``.
        offset : str, optional
            The column of an offset: the same as ``+ offset(column)`` in the experts' part.
        **parameters
            Of the estimator. `predict` and the others then take frames with the same columns.
        """
        return cls(**{"formula": formula, **parameters})._fit(data, None, sample_weight, groups, offset)

    def _fit(self, X: Any, y: Any, sample_weight: Any, groups: Any, offset: Any) -> Self:
        ids = ids_of(self, groups, X)
        read = read_arrays if self.formula is None else read_formula
        design, x, z, y, responses = read(self, X, y, offset)
        y = self._encode(y, responses[0], fitting=True)
        y, trials = self._split_trials(y)
        w = check_weights(sample_weight, len(y))
        data = Observations(design, x, z, y, w, responses, self._classes, ids, trials)
        found = self._estimate(data)
        self._store(found)
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

    # Prediction

    def _matrices(self, X: Any, offset: Any = None) -> tuple[Any, Any]:
        design = self._fitted().design
        if isinstance(design, FormulaDesign):
            return design.matrices(X)
        return design.matrices(self._numbers(X, offset))

    def _numbers(self, X: Any, offset: Any = None) -> Any:
        """The matrix X as it was fitted, with its offset."""
        X, design = checked(self, X), self._fitted().design
        if offset is not None:
            if not design.known:
                raise DataError("this model was fitted without an offset: leave it out")
            return beside(X, given_offset(offset, X.shape[0]))
        if design.known:
            raise DataError(
                "this model was fitted with an offset: give offset=, one number for each row of X"
            )
        return X

    def _with_response(self, X: Any, y: Any, offset: Any = None) -> tuple[Any, Any, np.ndarray]:
        x, z = self._matrices(X, offset)
        response = self._response(read_response(self._fitted().design, X, y), x.shape[0])
        y, trials = self._split_trials(response)
        if self._takes_trials:
            x = append_trials(x, self._fitted().design.known, y, trials)
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

    def gate_proba(self, X: Any) -> np.ndarray:
        """Prior weight g_i(x) of each expert, shape (n, k)."""
        formula = isinstance(self._fitted().design, FormulaDesign)
        anything = None if formula or not self._fitted().design.known else np.zeros(len(X))
        return np.exp(self._fitted().log_gate(*self._matrices(X, anything)))

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
        data = self._with_response(X, y, offset)
        if groups is None:
            return posterior(self._fitted().log_joint(*data))
        joint, of_row = group_joint(self._fitted(), *data, ids_of(self, groups, X))
        r = posterior(joint)
        return r if per == "group" else r[of_row]

    def log_density(self, X: Any, y: Any = None, groups: Any = None, *, offset: Any = None) -> np.ndarray:
        """log p(y | x) in the user's units, shape (n,); y as in `responsibilities`.

        With `groups` that of all rows of a group together, shape (G,), in the order in which groups first
        appear: log sum_e pi_e prod_i f_e(y_i | x_i).

        With a formula whose response is transformed it is the density of the transformed response: with
        "log(price) ~ size" that of log(price).
        """
        data = self._with_response(X, y, offset)
        if groups is None:
            return self._fitted().log_density(*data)
        return np.logaddexp.reduce(group_joint(self._fitted(), *data, ids_of(self, groups, X))[0], axis=1)

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
        tags.input_tags.sparse = self.get_params(deep=False).get("penalty") is not None
        return tags
