"""What a penalty states: its weights on every slope. Values, distances and strengths follow from them.

    P(s) = sum_j l1_j |s_j| + 1/2 sum_j l2_j s_j^2 + sum_g w_g ||s_g||_2

Intercepts and variances are free. What is minimised is -L / n + alpha P, L the observed log-likelihood and n
the sum of weights.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from ..errors import DataError

SCALES = ("expert", "response")


@dataclass(frozen=True)
class Layout:
    """The slopes of a mixture in one vector: gate (columns, scores) first, then experts (columns,
    predictors), each row by row.

    A softmax is penalised symmetrically: three or more experts have one score each (and three or more classes
    one predictor each), so that no label is special; two have one difference.

    Attributes
    ----------
    gate_names, expert_names : tuple of str
        Columns of each side; a column in both has one name.
    scores : int
        Scores of the gate that carry slopes: 0 for one expert, 1 for two, k for more.
    predictors : int
        Of all experts together.
    gate_unit, expert_unit : ndarray of shape (q,), (p,)
        Size of one user's unit of slope in scaled coordinates: 1 where the penalty is on scaled columns.
    n : float
        Sum of weights.
    """

    gate_names: tuple[str, ...]
    expert_names: tuple[str, ...]
    scores: int
    predictors: int
    gate_unit: np.ndarray
    expert_unit: np.ndarray
    n: float = 1.0

    @property
    def n_gate(self) -> int:
        """Slopes of the gate."""
        return len(self.gate_names) * self.scores

    @property
    def size(self) -> int:
        """All slopes."""
        return self.n_gate + len(self.expert_names) * self.predictors

    def expand(self, gate: np.ndarray, experts: np.ndarray) -> np.ndarray:
        """One value a slope from one a column: (q,) and (p,) to (size,)."""
        return np.concatenate([np.repeat(gate, self.scores), np.repeat(experts, self.predictors)])

    def columns(self) -> tuple[np.ndarray, tuple[str, ...]]:
        """Number of the column of each slope (size,), and the columns' names: gate and experts share a column
        by its name."""
        names = tuple(dict.fromkeys((*self.gate_names, *self.expert_names)))
        number = {name: i for i, name in enumerate(names)}
        gate = np.array([number[n] for n in self.gate_names], dtype=int)
        experts = np.array([number[n] for n in self.expert_names], dtype=int)
        return self.expand(gate, experts), names


@dataclass(frozen=True)
class Terms:
    """Weights of a penalty on the slopes.

    Attributes
    ----------
    l1, l2 : ndarray of shape (size,)
    group : ndarray of int, shape (size,)
        -1 for none.
    group_weight : ndarray of shape (groups,)
    """

    l1: np.ndarray
    l2: np.ndarray
    group: np.ndarray
    group_weight: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @classmethod
    def of(cls, size: int, l1: Any = 0.0, l2: Any = 0.0) -> Terms:
        """Terms without groups."""
        full = np.zeros(size)
        return cls(full + l1, full + l2, np.full(size, -1))

    def scaled(self, alpha: float) -> Terms:
        """alpha times the penalty."""
        return replace(self, l1=alpha * self.l1, l2=alpha * self.l2, group_weight=alpha * self.group_weight)

    def take(self, at: np.ndarray) -> Terms:
        """The terms of some slopes; of a group all or none must be among them."""
        return replace(self, l1=self.l1[at], l2=self.l2[at], group=self.group[at])

    def norms(self, s: np.ndarray) -> np.ndarray:
        """||s_g|| of each group."""
        own = self.group >= 0
        return np.sqrt(np.bincount(self.group[own], weights=s[own] ** 2, minlength=len(self.group_weight)))

    def value(self, s: np.ndarray) -> float:
        """P(s)."""
        out = float(self.l1 @ np.abs(s) + 0.5 * self.l2 @ s**2)
        return out + float(self.group_weight @ self.norms(s)) if len(self.group_weight) else out

    def violation(self, s: np.ndarray, g: np.ndarray) -> np.ndarray:
        """Distance of -g to the subdifferential of P at s, coordinate by coordinate (a group's norm at each
        of its slopes).

        Parameters
        ----------
        s : ndarray of shape (size,)
        g : ndarray of shape (size,)
            Gradient of the smooth part.
        """
        total = g + self.l2 * s
        zero = s == 0
        soft = np.sign(total) * np.maximum(np.abs(total) - self.l1, 0.0)
        out = np.where(zero, np.abs(soft), np.abs(total + self.l1 * np.sign(s)))
        own = self.group >= 0
        if own.any():
            norms = self.norms(s)
            at = self.group[own]
            dead = norms == 0
            safe = np.where(dead, 1.0, norms)
            inside = total[own] + self.group_weight[at] * s[own] / safe[at]
            # Within a living group a slope may still be zero by its own l1.
            alive = np.where(
                zero[own],
                np.maximum(np.abs(inside) - self.l1[own], 0.0),
                np.abs(inside + self.l1[own] * np.sign(s[own])),
            )
            whole = np.maximum(self.norms(soft) - self.group_weight, 0.0)
            out[own] = np.where(dead[at], whole[at], alive)
        return out

    def strength(self, g: np.ndarray) -> float:
        """Smallest alpha at which s = 0 satisfies the optimality condition, for the gradient g at zero;
        infinite where no alpha does."""
        own = self.group >= 0
        plain = ~own & (self.l1 > 0)
        if (~own & (self.l1 <= 0) & (g != 0)).any():
            return np.inf
        out = float(np.max(np.abs(g[plain]) / self.l1[plain], initial=0.0))
        for i in np.unique(self.group[own]):
            at = self.group == i
            out = max(out, _group_strength(np.abs(g[at]), self.l1[at], float(self.group_weight[i])))
        return out

    def with_groups(self, at: np.ndarray) -> np.ndarray:
        """Boolean (size,): `at` and every slope that shares a group with it."""
        if not len(self.group_weight):
            return at
        chosen = np.zeros(len(self.group_weight) + 1, dtype=bool)
        chosen[self.group[at]] = True
        chosen[-1] = False
        return at | chosen[self.group]


def _group_strength(g: np.ndarray, l1: np.ndarray, w: float) -> float:
    """alpha with ||soft(g, alpha l1)|| = alpha w."""
    if not np.any(l1):
        return float(np.linalg.norm(g)) / w
    low, high = 0.0, float(np.linalg.norm(g)) / w
    for _ in range(100):
        middle = 0.5 * (low + high)
        if np.linalg.norm(np.maximum(g - middle * l1, 0.0)) > middle * w:
            low = middle
        else:
            high = middle
    return high


@dataclass(frozen=True)
class Penalty(ABC):
    """A penalty of one strength; a new one is a file with `terms`, and a line in `PENALTIES`.

    Parameters
    ----------
    alpha : float or None
        Strength, beside the mean log-likelihood of a row; None: a path is fitted and a criterion chooses.
    standardize : bool
        Slopes of columns with standard deviation one; False: of the user's columns.
    scale : {"expert", "response"}
        What slopes of a Gaussian expert are divided by: its own standard deviation (Städler, Bühlmann and van
        de Geer, 2010), or the response's (with standardize=False: nothing). The second penalises an expert
        less the better it fits: with more columns than rows its objective has no bound, and fits run to the
        floor of the variance.
    refit : bool
        Fit the chosen slopes again without penalty.
    """

    sparse: ClassVar[bool] = True  # sets slopes to zero

    alpha: float | None = None
    _: KW_ONLY
    standardize: bool = True
    scale: str = "expert"
    refit: bool = False

    def __post_init__(self) -> None:
        check_strength(self.alpha)
        if self.scale not in SCALES:
            raise DataError(f"scale={self.scale!r} is unknown: choose one of {', '.join(SCALES)}")

    @abstractmethod
    def terms(self, layout: Layout) -> Terms:
        """Weights at strength one."""

    def theoretical(self, layout: Layout, k: int) -> float | None:
        """A strength that the theory gives for k experts, where the penalty has one."""
        return None


@dataclass(frozen=True)
class TwoStrengths(Penalty):
    """A penalty whose strength on the gate's slopes is `gate_ratio` times alpha."""

    gate_ratio: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_strength(self.gate_ratio, "gate_ratio", none=False)

    def weights(self, layout: Layout) -> np.ndarray:
        """Weight of each slope: its unit, times gate_ratio in the gate."""
        return layout.expand(self.gate_ratio * layout.gate_unit, layout.expert_unit)


def check_strength(alpha: Any, name: str = "alpha", none: bool = True) -> None:
    """Refuse a strength that is negative, infinite or no number."""
    if alpha is None and none:
        return
    if isinstance(alpha, bool) or not isinstance(alpha, int | float | np.number) or not 0 <= alpha < np.inf:
        raise DataError(f"{name} must be a number of at least 0, got {alpha!r}")


def group_names(groups: Sequence[Sequence[str]], names: tuple[str, ...]) -> list[list[int]]:
    """Column numbers of each named group; every other column is a group of its own."""
    number = {name: i for i, name in enumerate(names)}
    out, used = [], set()
    for group in groups:
        columns = [group] if isinstance(group, str) else list(group)
        if not columns:
            raise DataError("a group names no column")
        for name in columns:
            if str(name) not in number:
                raise DataError(
                    f"a group names '{name}', which is not a column: the columns are {_some(names)}"
                )
            if str(name) in used:
                raise DataError(f"column '{name}' is in two groups")
            used.add(str(name))
        out.append([number[str(name)] for name in columns])
    return out + [[number[name]] for name in names if name not in used]


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
