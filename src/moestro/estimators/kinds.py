"""The kinds of estimators: of numbers and counts, and of classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.multiclass import check_classification_targets

from ..design.known import ends_of
from ..design.response import check_repeated, encode_classes, numeric_response, ordered_classes
from ..distribution import PredictiveDistribution
from ..errors import DataError
from ..experts import CLASSES, ORDERED, Family, make_family
from ..located import LocatedLaw
from .base import MoEBase
from .groups import inputs_of


class Regressor(RegressorMixin, MoEBase):
    """Experts of numbers and counts."""

    def _encode(
        self, y: np.ndarray, response: str, fitting: bool, stated: tuple[Any, ...] | None = None
    ) -> np.ndarray:
        return numeric_response(y, response, self._holes)

    @property
    def _classes(self) -> tuple:
        return ()

    def predict(self, X: Any, *, groups: Any = None, history: Any = None, offset: Any = None) -> np.ndarray:
        """Predictive mean E[Y | x], shape (n,), or (n, q) of several responses; Y is the response as the
        formula has it, transformed where it says so.

        Given `history`, rows that were seen of the same `groups`, it is E[Y | x, history].

        Parameters
        ----------
        X : array-like or frame of shape (n, d)
        groups : str or array-like of shape (n,), optional
            Ids as in `fit`, beside a history; alone where `gate_at` has the gate read a group's rows
            together.
        history : tuple (X, y, groups), optional
            Rows of the past; y is None where a formula reads it from X. The gate's weights of a group are
            replaced by its posterior ones; a group that is not in the history keeps the gate's. Where the
            model has an offset that no formula reads, the history's is the fourth entry.
        offset : array-like of shape (n,), optional
            Of a model that was fitted with one to arrays.
        """
        seen = self._complete(X, offset=offset)
        given = inputs_of(self, seen.take(X), seen.take(groups), history, seen.take(offset))
        return seen.restore(self._fitted().mean(*given))

    def predict_distribution(
        self, X: Any, *, groups: Any = None, history: Any = None, offset: Any = None
    ) -> PredictiveDistribution | LocatedLaw:
        """The predictive distribution of each row: mean, variance, pdf, cdf, quantile, sample; of several
        responses mean, covariance, density, sample. Groups, history and offset as in `predict`."""
        seen = self._complete(X, offset=offset)
        given = inputs_of(self, seen.take(X), seen.take(groups), history, seen.take(offset))
        return seen.law(self._fitted().distribution(*given))

    def sample(self, X: Any, random_state: Any = None, *, offset: Any = None) -> np.ndarray:
        """One response drawn for each row, shape (n,), or (n, q) of several; offset as in `predict`."""
        return self.predict_distribution(X, offset=offset).sample(random_state=random_state)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None, *, offset: Any = None) -> float:
        """R² of `predict`; y as in `fit`, so that a formula's transform of the response is applied to it
        first.

        Scorers by name, such as "neg_mean_squared_error", do not know of the transform: with one, leave
        `scoring` out.
        """
        X, y, sample_weight, offset = self._scored(X, y, sample_weight, offset)
        y, trials = self._split_trials(np.asarray(y))
        if trials is not None and not self._fitted().fit.model.family.takes_trials:
            raise DataError(
                "R² is of responses that are seen, and these may be censored: score them by log_density"
            )
        if trials is not None:  # proportions, each of so many trials
            y, sample_weight = (
                y / trials,
                trials * (1.0 if sample_weight is None else np.asarray(sample_weight)),
            )
        return r2_score(y, self.predict(X, offset=offset), sample_weight=sample_weight)


class SoftmaxRegressor(Regressor):
    """Experts of any family of numbers or counts, or of one's own."""

    family: str | Family
    shared_variance: bool

    @property
    def _takes_trials(self) -> bool:
        return self._family().takes_trials or self._family().takes_bounds

    def _encode(
        self, y: np.ndarray, response: str, fitting: bool, stated: tuple[Any, ...] | None = None
    ) -> np.ndarray:
        family = self._family()
        if family.takes_bounds and np.ndim(y) == 2:
            y = ends_of(numeric_response(y, response, open_ends=True), family.lowest, response)
        return super()._encode(y, response, fitting, stated)

    def _family(self) -> Family:
        family = make_family(self.family, classes=2, shared_variance=self.shared_variance)
        if family.labels:
            raise DataError(f"{family.name} experts predict classes: use MoEClassifier")
        return family


class Classifier(ClassifierMixin, MoEBase):
    """Experts of classes."""

    classes_: np.ndarray

    def _encode(
        self, y: np.ndarray, response: str, fitting: bool, stated: tuple[Any, ...] | None = None
    ) -> np.ndarray:
        if not fitting:
            return encode_classes(y, self._classes, response)[0]
        if y.dtype == object and any(v is None or v != v for v in y):
            raise DataError(f"the response '{response}' contains NaN or None: remove those rows first")
        if y.ndim == 1 and y.dtype.kind in "iuUS":  # before a warning of scikit-learn about the same
            check_repeated(np.unique(y).size, len(y), response)
        check_classification_targets(y)
        levels = self.get_params(deep=False).get("levels")
        ordinal = self._family_name() in ORDERED
        told = ordinal or levels is not None
        known = ordered_classes(y, levels, response, stated if ordinal else None) if told else ()
        code, labels = encode_classes(y, known, response)
        if len(labels) < 2:
            raise DataError(
                f"the response '{response}' has only one class ({y[0]}): "
                "a classifier needs at least 2 classes"
            )
        check_repeated(len(labels), len(code), response)
        self.classes_ = np.array(labels) if told else np.unique(y)
        return code

    def _family_name(self) -> str:
        """Of the classes' law; estimators with no such word have multinomial experts."""
        name = self.get_params(deep=False).get("family", "multinomial")
        if name not in CLASSES:
            raise DataError(f"family={name!r} has no classes: choose one of {', '.join(CLASSES)}")
        return name

    @property
    def _classes(self) -> tuple:
        return tuple(self.classes_.tolist())

    def _family(self) -> Family:
        return make_family(self._family_name(), len(self.classes_))

    def predict_proba(self, X: Any, *, groups: Any = None, history: Any = None) -> np.ndarray:
        """Class probabilities, shape (n, K), columns as in ``classes_``.

        Given `history`, rows that were seen of the same `groups`, they are P(Y = s | x, history); both as in
        `MoERegressor.predict`.
        """
        seen = self._complete(X)
        given = inputs_of(self, seen.take(X), seen.take(groups), history)
        return seen.restore(self._fitted().mean(*given))

    def predict(self, X: Any, *, groups: Any = None, history: Any = None) -> np.ndarray:
        """Most probable class, shape (n,); groups and history as in `predict_proba`."""
        seen = self._complete(X)
        proba = self.predict_proba(seen.take(X), groups=seen.take(groups), history=history)
        return seen.restore(self.classes_[np.argmax(proba, axis=1)])

    def sample(self, X: Any, random_state: Any = None) -> np.ndarray:
        """One class drawn for each row, shape (n,)."""
        rng, seen = np.random.default_rng(random_state), self._complete(X)
        cumulative = np.cumsum(self.predict_proba(seen.take(X)), axis=1)
        drawn = (cumulative[:, :-1] < rng.random((len(cumulative), 1))).sum(axis=1)
        return seen.restore(self.classes_[drawn])

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Share of the classes that `predict` gets right; y as in `fit`."""
        return super().score(*self._scored(X, y, sample_weight)[:3])
