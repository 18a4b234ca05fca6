"""Softmax-gated mixtures (any gate whose scores are smooth) over numbers of experts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..engine import Order, make_engine
from ..errors import DataError
from ..model import Model
from ..problems import MixtureFit, fit_mixture, fit_mixtures
from ..rows import Rows, RowsElsewhere
from ..search import Options
from .atoms import SoftmaxAtoms
from .cross_validation import positive
from .sweep import Finished, Started

# The over-specified fit lies in a compact set, as in the theory. Without one, atoms that nobody needs take
# gates as steep as a step, and no formula merges those well. A slope of 12 a standard deviation takes a gate
# from 1 % to 99 % within 0.8 of them.
OVER_BOX = 12.0


@dataclass(frozen=True)
class Mixtures:
    """`model` on `rows`, with any number of experts, as a sweep fits it."""

    model: Model
    rows: Rows | RowsElsewhere

    @property
    def present(self) -> np.ndarray:
        rows = self.rows.at_hand
        return positive(rows.w, rows.n_units)

    def fits(
        self, ks: Sequence[int], options: Options, started: Started, finished: Finished
    ) -> list[MixtureFit]:
        return fit_mixtures(self.model, self.rows, ks, options, started, finished)

    def refits(self, at: np.ndarray, fits: Sequence[MixtureFit], options: Options) -> list[MixtureFit]:
        return fit_mixtures(self.model, self.rows.take(at), [f.k for f in fits], options)

    def held_out(self, fit: MixtureFit, at: np.ndarray) -> float:
        return make_engine(fit.model, self.rows.take(at)).evaluate(fit.theta, Order.VALUE).value

    def contrasts(self, fits: Sequence[MixtureFit]) -> None:
        return None

    def widest(
        self, k: int, options: Options, started: Started, finished: Finished
    ) -> tuple[MixtureFit, SoftmaxAtoms]:
        if self.model.gate.name != "softmax":
            raise DataError(
                f"a dendrogram is defined for softmax and Gaussian gates, not for {self.model.gate.name}"
            )
        within, model = replace(options, box=OVER_BOX), replace(self.model, k=k)
        fit = fit_mixtures(model, self.rows, [k], within, started, finished)[0]
        return fit, SoftmaxAtoms.of(fit, self.rows)

    def settled(self, widest: MixtureFit, atoms: SoftmaxAtoms, options: Options) -> MixtureFit:
        whole = atoms.model.k == widest.k
        start = widest.theta if whole else atoms.theta
        return fit_mixture(
            widest.model if whole else atoms.model, self.rows, replace(options, initial=(start,))
        )
