"""Two atoms with the density of one, or nearly so.

Multinomial experts that are not identified, whatever the gate:

The density is linear in an atom's class probabilities where they do not depend on x, and in e^{a_l} where the
denominators of both halves are equal. So an atom may be replaced by two,

* where it has no slopes: with any two vectors of probabilities whose weighted mean is its own;
* where classes l and m have equal slopes: with e^{a_l} + t, e^{a_m} - t and the reverse.

Both are sequences G(t) with a total variation of zero and a positive loss D(G(t), G*), of any power r: along
them V / D_{2,r} is zero, so that no estimator of more than k* atoms is consistent in D_{2,r} at such a truth.

A Gaussian expert is identified, but two with the means +- t and the variance s^2 - t^2 have its first three
moments, and a fourth cumulant of -2 t^4: a Hellinger distance of t^4 / (s^4 sqrt 48) to leading order. That
is the solution behind r(2) = 4 and the rate n^(-1/8) of t.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..errors import DataError
from ..located import LocatedMeasure
from ..measure import MixingMeasure
from .asked import number, reals, whole, wholes


def split_constant(truth: MixingMeasure, expert: int, direction: np.ndarray, t: float) -> MixingMeasure:
    """`truth` with an expert without slopes as two halves, its probabilities moved by t and by -t.

    Parameters
    ----------
    expert : int
    direction : ndarray of shape (K,)
        Of the probabilities of the classes; its sum is zero.
    t : float
        Small enough for all probabilities to stay positive.

    Raises
    ------
    DataError
        Where the expert has slopes, or a probability would not be positive.
    """
    expert, t = _asked(truth, expert, t, MixingMeasure)
    if not truth.law.labels or truth.slopes[expert].any():
        raise DataError(f"expert {expert + 1} is not a multinomial one without slopes")
    direction = reals("direction", direction)
    logits = np.append(truth.intercepts[expert], 0.0)
    p = np.exp(logits - logits.max())
    p /= p.sum()
    if direction.shape != p.shape or abs(direction.sum()) > 1e-12 * np.abs(direction).sum():
        raise DataError(f"direction is {len(p)} numbers with the sum zero")
    halves = np.stack([p + t * direction, p - t * direction])
    if not (halves > 0).all():
        raise DataError(f"t={t:g} moves a probability below zero")
    return _twice(truth, expert, np.log(halves[:, :-1]) - np.log(halves[:, -1:]))


def split_classes(truth: MixingMeasure, expert: int, classes: tuple[int, int], t: float) -> MixingMeasure:
    """`truth` with an expert as two halves, e^{a_l} and e^{a_m} of two classes with equal slopes moved by t
    and -t in one and by -t and t in the other.

    Raises
    ------
    DataError
        Where the slopes of the classes differ, one is the last class, or e^a would not stay positive.
    """
    expert, t = _asked(truth, expert, t, MixingMeasure)
    pair = wholes("a class", classes, 0, truth.intercepts.shape[1]) if truth.law.labels else []
    if len(pair) != 2 or len(set(pair)) != 2 or max(pair) == truth.intercepts.shape[1]:
        raise DataError("classes are two of those before the last one, which has no parameters")
    first, second = pair
    if (truth.slopes[expert][first] != truth.slopes[expert][second]).any():
        raise DataError("the classes' slopes differ: such a split changes the density")
    a = np.exp(truth.intercepts[expert])
    if not abs(t) < min(a[first], a[second]):
        raise DataError(f"t={t:g} moves e^a below zero")
    halves = np.stack([a, a])
    halves[:, first] += [t, -t]
    halves[:, second] -= [t, -t]
    return _twice(truth, expert, np.log(halves))


def split_normal(
    truth: MixingMeasure | LocatedMeasure, expert: int, t: float
) -> MixingMeasure | LocatedMeasure:
    """`truth` with a Gaussian expert of one response as two halves: intercepts b + t and b - t, variances
    s^2 - t^2.

    Raises
    ------
    DataError
        Where experts are not Gaussian with one response, or t is not below the standard deviation.
    """
    expert, t = _asked(truth, expert, t, MixingMeasure | LocatedMeasure)
    located = isinstance(truth, LocatedMeasure)
    if truth.intercepts.shape[1] != 1 or not (located or truth.family == "gaussian"):
        raise DataError("split_normal takes Gaussian experts of one response")
    parts = truth.components()
    variance = float(parts["noise" if located else "variances"][expert].item())
    if not t**2 < variance:
        raise DataError(f"t={t:g} is not below the standard deviation {np.sqrt(variance):g}")
    order = [*range(truth.k)]
    order.insert(expert, expert)
    moved = {name: np.array(value[order]) for name, value in parts.items()}
    moved["intercepts"][expert : expert + 2, 0] += [t, -t]
    if isinstance(truth, LocatedMeasure):
        moved["noise"][expert : expert + 2] = variance - t**2
        weights = truth.weights[order]
        weights[expert : expert + 2] /= 2
        return replace(truth, weights=weights, **moved)
    out = truth.permute(order)
    log_weights, nuisances = np.array(out.log_weights), np.array(out.nuisances)
    log_weights[expert : expert + 2] -= np.log(2)
    nuisances[expert : expert + 2] = np.log(variance - t**2)
    return replace(out, log_weights=log_weights, intercepts=moved["intercepts"], nuisances=nuisances)


def _asked(truth: Any, expert: object, t: object, kinds: Any) -> tuple[int, float]:
    """The expert and the step, of a measure that can be split."""
    if not isinstance(truth, kinds):
        raise DataError(f"a mixing measure that can be split is needed, got {type(truth).__name__}")
    return whole("expert", expert, 0, truth.k - 1), number("t", t)


def _twice(truth: MixingMeasure, expert: int, intercepts: np.ndarray) -> MixingMeasure:
    order = [*range(truth.k)]
    order.insert(expert, expert)
    out = truth.permute(order)
    log_weights, own = np.array(out.log_weights), np.array(out.intercepts)
    log_weights[expert : expert + 2] -= np.log(2)
    own[expert : expert + 2] = intercepts
    return replace(out, log_weights=log_weights, intercepts=own)
