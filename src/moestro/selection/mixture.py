"""Softmax-gated mixtures (any gate whose scores are smooth) over numbers of experts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..engine import Order, make_engine
from ..model import Model
from ..problems import MixtureFit, fit_mixture, fit_mixtures
from ..rows import Rows
from ..search import Options
from .atoms import SoftmaxAtoms
from .sweep import Finished, Started, check_ks

# The over-specified fit lies in a compact set, as in the theory. Without one, atoms that nobody needs take
# gates as steep as a step, and no formula merges those well. A slope of 12 a standard deviation takes a gate
# from 1 % to 99 % within 0.8 of them.
OVER_BOX = 12.0


@dataclass(frozen=True)
class Mixtures:
    """`model` on `rows` for each k of `ks`: candidates of a sweep."""

    model: Model
    rows: Rows
    ks: Sequence[int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "ks", check_ks(self.ks))

    @property
    def n(self) -> int:
        return self.rows.n

    def fits(self, options: Options, started: Started, finished: Finished) -> list[MixtureFit]:
        return fit_mixtures(self.model, self.rows, self.ks, options, started, finished)

    def refits(self, at: np.ndarray, fits: Sequence[MixtureFit], options: Options) -> list[MixtureFit]:
        return fit_mixtures(self.model, self.rows.take(at), self.ks, options)

    def score(self, fit: MixtureFit, at: np.ndarray) -> float:
        return make_engine(fit.model, self.rows.take(at)).evaluate(fit.theta, Order.VALUE).value

    def contrasts(self, fits: Sequence[MixtureFit]) -> None:
        return None

    def widest(self, options: Options, started: Started, finished: Finished) -> MixtureFit:
        model = replace(self.model, k=self.ks[-1])
        within = replace(options, box=OVER_BOX)
        return fit_mixtures(model, self.rows, [model.k], within, started, finished)[0]

    def atoms(self, fit: MixtureFit) -> SoftmaxAtoms:
        return SoftmaxAtoms.of(fit, self.rows)

    def settled(self, widest: MixtureFit, atoms: SoftmaxAtoms, options: Options) -> MixtureFit:
        whole = atoms.model.k == widest.k
        start = widest.theta if whole else atoms.theta
        return fit_mixture(
            widest.model if whole else atoms.model, self.rows, replace(options, initial=(start,))
        )
