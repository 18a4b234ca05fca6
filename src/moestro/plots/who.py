"""Displays of who the experts are: profiles, coefficients, posteriors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ..errors import DataError
from ..fitted import FittedModel, LocatedModel
from ..inference.estimates import Estimates, critical
from ..tables import Table
from .base import Display, color, key_above, label
from .data import Rows, rows_of
from .lines import model_of

MOST = 30  # terms of a forest, columns of a profile
BINS = 10


@dataclass
class ProfileDisplay(Display):
    """Posterior-weighted means of the columns and of the response by expert, with 95% intervals, in standard
    deviations from the mean of all rows.

    Attributes
    ----------
    variables : list of str
    means, errors : ndarray of shape (k, v)
    """

    variables: list[str]
    means: np.ndarray
    errors: np.ndarray

    @classmethod
    def from_estimator(cls, estimator: Any, X: Any = None, y: Any = None, *, ax: Any = None) -> Self:
        """Compute and draw, on the training rows or on (X, y)."""
        return cls.of(estimator.profiles(X, y), rows_of(estimator, X, y)).plot(ax=ax)

    @classmethod
    def of(cls, profiles: Table, rows: Rows) -> Self:
        """From a table of `profiles` of these rows, not drawn yet."""
        k = rows.r.shape[1]
        share = (rows.w @ rows.r / rows.w.sum())[:, None]
        names = profiles["variable"][: len(profiles) // k]
        mean, se, std = (np.reshape(profiles[n], (k, -1)) for n in ("mean", "std_error", "std"))
        center = (share * mean).sum(axis=0)
        total = np.sqrt((share * (std**2 + (mean - center) ** 2)).sum(axis=0))
        use = np.flatnonzero(total > 0)[:MOST]
        scale = total[use]
        return cls([names[j] for j in use], (mean[:, use] - center[use]) / scale, se[:, use] / scale)

    def _draw(self, ax: Any) -> None:
        at = np.arange(len(self.variables), dtype=float)
        k = len(self.means)
        for e, (mean, se) in enumerate(zip(self.means, self.errors, strict=True)):
            place = at + 0.12 * (e - (k - 1) / 2)
            ax.errorbar(
                mean, place, xerr=critical(0.95) * se, fmt="o", ms=5, lw=1.5, color=color(e),
                label=f"expert {e + 1}",
            )  # fmt: skip
            ax.plot(mean, place, color=color(e), lw=0.8, alpha=0.5)
        ax.axvline(0.0, color="0.6", lw=0.8, zorder=0)
        ax.set_yticks(at, [label(name) for name in self.variables])
        ax.set_ylim(max(len(at), 1) - 0.5, -0.5)
        ax.set_xlabel("standard deviations from the mean of all rows", loc="right")  # below long names
        ax.set_title("Who the experts are")
        key_above(ax)


@dataclass
class ForestDisplay(Display):
    """Coefficients of the experts, or of the gate, with intervals: a row a term, a colour an expert.

    Attributes
    ----------
    terms : list of str
    rows : ndarray of shape (m,)
        The place of each coefficient among the terms.
    experts : ndarray of shape (m,)
    values, low, high : ndarray of shape (m,)
        NaN ends where there is no interval.
    part : {"expert", "gate"}
    unit : str
        What the coefficients are a change by.
    """

    terms: list[str]
    rows: np.ndarray
    experts: np.ndarray
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    part: str
    unit: str

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        part: str = "expert",
        *,
        cov: str = "observed",
        level: float = 0.95,
        ax: Any = None,
    ) -> Self:
        """Compute and draw; `cov` as in `inference`, and points alone where a fit has no standard errors."""
        model: Any = model_of(estimator)
        found = None
        if hasattr(estimator, "_covariance"):
            try:
                found = estimator._covariance(cov)
            except DataError:
                if cov != "observed":
                    raise
        else:
            found = model.covariances.get(cov)
        return cls.of(model, model.estimates(found), part, level).plot(ax=ax)

    @classmethod
    def of(
        cls,
        model: FittedModel | LocatedModel,
        estimates: Estimates,
        part: str = "expert",
        level: float = 0.95,
    ) -> Self:
        """From the estimates, not drawn yet: slopes per standard deviation of their column where each belongs
        to one, without intercepts and nuisances."""
        if part not in ("expert", "gate"):
            raise DataError(f"part={part!r} is unknown: choose expert or gate")
        spread = _spread(model, part)
        chosen = [i for i, t in enumerate(estimates.terms) if t.part == part and t.term in spread]
        if not chosen:
            raise DataError(f"the {part} has no slopes to draw")
        numbers = {} if estimates.matrix is None else estimates.numbers(level)[0]
        called = [
            ": ".join(filter(None, (estimates.terms[i].outcome, estimates.terms[i].term))) for i in chosen
        ]
        moved = {name for i, name in zip(chosen, called, strict=True) if estimates.values[i] or numbers}
        terms = [name for name in dict.fromkeys(called) if name in moved][:MOST]
        if not terms:
            raise DataError(f"every slope of the {part} is zero")
        keep = [(i, terms.index(name)) for i, name in zip(chosen, called, strict=True) if name in terms]
        scale = np.array([spread[estimates.terms[i].term] for i, _ in keep])
        nothing = [None] * len(estimates.terms)
        low, high = (
            np.array([numbers.get(n, nothing)[i] for i, _ in keep], dtype=float) for n in ("low", "high")
        )
        return cls(
            terms, np.array([row for _, row in keep]),
            np.array([estimates.terms[i].component for i, _ in keep]),
            scale * estimates.values[[i for i, _ in keep]], scale * low, scale * high, part,
            "a standard deviation of the column" if set(spread.values()) != {1.0} else "a unit of the column",
        )  # fmt: skip

    def _draw(self, ax: Any) -> None:
        experts = np.unique(self.experts)
        for i, e in enumerate(experts):
            own = self.experts == e
            place = self.rows[own] + 0.5 * ((i + 0.5) / len(experts) - 0.5)
            ax.hlines(place, self.low[own], self.high[own], color=color(e), lw=2)
            ax.plot(self.values[own], place, "o", color=color(e), ms=5, label=f"expert {e + 1}")
        ax.axvline(0.0, color="0.6", lw=0.8, zorder=0)
        ax.set_yticks(np.arange(len(self.terms)), [label(t) for t in self.terms])
        ax.set_ylim(len(self.terms) - 0.5, -0.5)
        inside = np.concatenate([self.values, *self._ends()])
        room = 0.06 * max(float(np.ptp(np.append(inside, 0.0))), 1e-12)
        ax.set_xlim(min(inside.min(), 0.0) - room, max(inside.max(), 0.0) + room)
        title = "Coefficients of the experts" if self.part == "expert" else "Coefficients of the gate"
        ax.set_xlabel(f"change by {self.unit}", loc="right")
        ax.set_title(title)
        key_above(ax)

    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        """Finite ends of intervals, none so far out that the others could not be read."""
        wide = 4 * max(float(np.ptp(np.append(self.values, 0.0))), 1e-12)
        ends = (a[np.isfinite(a)] for a in (self.low, self.high))
        low, high = (np.clip(a, self.values.min() - wide, self.values.max() + wide) for a in ends)
        return low, high


def _spread(model: FittedModel | LocatedModel, part: str) -> dict[str, float]:
    """Standard deviation of the column of each slope; one where the gate is not linear in its columns."""
    if isinstance(model, LocatedModel):
        if part == "gate":
            return {}
        names = model.design.expert_names
        if model.fit.specification.degree == 1:
            m = model.measure
            between = m.weights @ (m.means - m.weights @ m.means) ** 2
            total = between + m.weights @ np.diagonal(m.covariances, axis1=1, axis2=2)
            return dict(zip(names, np.sqrt(total).tolist(), strict=True))
        kept = [t.term for t in model.estimates().terms if t.part == "expert"]
        return {t: 1.0 for t in kept if "(" not in t}
    own, gate = model.units.x_scaling, model.units.z_scaling
    known = dict(zip(model.design.expert_names, own.scale.tolist(), strict=True))
    if part == "expert":
        return known
    linear = model.fit.model.gate.reference
    pairs = zip(model.design.gate_names, gate.scale.tolist(), strict=True)
    return {name: s if linear else 1.0 for name, s in pairs}


@dataclass
class PosteriorDisplay(Display):
    """Histogram of each expert's posterior over the rows, by the square root of the weight (a rootogram):
    mass near zero and one alone is a clear classification.

    Attributes
    ----------
    edges : ndarray of shape (b + 1,)
    weights : ndarray of shape (k, b)
    """

    edges: np.ndarray
    weights: np.ndarray

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any = None, y: Any = None, *, offset: Any = None, ax: Any = None
    ) -> Self:
        """Compute and draw, on the training rows or on (X, y)."""
        return cls.of(rows_of(estimator, X, y, offset=offset)).plot(ax=ax)

    @classmethod
    def of(cls, rows: Rows) -> Self:
        """From rows with their posteriors, not drawn yet."""
        edges = np.linspace(0.0, 1.0, BINS + 1)
        return cls(edges, np.array([np.histogram(p, edges, weights=rows.w)[0] for p in rows.r.T]))

    def _draw(self, ax: Any) -> None:
        k, width = len(self.weights), self.edges[1] - self.edges[0]
        for e, weight in enumerate(self.weights):
            left = self.edges[:-1] + width * (0.1 + 0.8 * e / k)
            ax.bar(
                left, np.sqrt(weight), 0.8 * width / k, align="edge", color=color(e), label=f"expert {e + 1}"
            )
        marks = _round_marks(float(self.weights.max(initial=1.0)))
        ax.set_yticks(np.sqrt(marks), [f"{v:g}" for v in marks])
        ax.set(
            xlabel="posterior probability", ylabel="rows (square-root scale)", xlim=(0, 1),
            title="How surely rows have their expert",
        )  # fmt: skip
        key_above(ax)


def _round_marks(top: float) -> list[float]:
    """Round numbers from zero to `top`, well apart on a square-root scale."""
    marks = [0.0]
    for value in (m * 10.0**p for p in range(-3, int(np.log10(top)) + 1) for m in (1, 2, 5)):
        if value <= top and np.sqrt(value) - np.sqrt(marks[-1]) > np.sqrt(top) / 7:
            marks.append(value)
    return marks
