"""Rows held in memory, read in blocks, never copied whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..design.scaling import Scaling
from .block import Block
from .groups import Groups, merge_groups
from .order import merge_rows, row_keys, shuffled

LOOKED_AT = 100_000  # rows that say how the response was rounded


@dataclass(frozen=True)
class Rows:
    """Expert columns x, gate columns z, response y and weights w, with their scaling.

    What has one expert is a *unit*: a row, or a group of rows. The likelihood is a product over units, so
    weights, subsets and orders are of units; u is their number.

    Attributes
    ----------
    x : ndarray of shape (n, d)
        Columns of the experts, in the user's units and layout.
    z : ndarray of shape (n, e) or None
        Columns of the gate, constant within a group; None where gate and experts share ``x``.
    y : ndarray of shape (n,)
        Response: a number, or the index of a class as a float.
    w : ndarray of shape (u,) or None
        Sample weights; None means one each.
    x_scaling, z_scaling : Scaling
    y_center, y_scale : float
        The response that experts see is ``(y - y_center) / y_scale``.
    groups : Groups or None
        None where every row has an expert of its own.
    known : ndarray of shape (n, 1 or 2) or None
        What is known of the linear predictors: the offset that is added to them, in the user's units, and the
        trials in which y counts successes.
    labels : ndarray of int, shape (u,), or None
        The expert that a unit is known to have, -1 where it is not known.
    """

    x: np.ndarray
    z: np.ndarray | None
    y: np.ndarray
    w: np.ndarray | None
    x_scaling: Scaling
    z_scaling: Scaling
    y_center: float = 0.0
    y_scale: float = 1.0
    groups: Groups | None = None
    known: np.ndarray | None = None
    labels: np.ndarray | None = None

    @property
    def n(self) -> int:
        return self.x.shape[0]

    @property
    def at_hand(self) -> Rows:
        """The rows that are in memory: all of them."""
        return self

    @property
    def n_present(self) -> int:
        """Rows with a weight above zero."""
        return self.n if self.row_weights is None else int(np.count_nonzero(self.row_weights))

    @property
    def units_present(self) -> int:
        """Units with a weight above zero."""
        return self.n_units if self.w is None else int(np.count_nonzero(self.w))

    def checked(self, check: Callable[[np.ndarray], None]) -> None:
        """`check` the responses of the rows that are present."""
        w = self.row_weights
        check(self.y if w is None else self.y[w > 0])

    @property
    def n_units(self) -> int:
        return self.n if self.groups is None else self.groups.count

    @property
    def group_sizes(self) -> tuple[int, int, int] | None:
        """Number, least and most rows of the groups that are present."""
        return None if self.groups is None else self.groups.described(self.w)

    @property
    def inputs(self) -> np.ndarray:
        """The experts' columns and, last, what is known: what a fitted model predicts from."""
        return self.x if self.known is None else np.column_stack([self.x, self.known])

    @property
    def scaled_known(self) -> np.ndarray | None:
        """`known` (n, c) beside the scaled response."""
        if self.known is None or self.y_scale == 1.0:
            return self.known
        return np.column_stack([self.known[:, :1] / self.y_scale, self.known[:, 1:]])

    @property
    def shared(self) -> bool:
        """Whether the gate reads the experts' columns."""
        return self.z is None

    @property
    def p(self) -> int:
        return self.x.shape[1] + 1

    @property
    def q(self) -> int:
        return (self.x if self.z is None else self.z).shape[1] + 1

    @property
    def response_scaling(self) -> tuple[float, float]:
        """Centre and scale of the response."""
        return self.y_center, self.y_scale

    @property
    def weight_sum(self) -> float:
        """Of the units."""
        return float(self.n_units if self.w is None else self.w.sum())

    @cached_property
    def row_weights(self) -> np.ndarray | None:
        """Weights of the rows, (n,): each has its unit's; None means one each."""
        return self.w if self.w is None or self.groups is None else self.groups.expand(self.w)

    @property
    def row_weight_sum(self) -> float:
        return float(self.n if self.row_weights is None else self.row_weights.sum())

    @cached_property
    def spacing(self) -> float:
        """How finely the response is recorded, in the user's units: the median over rows of the distance to
        the nearest other value that half as many rows have, where at least half of the rows share theirs with
        another row; else 0. (People round to different multiples: beside a heap lie values of a few rows.)"""
        step = self.n // LOOKED_AT + 1
        y, w = self.y[::step], self.row_weights
        values, count = np.unique(y if w is None else y[w[::step] > 0], return_counts=True)
        if len(values) < 2 or 2 * count[count > 1].sum() < count.sum():
            return 0.0
        nearest = np.empty(len(values))
        for c in np.unique(count):
            common, at = values[2 * count >= c], count == c
            common = common if len(common) > 1 else values  # a heap that has no equal
            gap = np.r_[np.inf, np.diff(common), np.inf]
            i = np.searchsorted(common, values[at])
            nearest[at] = np.minimum(gap[i], gap[i + 1])
        order = np.argsort(nearest)
        middle = np.searchsorted(np.cumsum(count[order]), count.sum() / 2)
        return float(nearest[order][middle])

    def _cuts(self, size: int) -> Iterator[tuple[slice, slice, Groups | None]]:
        """Consecutive rows, their units and groups, about `size` rows at a time; a unit is never split."""
        if self.groups is None:
            for start in range(0, self.n, size):
                at = slice(start, min(start + size, self.n))
                yield at, at, None
            return
        for units in self.groups.cuts(size):
            rows = slice(int(self.groups.offsets[units.start]), int(self.groups.offsets[units.stop]))
            yield rows, units, self.groups.part(units)

    def blocks(self, size: int = 4096) -> Iterator[Block]:
        """Cut the rows into scaled blocks."""
        known = self.scaled_known
        for at, units, groups in self._cuts(size):
            x = self.x_scaling.apply(self.x[at])
            first = slice(None) if groups is None else groups.first
            z = x[first] if self.z is None else self.z_scaling.apply(self.z[at][first])
            y = (self.y[at] - self.y_center) / self.y_scale
            w = np.ones(units.stop - units.start) if self.w is None else self.w[units]
            yield Block(x, z, y, w, units, groups, None if known is None else known[at])

    def parts(self, size: int) -> Iterator[Rows]:
        """Consecutive pieces of about `size` rows as views, without copies."""
        for at, units, groups in self._cuts(size):
            yield replace(
                self,
                x=self.x[at],
                z=None if self.z is None else self.z[at],
                y=self.y[at],
                w=None if self.w is None else self.w[units],
                groups=groups,
                known=None if self.known is None else self.known[at],
                labels=None if self.labels is None else self.labels[units],
            )

    def take(self, index: np.ndarray) -> Rows:
        """Units `index` as a copy, with the same scaling."""
        rows, groups = (index, None) if self.groups is None else self.groups.take(index)
        labels = None if self.labels is None else self.labels[index]
        return self._copy(rows, groups, None if self.w is None else self.w[index], labels)

    def _copy(
        self, rows: np.ndarray, groups: Groups | None, w: np.ndarray | None, labels: np.ndarray | None
    ) -> Rows:
        return replace(
            self,
            x=np.ascontiguousarray(self.x[rows]),
            z=None if self.z is None else np.ascontiguousarray(self.z[rows]),
            y=self.y[rows],
            w=w,
            groups=groups,
            known=None if self.known is None else self.known[rows],
            labels=labels,
        )

    def merged(self) -> Rows:
        """Distinct units in an order of their content, equal ones merged by adding their weights, weight 0
        dropped.

        The likelihood is the same function; its value no longer depends on the order of rows or on whether a
        unit is weighted twice or written twice.
        """
        return self._merged

    @cached_property
    def _merged(self) -> Rows:
        labels = None if self.labels is None else self.labels.astype(float)
        if self.groups is not None:
            own = None if labels is None else self.groups.expand(labels)
            columns = np.column_stack([a for a in (self.y, self.inputs, self.z, own) if a is not None])
            rows, groups, w = merge_groups(columns, self.groups, self.w)
            kept = None if own is None else own[rows[groups.first]].astype(int)
            return self._copy(rows, groups, w, kept)
        z = self.z
        if labels is not None:  # rows are equal whose labels are
            z = labels[:, None] if z is None else np.column_stack([z, labels])
        index, w = merge_rows(self.inputs, z, self.y, self.w)
        return self._copy(index, None, w, None if self.labels is None else self.labels[index])

    @classmethod
    def plain(
        cls,
        x: np.ndarray,
        z: np.ndarray | None,
        y: np.ndarray,
        w: np.ndarray | None,
        groups: Groups | None = None,
        known: np.ndarray | None = None,
        labels: np.ndarray | None = None,
    ) -> Rows:
        """Rows in the user's units."""
        x_unit, z_unit = (
            Scaling(np.zeros(a.shape[1]), np.ones(a.shape[1])) for a in (x, x if z is None else z)
        )
        return cls(x, z, y, w, x_unit, z_unit, groups=groups, known=known, labels=labels)

    def on(self, x_scaling: Scaling, z_scaling: Scaling, y_center: float, y_scale: float) -> Rows:
        """The same rows with another scaling; those that are distinct are not looked for again."""
        out = replace(self, x_scaling=x_scaling, z_scaling=z_scaling, y_center=y_center, y_scale=y_scale)
        if "_keys" in self.__dict__:
            out.__dict__["_keys"] = self._keys
        if "_merged" in self.__dict__:
            out.__dict__["_merged"] = self._merged.on(x_scaling, z_scaling, y_center, y_scale)
        return out

    @cached_property
    def _keys(self) -> np.ndarray:
        columns = [self.y, *self.inputs.T, *(() if self.z is None else self.z.T)]
        return row_keys(columns, self.groups)


def sample_rows(rows: Rows, seed: np.random.SeedSequence, most: int | None = None) -> np.ndarray:
    """A random order of the units that depends on what is in them, not on where they stand: indices (u,), of
    which the first `most` are in their place."""
    return shuffled(rows._keys, seed, most)
