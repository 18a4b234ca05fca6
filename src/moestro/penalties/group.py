"""Groups of columns that leave gate and all experts together (Yuan and Lin, 2006)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import DataError
from .base import Layout, Penalty, Terms, group_names


@dataclass(frozen=True)
class GroupLasso(Penalty):
    """alpha sum_g sqrt(size of g) ||slopes of the columns of g in gate and experts||.

    Parameters
    ----------
    groups : tuple of tuples of str
        Columns by name; each column that is not named is a group of its own. A column has all its slopes, in
        the gate and in every expert, in one group: it is selected or not.
    alpha, standardize, scale, refit
        As in `L1`.

    Examples
    --------
    >>> from moestro.penalties import GroupLasso
    >>> GroupLasso(0.1, groups=(("age", "age2"),)).groups
    (('age', 'age2'),)
    """

    groups: tuple[tuple[str, ...], ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.groups, str):
            raise DataError("groups must be a list of lists of column names")

    def terms(self, layout: Layout) -> Terms:
        column, names = layout.columns()
        groups = group_names(self.groups, names)
        number = np.empty(len(names), dtype=int)
        for i, members in enumerate(groups):
            number[members] = i
        group = number[column]
        weight = np.sqrt(np.bincount(group, minlength=len(groups)))
        if not self.standardize:  # one norm has one unit: the mean of its columns'
            unit = layout.expand(layout.gate_unit, layout.expert_unit)
            weight = weight * np.bincount(group, weights=unit, minlength=len(groups)) / np.bincount(group)
        return Terms(np.zeros(layout.size), np.zeros(layout.size), group, weight)
