"""What every fitted estimator says of how far its estimates can be trusted."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import DataError
from ..fitted import FittedModel
from ..inference import Estimates, Hypotheses, HypothesisTest, wald_test
from ..inference.estimates import critical
from ..inference.influence import accelerations
from ..inference.intervals import drawn_interval
from ..inference.restricted import Restricted
from ..summary import glance, summary_text, tidy
from ..tables import Table
from ..threads import thread_count
from .attributes import FitAttributes
from .found import KEPT, Found


class Trust(FitAttributes):
    """Standard errors, tests and tables of a fit."""

    n_jobs: int | None
    _found: Found

    @abstractmethod
    def _fitted(self) -> Any:
        """The `FittedModel` or `LocatedModel`."""

    def inference(
        self,
        cov: str = "observed",
        *,
        cluster: Any = None,
        strata: Any = None,
        fpc: Any = None,
        level: float = 0.95,
        n_bootstrap: int = 100,
        resample: str | None = None,
        interval: str = "normal",
        random_state: int | None = None,
    ) -> Table:
        """Coefficient table with standard errors and intervals, from the training data or from what a file
        keeps.

        Parameters
        ----------
        cov : {"observed", "expected", "sandwich", "cluster", "survey", "bootstrap", "jackknife"}
            Inverse observed information, or expected one where there is one expert; robust to a wrong model;
            robust to dependence within clusters, too, with the factor G / (G - 1) for G clusters; of a survey
            with strata, primary units and the weights of the fit, by linearisation; refits; refits without
            each row. The last two draw or leave out clusters where there are any.
        cluster : array-like of shape (n,) or (n, dimensions), or a tuple of those
            The cluster, or the primary unit, of each training row.
        strata : array-like of shape (n,)
            Of a survey.
        fpc : float or array-like of shape (n,)
            Of a survey: primary units of the population in the stratum of a row, or their sampled share.
        level : float
            Of the intervals.
        n_bootstrap : int
        resample : {"weights", "rows", "parametric"}, optional
            Of the bootstrap: exponential weights, which keep every row in every refit; rows (or groups, or
            clusters) drawn with replacement; responses drawn from the fit.
        interval : {"normal", "percentile", "basic", "bca"}
            Of the bootstrap: by the standard error, or from the draws.
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
        if interval != "normal" and cov != "bootstrap":
            raise DataError(f"interval={interval!r} needs cov='bootstrap', whose draws it is made of")
        covariance = self._covariance(
            cov, cluster=cluster, strata=strata, fpc=fpc, n_bootstrap=n_bootstrap, resample=resample,
            random_state=random_state,
        )  # fmt: skip
        table = tidy(self._fitted(), covariance, level)
        return table if interval == "normal" else self._drawn(table, covariance, interval, level)

    def _drawn(self, table: Table, covariance: Any, interval: str, level: float) -> Table:
        """The table with intervals from the draws."""
        critical(level)
        estimates = self._fitted().estimates(covariance)
        acceleration = np.zeros(len(estimates.values))
        if interval == "bca":
            acceleration = accelerations(self.influence())
        ends: list[tuple[float | None, float | None]] = []
        for i, note in enumerate(estimates.notes):
            own = estimates.draws[:, i]
            value = float(estimates.values[i])
            found = drawn_interval(interval, value, own, level, float(acceleration[i]))
            ends.append((None, None) if note else found)
        low, high = (list(side) for side in zip(*ends, strict=True))
        return Table({**table.columns, "low": low, "high": high})

    def influence(self) -> np.ndarray:
        """What leaving out each training row (each group) would change in the parameters, (units, U), by one
        step of Newton's method: of softmax-gated fits.

        Columns as `parameter_names_`, zero where there is no standard error.
        """
        model = self._softmax("influence")
        threads = thread_count(self.n_jobs)
        found = self._covariance("observed")
        return model.influence(self._found.rows, found, self._found.engine, threads)

    @property
    def parameter_names_(self) -> list[str]:
        """Labels of the parameters in the order of `inference` and `covariance_matrix`: "2:x1",
        "gate:2:x1"."""
        return list(self._fitted().estimates().places)

    def covariance_matrix(self, cov: str = "observed", **how: Any) -> np.ndarray:
        """Covariance (U, U) of the parameters that `inference` lists, in its order and units.

        NaN of parameters without a standard error, zero of those that the model holds; words as in
        `inference`.
        """
        return self._estimates(cov, **how).masked()

    def wald_test(
        self,
        hypotheses: str | None = None,
        *,
        equal: str | Sequence[str] | None = None,
        cov: str = "observed",
        **how: Any,
    ) -> HypothesisTest:
        """Wald test of linear hypotheses about coefficients.

        Parameters
        ----------
        hypotheses : str
            "1:x1 = 2:x1" says that experts 1 and 2 have the same slope; ``"*:x1 = 0"`` that none has one; a comma
            stands between several; names as in `parameter_names_`.
        equal : str or sequence of str
            Instead: terms whose coefficients are the same in every expert.
        cov, **how
            As in `inference`.

        Examples
        --------
        >>> from moestro import MoERegressor, load_dataset
        >>> tone = load_dataset("tone")
        >>> moe = MoERegressor.from_formula("tuned ~ stretchratio | 1", tone, random_state=0)
        >>> print(moe.wald_test("1:stretchratio = 0, 2:stretchratio = 1"))  # doctest: +ELLIPSIS
        Wald test (observed) of 1:stretchratio = 0, 2:stretchratio = 1: chi2(2) = ...
        """
        estimates = self._estimates(cov, **how)
        return wald_test(self._hypotheses(estimates, hypotheses, equal), estimates)

    def likelihood_ratio_test(
        self, hypotheses: str | None = None, *, equal: str | Sequence[str] | None = None
    ) -> HypothesisTest:
        """Likelihood-ratio test of what `wald_test` takes, of softmax-gated experts: the model is fitted
        again under the hypotheses, from the estimate."""
        h = self._hypotheses(self._fitted().estimates(), hypotheses, equal)
        return self._restricted().test("likelihood-ratio", h)

    def score_test(
        self, hypotheses: str | None = None, *, equal: str | Sequence[str] | None = None
    ) -> HypothesisTest:
        """Score test, as `likelihood_ratio_test`, with the observed information."""
        h = self._hypotheses(self._fitted().estimates(), hypotheses, equal)
        return self._restricted().test("score", h)

    def profile(self, term: str, expert: int | None = None, *, level: float = 0.95) -> Table:
        """Profile-likelihood interval of a coefficient of softmax-gated experts, beside Wald's.

        Better than Wald's where experts overlap or rows are few, as it follows the likelihood's own shape.

        Parameters
        ----------
        term : str
            A term of `expert`, or a whole label of `parameter_names_`, as "gate:2:x1".
        expert : int, optional
            From 1.
        level : float

        Returns
        -------
        Table
            One row: parameter, estimate, low, high, wald_low, wald_high. None where the likelihood never
            falls so far.
        """
        label = term if expert is None else f"{expert}:{term}"
        estimates = self._estimates("observed")
        if label not in estimates.places:
            raise DataError(
                f"{label!r} is no parameter: these are {', '.join(list(estimates.places)[:8])}, ..."
            )
        i = estimates.places[label]
        if estimates.notes[i]:
            raise DataError(f"{label} has no standard error ({estimates.notes[i]}): no interval is profiled")
        estimate, se = float(estimates.values[i]), float(np.sqrt(estimates.covariance[i, i]))
        low, high = self._restricted().profile(i, estimate, se, level)
        half = critical(level) * se
        row = {
            "parameter": label, "estimate": estimate, "low": low, "high": high,
            "wald_low": estimate - half, "wald_high": estimate + half,
        }  # fmt: skip
        return Table({name: [value] for name, value in row.items()})

    def _softmax(self, what: str) -> FittedModel:
        """The model of softmax-gated experts with its training data."""
        model = self._fitted()
        if not isinstance(model, FittedModel):
            raise DataError(
                f"located experts have no {what}: fit softmax-gated ones, or use wald_test, cov='bootstrap'"
            )
        if self._found.penalised is not None:
            raise DataError(f"a penalised fit has no {what}: it has no likelihood of its own")
        if self._found.rows is None:
            raise DataError(
                f"{what} needs the training data, which a file or a pickle does not carry: fit again"
            )
        return model

    def _restricted(self) -> Restricted:
        model = self._softmax("fit under hypotheses")
        threads = thread_count(self.n_jobs)
        return Restricted.of(model.fit, model.units, self._found.rows, self._found.engine, threads)

    def _hypotheses(
        self, estimates: Estimates, text: str | None, equal: str | Sequence[str] | None
    ) -> Hypotheses:
        if (text is None) == (equal is None):
            raise DataError("a test takes hypotheses, or equal= with the names of terms")
        if equal is not None:
            return Hypotheses.equal(equal, estimates)
        return Hypotheses.read(str(text), estimates.places, self._fitted().fit.k)

    def _estimates(self, cov: str, **how: Any) -> Estimates:
        return self._fitted().estimates(self._covariance(cov, **how))

    def _covariance(self, cov: str, **how: Any) -> Any:
        model = self._fitted()
        covariance = self._found.covariance(cov, thread_count(self.n_jobs), **how)
        if cov in KEPT:  # so that it is not computed again, and a pickle has it
            known = {**model.covariances, cov: covariance}
            self._found = replace(self._found, model=replace(model, covariances=known))
        return covariance

    def summary(self, cov: str | None = "auto", **how: Any) -> str:
        """The fit as text of at most a hundred columns: what is doubtful, how the search and the fit ended,
        the experts' shares, coefficients with standard errors, the experts in words.

        Parameters
        ----------
        cov : str or None
            As in `inference`; "auto" is "observed", or a line that says why there are none; None leaves them
            out.
        **how
            As in `inference`.
        """
        model, (covariance, without) = self._fitted(), self._trusted(cov, **how)
        return summary_text(model, covariance, without=without, more=self._facts())

    def _trusted(self, cov: str | None, **how: Any) -> tuple[Any, str]:
        """The covariance, or of "auto" None and why there is none."""
        if cov is None:
            return None, ""
        try:
            return self._covariance("observed" if cov == "auto" else cov, **how), ""
        except DataError as error:
            if cov != "auto":
                raise
            return None, str(error)

    def _facts(self) -> list[tuple[str, str]]:
        """What a summary says of the penalty."""
        p = self._found.penalised
        if p is None:
            return []
        count = len(p.selected)
        columns = f"{count} column{'s have' if count != 1 else ' has'} a slope"
        return [("Penalty", f"strength {p.alpha:.4g}; {columns}")]

    def tidy(self) -> Table:
        """One row a coefficient, in the user's units."""
        return tidy(self._fitted())

    def glance(self) -> Table:
        """One row about the fit."""
        return glance(self._fitted().fit)
