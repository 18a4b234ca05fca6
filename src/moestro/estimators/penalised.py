"""What estimators do where a penalty is given: a path, the choice on it, and the same attributes afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ..api import PenalisedResult, fit_penalised_design, number_of_experts
from ..design import ArrayDesign, FormulaDesign
from ..errors import DataError
from ..experts import Family
from ..penalised import names_of
from ..penalised.path import TOL
from ..penalties import Penalty, make_penalty
from ..threads import thread_count
from .helpers import printer, seed_of
from .paths import RegularizationPath


class PenalisedFits:
    """Mixin of the estimators with a `penalty`."""

    n_experts: Any
    max_experts: int | None
    penalty: Any
    gate: Any
    top_k: int | None
    tol: float
    random_state: Any
    n_jobs: int | None
    verbose: int

    if TYPE_CHECKING:

        def _family(self, y: np.ndarray) -> Family: ...

        @property
        def _classes(self) -> tuple: ...

    def _fit_penalised(
        self,
        design: ArrayDesign | FormulaDesign,
        x: Any,
        z: Any,
        y: np.ndarray,
        w: np.ndarray | None,
        response: str,
    ) -> Self:
        """Fit and store; columns as `design.matrices` gives them."""
        given = make_penalty(self.penalty)
        seed = seed_of(self.random_state)

        def fit(k: int, penalty: Penalty, **how: Any) -> PenalisedResult:
            return fit_penalised_design(
                design, x, z, y, w, self._family(y), k, penalty, gate=self.gate, top_k=self.top_k, response=response,
                classes=self._classes, threads=thread_count(self.n_jobs), seed=seed, tol=min(self.tol, TOL),
                progress=printer() if self.verbose else None, **how,
            )  # fmt: skip

        self._store_penalised(self._choose_penalised(given, fit))
        return self

    def _choose_penalised(self, penalty: Penalty, fit: Callable[..., PenalisedResult]) -> PenalisedResult:
        """The fit for the one number of experts."""
        ks, _ = number_of_experts(self.n_experts, self.max_experts)
        if len(ks) > 1:
            raise DataError(
                f"with a penalty n_experts must be a number, got {self.n_experts!r}: "
                "MoERegressorCV and MoEClassifierCV choose it together with the strength"
            )
        return fit(ks[0], penalty)

    def _store_penalised(self, result: PenalisedResult) -> None:
        found = result.found
        self._model, self._rows = result.model, None
        self._tree, self.slope_ = None, None
        self.n_experts_ = found.fit.model.k
        self.n_iter_ = found.fit.n_iter
        self.alpha_, self.selection_ = found.alpha, found.table
        self.path_ = RegularizationPath.of(result.model, found)
        self.selected_ = names_of(found.path.problem, found.point)
