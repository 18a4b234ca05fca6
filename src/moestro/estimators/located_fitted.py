"""What a fitted located estimator offers: attributes, predictions, standard errors, its file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted, validate_data

from ..design import FormulaDesign
from ..design.response import numeric_response
from ..distribution import PredictiveDistribution
from ..errors import DataError
from ..fitted import LocatedModel
from ..inference import KINDS, LocatedCovariance, located_bootstrap, located_covariance
from ..located import LocatedFit, LocatedLaw, LocatedMeasure
from ..summary.glance import glance
from ..summary.located import summary_text, tidy
from ..tables import Table
from ..threads import thread_count
from .attributes import FitAttributes
from .helpers import read_response, refuse_text


class LocatedFitted(FitAttributes):
    """A fitted located model behind scikit-learn's interface."""

    n_jobs: int | None
    tol: float
    _model: LocatedModel

    # What was found

    @property
    def fit_(self) -> LocatedFit:
        """Everything that was found, frozen."""
        return self._fitted()

    @property
    def measure_(self) -> LocatedMeasure:
        """From x to y, in the user's units."""
        return self._fitted().measure

    @property
    def inverse_measure_(self) -> LocatedMeasure:
        """From y to x: the same joint law."""
        fit = self._fitted()
        return fit.fitted if fit.specification.direction == "inverse" else fit.measure.inverse()

    def _frozen(self) -> LocatedFit:
        return self._fitted()

    def _fitted(self) -> LocatedFit:
        check_is_fitted(self, "_model")
        return self._model.fit

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_model")

    # Prediction

    def _columns(self, X: Any) -> np.ndarray:
        self._fitted()
        design = self._model.design
        if isinstance(design, FormulaDesign):
            return design.matrices(X)[0]
        refuse_text(X)
        checked: Any = validate_data(self, X, dtype=np.float64, reset=False)
        return checked

    def _response(self, y: Any, n: int, data: Any = None) -> np.ndarray:
        design = self._model.design
        y = (
            read_response(design, data, y)
            if isinstance(design, FormulaDesign) and data is not None
            else np.asarray(y)
        )
        expected = (n,) if self._model.single else (n, self.measure_.q)
        if y.shape != expected:
            raise DataError(f"y has shape {y.shape}, expected {expected}")
        return numeric_response(y)

    def predict(self, X: Any) -> np.ndarray:
        """E[Y | x], shape (n,) or (n, q)."""
        mean = self._law(self._columns(X)).mean()
        return mean[:, 0] if self._model.single else mean

    def predict_distribution(self, X: Any) -> PredictiveDistribution | LocatedLaw:
        """The law of Y at each row: with quantiles for a single response, with covariances for several."""
        law = self._law(self._columns(X))
        return law.single() if self._model.single else law

    def predict_inverse(self, y: Any) -> np.ndarray:
        """E[X | y], shape (n, d)."""
        return self.inverse_distribution(y).mean()

    def inverse_distribution(self, y: Any) -> LocatedLaw:
        """The law of X at each response: mean, covariance, log-density, sample. For experts of degree 1."""
        self._fitted()
        n = len(np.atleast_1d(y))
        return self.inverse_measure_.law(self._response(y, n).reshape(n, -1))

    def _law(self, x: np.ndarray) -> LocatedLaw:
        return self.measure_.law(x)

    def gate_proba(self, X: Any) -> np.ndarray:
        """Prior weight g_i(x) of each expert, shape (n, k)."""
        return np.exp(self.measure_.log_gate(self._columns(X)))

    def responsibilities(self, X: Any, y: Any = None) -> np.ndarray:
        """Posterior probability of each expert given (x, y), shape (n, k)."""
        x = self._columns(X)
        joint = self.measure_.log_joint(x, self._response(y, len(x), X))
        return np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))

    def log_density(self, X: Any, y: Any = None) -> np.ndarray:
        """log p(y | x), shape (n,)."""
        x = self._columns(X)
        return self.measure_.log_density(x, self._response(y, len(x), X))

    def joint_log_density(self, X: Any, y: Any = None) -> np.ndarray:
        """log p(x, y), shape (n,): what the fit maximises the sum of."""
        x = self._columns(X)
        return self.measure_.joint_log_density(x, self._response(y, len(x), X))

    def sample(self, X: Any, random_state: Any = None) -> np.ndarray:
        """One response drawn for each row, shape (n,) or (n, q)."""
        draw = self._law(self._columns(X)).sample(random_state)
        return draw[:, 0] if self._model.single else draw

    # Trust

    def inference(
        self, cov: str = "observed", *, n_bootstrap: int = 100, random_state: int | None = None
    ) -> Table:
        """Table of the parameters with standard errors and 95 % intervals, computed from the training data.

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
            component, part, (outcome,) term, estimate, se, z, p, low, high, note. Shares, means and variances
            of the gate, coefficients and variances of the experts, and covariances where they are free
            parameters. Intervals of shares are taken on the logit scale, of variances on the logarithmic one;
            z and p belong to coefficients and covariances. Where there is no standard error, ``note`` says
            why.

        Raises
        ------
        DataError
            Where the training data are not at hand (a pickled estimator), were changed since, or the
            parameters are too many.
        """
        return tidy(self._model, self._covariance(cov, n_bootstrap, random_state))

    def _covariance(
        self, cov: str, n_bootstrap: int = 100, random_state: int | None = None
    ) -> LocatedCovariance:
        fit, known = self._fitted(), self._model.covariance
        if cov not in KINDS:
            raise DataError(f"cov={cov!r} is unknown: choose one of {', '.join(KINDS)}")
        rows = getattr(self, "_rows", None)
        if rows is None:
            if known is not None and known.kind == cov:
                return known
            raise DataError(
                f"{cov} standard errors need the training data, which a saved estimator does not carry: fit "
                "again, or ask for them before saving"
            )
        x, y, w = rows
        if cov == "bootstrap":
            threads = thread_count(self.n_jobs)
            found = located_bootstrap(fit, x, y, w, n_bootstrap, random_state, threads=threads)
        else:
            found = located_covariance(fit, x, y, w, cov)
        self._model = replace(self._model, covariance=found)  # so that a file has what was asked for last
        return found

    def summary(self, cov: str | None = None) -> str:
        """The fit as text; with `cov` the parameters have standard errors."""
        self._fitted()
        return summary_text(self._model, None if cov is None else self._covariance(cov))

    def tidy(self) -> Table:
        """One row a parameter, in the user's units."""
        self._fitted()
        return tidy(self._model)

    def glance(self) -> Table:
        """One row about the fit."""
        self._fitted()
        return glance(self._model.fit)

    # File

    def save(self, path: Any) -> None:
        """Write the fitted model as JSON, with the standard errors that were asked for last;
        `moestro.load_model` gives the estimator back."""
        self._fitted()
        self._model.save(path)

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        return {k: v for k, v in state.items() if k != "_rows"}

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
