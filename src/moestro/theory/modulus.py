"""How small a Hellinger distance can hide how large a loss: the inequality behind the rates, without data.

    omega(eps) = inf { H(p_G, p_G*) : D(G, G*) = eps, G of k atoms },   H^2 = E_X h^2(p_G(.|X), p_G*(.|X))

The theorems say H >= c D near the truth: omega has slope one in eps for the right loss, and falls faster than
any power where there is none. Maximum likelihood has H of order n^(-1/2), so a loss of eps is told from none
at n of order 1 / omega(eps)^2, which is where a rate begins to show.

An infimum of zero at eps > 0 says that the truth is not identified among k atoms. Two multinomial experts in
place of one whose classes l and m have equal slopes have its density, if e^{a_l} + e^{a_m} is the same in
both and the mean of e^{a_l} is kept, because the density is linear in e^{a_l} then; where all slopes are
zero, any two of the same mean do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement, pairwise
from typing import Any

import numpy as np

from ..errors import DataError
from ..measure import MixingMeasure
from .asked import number, reals, whole
from .losses import LOSSES
from .nearby import Nearby, check_question

WITHIN = 0.15  # of the last slope: from there on the curve counts as a power
ZERO = 1e-16  # distances below are rounding of square roots in `Real`


@dataclass(frozen=True)
class Modulus:
    """The curve omega(eps), an upper bound of it as all minima found by search are.

    Attributes
    ----------
    eps, distance : ndarray of shape (m,)
        Losses, decreasing, and the smallest root mean square Hellinger distances found.
    measures : tuple of MixingMeasure
        Where they were found.
    slope, constant : float
        Of log omega on log eps over the last two: omega is about constant * eps^slope there; nan for one eps,
        or where a distance is zero.
    asymptotic_from : float
        n = 1 / omega^2 at the largest eps from which on all slopes are within 0.15 of the last; nan for less
        than three, infinite where a distance is zero.
    """

    eps: np.ndarray
    distance: np.ndarray
    measures: tuple[MixingMeasure, ...]
    slope: float
    constant: float
    asymptotic_from: float

    def __str__(self) -> str:
        if not self.identified:
            lost = self.eps[self.distance == 0].max()
            return f"not identified: a measure with a loss of {lost:g} has the density of the truth"
        return (
            f"Hellinger distance {self.constant:.1e} * loss^{self.slope:.2f}, "
            f"asymptotic from about n = {self.asymptotic_from:.0e}"
        )

    @property
    def identified(self) -> bool:
        """Whether no measure with a positive loss and the density of the truth was found."""
        return bool((self.distance > 0).all())


def modulus(
    truth: MixingMeasure, k: int, loss: str, eps: float | Sequence[float], *, x: Any, z: Any = None,
    r: float | None = None, box: float | None = None, starts: int = 10, seed: int = 0,
) -> Modulus:  # fmt: skip
    """The smallest Hellinger distance of a measure of k atoms whose loss is eps.

    Parameters
    ----------
    truth : MixingMeasure
        With a softmax gate and multinomial, Poisson or Gaussian experts; or a top-K gate, for k = k*. Which
        experts are selected at the inputs may change with G, as in fits, so that the distance may jump.
    k : int
        Atoms of G, at least those of the truth; every cell keeps one.
    loss : str
        A name of `LOSSES`.
    eps : float or sequence of float
        Values of the loss, each once; small enough for atoms to stay in their cells.
    x : array-like of shape (m, d)
        Inputs, equally likely.
    z : array-like of shape (m, e), optional
        Gate columns M(x) of a modified gate; by default x.
    r : float, optional
        The power of "multinomial-D2r", which no other loss has.
    box : float, optional
        Bound of every component of the atoms, as the theorems have one; needed for k > k*, where the infimum
        is zero without.
    starts : int
        Random starts for each way to spread the atoms over cells and each eps.

    Raises
    ------
    DataError
        Where no start keeps its atoms in their cells: eps is too large; without a box where one is needed;
        for inputs or numbers that are not finite, or not there.
    """
    r, x, z = check_question(truth, k, loss, r, x, z)
    values = np.sort(reals("eps", eps).ravel())[::-1]
    if not (values > 0).all() or (np.diff(values) == 0).any():
        raise DataError("eps must be positive, and each loss be asked for once")
    box = None if box is None else number("box", box, 0.0, open_=True)
    starts, seed = whole("starts", starts), whole("seed", seed, 0)
    if k > truth.k and (box is None or not box > np.abs(truth.atoms()).max()):
        raise DataError(
            f"k={k} of {truth.k} atoms needs a box that holds the truth: without a bound of the parameters "
            "an atom may be so far that its weight, and with it the Hellinger distance, is as small as one "
            "likes"
        )
    paths = [
        Nearby(truth, np.array([*range(truth.k), *extra]), LOSSES[loss], r, x, z, box)
        for extra in combinations_with_replacement(range(truth.k), k - truth.k)
    ]
    rng = np.random.default_rng(seed)
    warm: dict[int, np.ndarray] = {}
    distance, measures = np.full(len(values), np.inf), []
    for i, value in enumerate(values):
        best: MixingMeasure | None = None
        for at, path in enumerate(paths):
            own = np.inf
            tried = [warm[at]] if at in warm else []
            tried += [path.random(rng, float(value), odd=n % 3 == 2) for n in range(starts)]
            for start in tried:
                found, size = path.descend(start, float(value))
                if size < own:
                    own, warm[at] = size, found
                if size < distance[i]:
                    distance[i], best = (0.0 if size < ZERO else size), path.measure(found, float(value))
                if distance[i] == 0.0:
                    break
            if distance[i] == 0.0:
                break
        if best is None:
            raise DataError(f"no measure with a loss of {value:g} keeps its atoms in their cells: lower eps")
        measures.append(best)
    return _summary(values, distance, tuple(measures))


def _summary(eps: np.ndarray, distance: np.ndarray, measures: tuple[MixingMeasure, ...]) -> Modulus:
    if (distance == 0).any():
        return Modulus(eps, distance, measures, np.nan, np.nan, np.inf)
    if len(eps) < 2:
        return Modulus(eps, distance, measures, np.nan, np.nan, np.nan)
    slopes = [float(np.diff(np.log(distance[[i, j]]))[0] / np.diff(np.log(eps[[i, j]]))[0])
              for i, j in pairwise(range(len(eps)))]  # fmt: skip
    constant = float(distance[-1] / eps[-1] ** slopes[-1])
    first = len(slopes) - 1
    while first > 0 and abs(slopes[first - 1] - slopes[-1]) <= WITHIN:
        first -= 1
    reached = float(distance[first] ** -2) if len(eps) > 2 else np.nan
    return Modulus(eps, distance, measures, slopes[-1], constant, reached)
