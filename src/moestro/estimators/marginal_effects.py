"""A fit as the package marginaleffects takes one: its predictions as functions of the estimates, which have a
covariance.

With estimates b, their covariance L L' and predictions f of covariance R R', both L and R by steps along the
same directions, f(c) = f(b) + R L^+ (c - b): what the delta method needs, with the precision of moestro's own
central differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import marginaleffects.classes as theirs  # pyright: ignore[reportMissingImports]
import numpy as np
import polars as pl

from ..errors import DataError
from ..inference.margins import Quantity
from .effects import matrices, values_of

ROUNDING = 1e-9  # share of the largest singular value of L below which a direction is none


class MarginalEffectsModel(theirs.ModelAbstract):
    """What `marginaleffects.predictions`, `slopes`, `comparisons` and their averages are called with.

    Parameters
    ----------
    fitted : FittedModel or LocatedModel
    covariance : Covariance or LocatedCovariance
        Refits count through the covariance of their estimates.
    data : mapping of str to ndarray
        The columns that the model reads.
    quantities : sequence of Quantity
        What is predicted; several are what marginaleffects calls groups: "expert 1", "gate 2", a class.
    """

    def __init__(
        self, fitted: Any, covariance: Any, data: dict[str, np.ndarray], quantities: Sequence[Quantity]
    ) -> None:
        estimates = fitted.estimates(covariance)
        known = estimates.known & ~estimates.fixed
        self.names = tuple(data)
        self.quantities, self.function = tuple(quantities), values_of(quantities)
        self.covariance = replace(covariance, draws=None)
        _, L = fitted.uncertainty(lambda model: model.estimates().values[known], self.covariance)
        self.inverse = np.linalg.pinv(L, rcond=ROUNDING)
        self.levels = {n: {str(v): v for v in fitted.design.order_of(n) or ()} for n in data}
        vault = theirs.ModelVault(
            coef=estimates.values[known],
            coefnames=np.array([t.label for t, has in zip(estimates.terms, known, strict=True) if has]),
            modeldata=pl.DataFrame([self._series(n, values) for n, values in data.items()]),
            formula=_no_formula,
            package="moestro",
            vcov=L @ L.T,
            variable_names=[fitted.responses[0], *data],
        )
        super().__init__(fitted, vault)

    def get_vcov(self, vcov: Any = True) -> np.ndarray | None:
        """The covariance (U, U) of the estimates; None of False."""
        if not isinstance(vcov, bool):
            raise DataError(f"vcov={vcov!r}: name the standard errors in to_marginaleffects(cov=...)")
        return self.vault.vcov if vcov else None

    def get_exog(self, newdata: Any) -> np.ndarray:
        """Predictions of m quantities at n rows, (n, m, 1 + U): their values, then their slopes in the
        estimates."""
        rows = matrices(self.model.design, {n: self._values(newdata[n]) for n in self.names})
        values, R = self.model.uncertainty(lambda model: self.function(model, *rows).ravel(), self.covariance)
        together = np.column_stack([values, R @ self.inverse])
        return together.reshape(len(newdata), len(self.quantities), -1)

    def get_predict(self, params: np.ndarray, newdata: Any) -> pl.DataFrame:
        """Columns rowid, estimate and, of several quantities, group."""
        at = newdata if isinstance(newdata, np.ndarray) else self.get_exog(newdata)
        estimate = at[:, :, 0] + at[:, :, 1:] @ (np.asarray(params) - self.vault.coef)
        n, m = estimate.shape
        rowid = np.tile(np.arange(n, dtype=np.int32), m)
        frame = pl.DataFrame({"rowid": rowid, "estimate": estimate.ravel(order="F")})
        groups = pl.Series("group", np.repeat([_named(q) for q in self.quantities], n).tolist())
        return frame if m == 1 else frame.with_columns(groups)

    def _series(self, name: str, values: np.ndarray) -> pl.Series:
        levels = list(self.levels[name])
        if not levels:
            return pl.Series(name, values)
        return pl.Series(name, [str(v) for v in values.tolist()], dtype=pl.Enum(levels))

    def _values(self, column: pl.Series) -> np.ndarray:
        back = self.levels[column.name]
        return np.array([back.get(v, v) for v in column.to_list()]) if back else column.to_numpy()


def _named(quantity: Quantity) -> str:
    part = "" if quantity.of == "mixture" else f"{quantity.of} {(quantity.component or 0) + 1}"
    return ": ".join(word for word in (part, quantity.outcome) if word) or "mixture"


def _no_formula(data: Any) -> tuple[None, Any]:
    """What marginaleffects takes in place of a formula that it would read itself."""
    return None, data
