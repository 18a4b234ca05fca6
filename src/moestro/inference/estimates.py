"""The estimates of a fit as people read them: names, numbers, their covariance, and why one has none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
from scipy.special import expit, ndtri

from ..errors import DataError, quiet

# Intervals by the logit, by the logarithm, and as they are; of a place, or a log-variance, there is no
# hypothesis that it is zero.
SHARE, POSITIVE, PLACE, REAL = "share", "positive", "place", "real"
VAGUE = 5.0  # standard error, on scaled columns and responses, from which an interval says next to nothing
NUMBERS = ("std_error", "z", "p", "low", "high")


@dataclass(frozen=True)
class Term:
    """One row of a coefficient table; its label is "2:x1", "2:B:x1" of an outcome B, or "gate:2:x1"."""

    component: int
    part: str
    outcome: str
    term: str
    kind: str = REAL

    @property
    def label(self) -> str:
        """How a hypothesis calls it."""
        gate = ["gate"] if self.part == "gate" else []
        outcome = [self.outcome] if self.outcome and not gate else []
        return ":".join([*gate, str(self.component + 1), *outcome, self.term])


@dataclass(frozen=True)
class Estimates:
    """What a coefficient table lists.

    Attributes
    ----------
    terms : tuple of Term
    values : ndarray of shape (U,)
    matrix : ndarray of shape (U, U) or None
        Covariance; zero rows of parameters without a standard error. None where none was asked for.
    notes : tuple of str
        Why a parameter has no standard error, empty where it has one.
    fixed : ndarray of bool, shape (U,)
        Parameters that the model holds at a number: they are known.
    kind : str
        Of the covariance.
    draws : ndarray of shape (B, U) or None
        Of the refits.
    """

    terms: tuple[Term, ...]
    values: np.ndarray
    matrix: np.ndarray | None
    notes: tuple[str, ...]
    fixed: np.ndarray
    kind: str = ""
    draws: np.ndarray | None = None

    def of(self, chosen: np.ndarray) -> Estimates:
        """Those in `chosen`, boolean (U,)."""
        at = np.flatnonzero(chosen)
        if len(at) == len(chosen):
            return self
        matrix = None if self.matrix is None else self.matrix[np.ix_(at, at)]
        terms, notes = tuple(self.terms[i] for i in at), tuple(self.notes[i] for i in at)
        draws = None if self.draws is None else self.draws[:, at]
        return Estimates(terms, self.values[at], matrix, notes, self.fixed[at], self.kind, draws)

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each label stands."""
        return {t.label: i for i, t in enumerate(self.terms)}

    @property
    def known(self) -> np.ndarray:
        """Boolean (U,): parameters with a standard error, or held at a number."""
        return self.fixed | np.array([not note for note in self.notes], dtype=bool)

    @property
    def known_or_held(self) -> np.ndarray:
        """Boolean (U,): also parameters that stay where they are, aliased or at the bound of their range."""
        return self.known | np.isin(self.notes, ("aliased", "at bound"))

    @property
    def covariance(self) -> np.ndarray:
        """`matrix`, which must be there."""
        if self.matrix is None:
            raise DataError("these estimates have no covariance")
        return self.matrix

    def masked(self) -> np.ndarray:
        """The covariance with NaN where there is no standard error, and zeros where a number is held."""
        out = self.covariance.copy()
        lost = ~self.known
        out[lost], out[:, lost] = np.nan, np.nan
        return out

    def numbers(
        self, level: float = 0.95, width: float | None = None
    ) -> tuple[dict[str, list[Any]], list[str]]:
        """Columns std_error, z, p, low, high at this level, or of intervals of `width` standard errors,
        and the notes.

        Intervals of shares are taken on the logit scale, those of variances and degrees of freedom on the
        logarithmic one. z and p belong to coefficients and covariances: nobody asks whether a share, a
        variance or the place of an expert is zero.
        """
        width, variances = critical(level) if width is None else width, np.diag(self.covariance)
        cells = [
            _interval(t.kind, float(v), float(s), width) if not note else (None,) * 5
            for t, v, s, note in zip(self.terms, self.values, variances, self.notes, strict=True)
        ]
        notes = [
            n or ("" if c[0] is not None else "at bound") for n, c in zip(self.notes, cells, strict=True)
        ]
        return {name: [c[i] for c in cells] for i, name in enumerate(NUMBERS)}, notes


def among(kept: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """matrix (P, P) between the parameters in `kept`, boolean (P,), and zero elsewhere, whatever stands
    there: a variance that is lost may be no number."""
    return np.where(np.outer(kept, kept), matrix, 0.0)


def critical(level: float) -> float:
    """Normal quantile of a two-sided interval."""
    if not isinstance(level, Real) or not 0 < level < 1:
        raise DataError(f"level must lie between 0 and 1, got {level!r}")
    return -float(ndtri((1 - level) / 2))


def wilson(share: Any, n: Any, level: float = 0.95) -> tuple[Any, Any]:
    """Ends of the interval of a probability from a share among n, numbers or arrays (Wilson, 1927)."""
    z = critical(level)
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2) / (1 + z**2 / n)
    return middle - half, middle + half


def two_sided(z: float) -> float:
    """P(|Z| > |z|) of a standard normal Z."""
    return math.erfc(abs(z) / math.sqrt(2.0))


def interval_of_share(share: float, se: float, width: float) -> tuple[float, float]:
    """On the logit scale."""
    if not 0 < share < 1:
        return 0.0, 1.0
    odds, half = math.log(share / (1 - share)), width * se / (share * (1 - share))
    return float(expit(odds - half)), float(expit(odds + half))


def experts(k: int) -> str:
    """So many experts in a sentence."""
    return "1 expert" if k == 1 else f"{k} experts"


def p_text(p: float) -> str:
    """A p value in a sentence: "p = 0.123"."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _interval(kind: str, estimate: float, variance: float, width: float) -> tuple[float | None, ...]:
    """std_error, z, p, low, high."""
    se = math.sqrt(max(variance, 0.0))
    if se == 0.0:
        return (None,) * 5
    if kind in (REAL, PLACE):
        z = estimate / se
        test = (z, two_sided(z)) if kind == REAL else (None, None)
        return se, *test, estimate - width * se, estimate + width * se
    if kind == POSITIVE:
        with quiet():  # the interval is then every positive number
            factor = float(np.exp(width * se / estimate))
        return se, None, None, estimate / factor, estimate * factor
    assert kind == SHARE
    return se, None, None, *interval_of_share(estimate, se, width)
