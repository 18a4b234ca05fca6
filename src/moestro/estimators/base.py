"""What the estimators share: read, fit, store, answer. No numerics here."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..design import FormulaDesign, Observations
from ..design.response import check_weights
from ..errors import DataError
from ..fitted import posterior, write_file
from ..summary import glance, summary_text, tidy
from ..tables import Table
from ..threads import thread_count
from .attributes import FitAttributes
from .found import KEPT, Found, Penalised, describe
from .helpers import checked, read_arrays, read_formula, read_response, warn_if_weak
from .paths import RegularizationPath


class MoEBase(FitAttributes):
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

    @abstractmethod
    def _estimate(self, data: Observations) -> Found:
        """Fit and choose."""

    # Fitting

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit by maximum likelihood.

        Parameters
        ----------
        X : array-like or frame of shape (n, d)
            With a `formula` a frame (pandas, polars, pyarrow, ...) or a mapping of columns.
        y : array-like of shape (n,)
            With a `formula` it may be left out: the response is then read from the frame. Where it is given
            it takes the place of the column that the formula's response reads, in that column's own units:
            with "log(price) ~ size" y is the price.
        sample_weight : array-like of shape (n,), optional
            Real-valued, at least 0: weight 0 is a deleted row, weight 2 a row written twice.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight)

    @classmethod
    def from_formula(cls, formula: str, data: Any, *, sample_weight: Any = None, **parameters: Any) -> Self:
        """The estimator with this formula, fitted on a frame: ``cls(formula=formula,
        **parameters).fit(data)``.

        Parameters
        ----------
        formula : str
            "y ~ experts' columns | gate's columns", written as in R: ``y ~ x1 + log(x2) + C(region) | z1``.
            Without ``|`` the gate has the experts' columns; ``| 1`` makes it constant.
        data : frame (pandas, polars, pyarrow, ...) or mapping of columns
        sample_weight : array-like of shape (n,), optional
        **parameters
            Of the estimator. `predict` and the others then take frames with the same columns.
        """
        return cls(**{"formula": formula, **parameters})._fit(data, None, sample_weight)

    def _fit(self, X: Any, y: Any, sample_weight: Any) -> Self:
        read = read_arrays if self.formula is None else read_formula
        design, x, z, y, responses = read(self, X, y)
        y = self._encode(y, responses[0], fitting=True)
        w = check_weights(sample_weight, len(y))
        found = self._estimate(Observations(design, x, z, y, w, responses, self._classes))
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

    def _matrices(self, X: Any) -> tuple[Any, Any]:
        model = self._fitted()
        if isinstance(model.design, FormulaDesign):
            return model.design.matrices(X)
        return model.design.matrices(checked(self, X))

    def _with_response(self, X: Any, y: Any) -> tuple[Any, Any, np.ndarray]:
        x, z = self._matrices(X)
        model = self._fitted()
        values = read_response(model.design, X, y)
        expected = (x.shape[0],) if model.single else (x.shape[0], len(model.responses))
        if values.shape != expected:
            raise DataError(f"y has shape {values.shape}, expected {expected}")
        return x, z, self._encode(values, model.responses[0], fitting=False)

    def gate_proba(self, X: Any) -> np.ndarray:
        """Prior weight g_i(x) of each expert, shape (n, k)."""
        return np.exp(self._fitted().log_gate(*self._matrices(X)))

    def responsibilities(self, X: Any, y: Any = None) -> np.ndarray:
        """Posterior probability of each expert given (x, y), shape (n, k).

        y is what `fit` takes: with a formula it may be left out, and is untransformed where it is given.
        """
        joint = self._fitted().log_joint(*self._with_response(X, y))
        return posterior(joint)

    def log_density(self, X: Any, y: Any = None) -> np.ndarray:
        """log p(y | x) in the user's units, shape (n,); y as in `responsibilities`.

        With a formula whose response is transformed it is the density of the transformed response: with
        "log(price) ~ size" that of log(price).
        """
        return self._fitted().log_density(*self._with_response(X, y))

    def inference(
        self, cov: str = "observed", *, n_bootstrap: int = 100, random_state: int | None = None
    ) -> Table:
        """Coefficient table with standard errors and 95 % intervals, from the training data or from what a
        file keeps.

        Parameters
        ----------
        cov : {"observed", "sandwich", "bootstrap"}
            Inverse observed information; robust to a wrong model; refits with random weights.
        n_bootstrap : int
        random_state : int or None
            Of the bootstrap.

        Returns
        -------
        Table
            component, part, (outcome,) term, estimate, se, z, p, low, high, note. Where there is no standard
            error, ``note`` says why: the information is singular, for instance. Of located experts also the
            shares, places and variances: intervals of shares are taken on the logit scale, of variances on
            the logarithmic one, and z and p belong to coefficients and covariances.
        """
        return tidy(self._fitted(), self._covariance(cov, n_bootstrap, random_state))

    def _covariance(self, cov: str, n_bootstrap: int = 100, random_state: int | None = None) -> Any:
        model = self._fitted()
        covariance = self._found.covariance(cov, thread_count(self.n_jobs), n_bootstrap, random_state)
        if cov in KEPT:  # so that it is not computed again, and a pickle has it
            known = {**model.covariances, cov: covariance}
            self._found = replace(self._found, model=replace(model, covariances=known))
        return covariance

    def summary(self, cov: str | None = None) -> str:
        """The fit as text; with `cov` the coefficients have standard errors."""
        return summary_text(self._fitted(), None if cov is None else self._covariance(cov))

    def tidy(self) -> Table:
        """One row a coefficient, in the user's units."""
        return tidy(self._fitted())

    def glance(self) -> Table:
        """One row about the fit."""
        return glance(self._fitted().fit)

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
