"""What every fitted estimator says of how far its estimates can be trusted."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import DataError
from ..inference import Estimates, Request
from ..inference.estimates import critical
from ..inference.influence import accelerations
from ..inference.intervals import drawn_interval
from ..summary import glance, summary_text, tidy
from ..tables import Table
from ..threads import thread_count
from .attributes import FitAttributes
from .found import KEPT, Found
from .helpers import printer


class Trust(FitAttributes):
    """Standard errors and tables of a fit."""

    n_jobs: int | None
    verbose: int
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
        correction: str | None = None,
        simultaneous: bool = False,
    ) -> Table:
        """Coefficient table with standard errors and intervals, from the training data or from what a file
        keeps.

        Parameters
        ----------
        cov : {"observed", "expected", "sandwich", "cluster", "survey", "bootstrap", "jackknife"}
            Inverse observed information, or expected one where there is one expert; robust to a wrong model;
            robust to dependence within clusters, too; of a survey with strata, primary units and the weights
            of the fit, by linearisation; refits; refits without each row. The last two draw or leave out
            clusters where there are any.
        cluster : array-like of shape (n,) or (n, dimensions), or a tuple of those
            The cluster, or the primary unit, of each training row, made of whole groups where rows share
            their expert.
        strata : array-like of shape (n,)
            Of a survey.
        fpc : float or array-like of shape (n,)
            Of a survey: primary units of the population in the stratum of a row, or their sampled share.
        level : float
            Of the intervals.
        n_bootstrap : int
            Refits, on `n_jobs` threads, or where a joblib.parallel_config about the call says: on processes
            ("loky") or a cluster ("dask"), with the same numbers. `verbose` shows a bar.
        resample : {"weights", "rows", "parametric"}, optional
            Of the bootstrap: exponential weights, which keep every row in every refit; rows (or groups, or
            clusters) drawn with replacement; responses drawn from the fit.
        interval : {"normal", "percentile", "basic", "bca"}
            Of the bootstrap: by the standard error, or from the draws.
        random_state : int or None
            Of the bootstrap.
        correction : {"HC0", "HC1", "CR0", "CR1", "CR1S"}, optional
            For small samples: of the sandwich none or n / (n - P), with P estimated parameters; of "cluster"
            none, G / (G - 1) with G clusters, or that and (n - 1) / (n - P), Stata's for least squares. HC0
            and CR1 unless told.
        simultaneous : bool
            Whether the intervals cover all parameters of the table at once (sup-t), wider than those that
            cover one.

        Returns
        -------
        Table
            component, part, (outcome,) term, estimate, std_error, z, p, low, high, note. Where there is no
            standard error, ``note`` says why: the information is singular, for instance. Of located experts
            also the shares, places and variances: intervals of shares are taken on the logit scale, of
            variances on the logarithmic one, and z and p belong to coefficients and covariances.
        """
        if interval != "normal" and cov != "bootstrap":
            raise DataError(
                f"interval={interval!r} needs cov='bootstrap', since it is computed from its draws"
            )
        if simultaneous and interval != "normal":
            raise DataError(
                f"simultaneous intervals are made from standard errors: leave out interval={interval!r}"
            )
        covariance = self._covariance(
            cov, cluster=cluster, strata=strata, fpc=fpc, n_bootstrap=n_bootstrap, resample=resample,
            random_state=random_state, correction=correction,
        )  # fmt: skip
        table = tidy(self._fitted(), covariance, level, simultaneous)
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
        step of Newton's method.

        Columns as `parameter_names_`, zero where there is no standard error.
        """
        model = self._trained("influence")
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

    def _trained(self, what: str) -> Any:
        """The model with its training data."""
        if self._found.penalised is not None:
            raise DataError(f"a penalised fit has no {what}: it has no likelihood of its own")
        if self._found.rows is None:
            raise DataError(
                f"{what} needs the training data, which a file or a pickle does not carry: fit again"
            )
        return self._fitted()

    def _estimates(self, cov: str, **how: Any) -> Estimates:
        return self._fitted().estimates(self._covariance(cov, **how))

    def _covariance(self, cov: str, **how: Any) -> Any:
        model = self._fitted()
        how.setdefault("progress", printer() if self.verbose else None)
        covariance = self._found.covariance(cov, thread_count(self.n_jobs), **how)
        # What is asked for again is not computed again, and a pickle has it.
        if cov in KEPT and Request(cov, **how).is_usual:
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
