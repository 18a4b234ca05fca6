"""What every fitted estimator says of hypotheses about its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DataError
from ..fitted import LocatedModel
from ..inference import Estimates, Hypotheses, HypothesisTest, wald_test
from ..inference.estimates import critical
from ..inference.located_restricted import LocatedRestricted
from ..inference.restricted import Restricted
from ..tables import Table
from ..threads import thread_count
from .trust import Trust


class Tested(Trust):
    """Tests of linear hypotheses, and profile-likelihood intervals."""

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
            "1:x1 = 2:x1" says that experts 1 and 2 have the same slope; ``"*:x1 = 0"`` that none has one, for
            no class; a comma stands between several; names as in `parameter_names_`.
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
        """Likelihood-ratio test of what `wald_test` takes: the model is fitted again under the hypotheses.

        The fit begins at the estimate and is not searched: far from it, where Wald's test rejects anyway, it
        may end below the best, and the statistic is then too large. Of located experts hypotheses are about
        coefficients, places and variances of direct fits.
        """
        h = self._hypotheses(self._fitted().estimates(), hypotheses, equal)
        return self._restricted().test("likelihood-ratio", h)

    def score_test(
        self, hypotheses: str | None = None, *, equal: str | Sequence[str] | None = None
    ) -> HypothesisTest:
        """Score test, as `likelihood_ratio_test`, with the observed information."""
        h = self._hypotheses(self._fitted().estimates(), hypotheses, equal)
        return self._restricted().test("score", h)

    def profile(self, term: str, expert: int | None = None, *, level: float = 0.95) -> Table:
        """Profile-likelihood interval of a coefficient, beside Wald's; of located experts in direct fits also
        of places and variances.

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

    def _restricted(self) -> Restricted | LocatedRestricted:
        model, rows = self._trained("fit under hypotheses"), self._found.rows
        if isinstance(model, LocatedModel):
            return LocatedRestricted.of(model.fit, rows.x, rows.y, rows.w)
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
