"""What a model holds of its coefficients, equal or at a value, and in which order its experts stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .design import Scaling
from .errors import DataError
from .reading import from_numpy, number, whole
from .variances import EQUAL, Shared, groups_of, shared_by

INTERCEPT = "(intercept)"
LARGEST = 1e100  # of a fixed coefficient: its square beside a column's is a double
_NEEDS_K = " (of one expert only where n_experts is a number)"


@dataclass(frozen=True)
class Held:
    """A coefficient in the user's units that is held at a value.

    Attributes
    ----------
    part : {"expert", "gate"}
    expert : int or None
        None in every expert.
    predictor : int or None
        Of an expert's linear predictors, classes but the last; None for all.
    column : int
        0 is the intercept, then the columns of the part.
    value : float
    """

    part: str
    expert: int | None
    predictor: int | None
    column: int
    value: float


@dataclass(frozen=True)
class Constraints:
    """Linear constraints of a mixture of any number of experts, and the order of these.

    Attributes
    ----------
    common : tuple of int
        Columns of the experts, 0 the intercept, with the same coefficient in every expert.
    held : tuple of Held
    variances : "equal" or tuple of tuples of int
        Experts, from 0, that share the first of their nuisances, which is that of the dispersion.
    order_by : int, "mean" or None
        Experts stand in increasing order of the coefficient of this column, or of their mean at the average
        input; None is decreasing order of mass.
    reference : int or None
        The expert that the gate's coefficients are stated against; None is the last one.
    labelled : int
        Rows that say which expert they have: experts are then called by these labels.
    """

    common: tuple[int, ...] = ()
    held: tuple[Held, ...] = ()
    order_by: int | str | None = None
    labelled: int = 0
    reference: int | None = None
    variances: Shared = ()

    @property
    def symmetric(self) -> bool:
        """Whether experts may change places."""
        return (
            not self.labelled
            and self.variances in ((), EQUAL)
            and all(h.part == "expert" and h.expert is None for h in self.held)
        )

    def rows(
        self, model: Any, x_scaling: Scaling, z_scaling: Scaling, center: float, scale: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """C (m, P) and d (m,) of C theta = d, theta of scaled columns and of the response (y - center) /
        scale."""
        if not (self.common or self.held or self.variances):
            return np.zeros((0, model.size)), np.zeros(0)
        out: list[np.ndarray] = []
        values: list[float] = []
        x, z = scale * x_scaling.jacobian(), z_scaling.jacobian()
        has = [e for e in range(model.k) if model.law(e).predictors]

        def of_expert(e: int, c: int, j: int) -> np.ndarray:
            row = np.zeros(model.size)
            model.expert_coefficients(row)[e, c] = x[j]
            return row

        for h in self.held:
            if h.part == "gate":
                if h.expert is not None and h.expert < model.n_gate:
                    row = np.zeros(model.size)
                    model.gate_coefficients(row)[h.expert] = z[h.column]
                    out.append(row)
                    values.append(h.value)
                continue
            for e in has if h.expert is None else [h.expert] if h.expert < model.k else []:
                for c in range(model.m) if h.predictor is None else [h.predictor]:
                    out.append(of_expert(e, c, h.column))
                    values.append(h.value - (center if h.column == 0 else 0.0))
        for j in self.common:
            for c in range(model.m):
                for a, b in pairwise(has):
                    out.append(of_expert(a, c, j) - of_expert(b, c, j))
                    values.append(0.0)
        for members in groups_of(self.variances, model.k):
            for a, b in pairwise(members):
                row = np.zeros(model.size)
                model.nuisances(row)[[a, b], 0] = 1.0, -1.0
                out.append(row)
                values.append(0.0)
        return np.array(out).reshape(-1, model.size), np.array(values)

    def order(self, model: Any, theta: np.ndarray, mass: np.ndarray) -> np.ndarray:
        """The order (k,) of the experts of theta that is wanted."""
        if self.order_by is None:
            return np.argsort(-mass, kind="stable")
        coefficients = model.expert_coefficients(theta)
        if self.order_by == "mean":
            parts = [coefficients[:, :, 0], model.nuisances(theta)]
            parts += [np.arange(model.k)[:, None]] * bool(model.family.members)
            return np.argsort(model.family.mean(np.concatenate(parts, axis=1)), kind="stable")
        return np.argsort(coefficients[:, 0, int(self.order_by)], kind="stable")

    @classmethod
    def read(
        cls,
        experts: Sequence[str],
        gate: Sequence[str],
        classes: Sequence[Any] = (),
        k: int | None = None,
        common: Sequence[str] | None = None,
        fixed: Mapping[str, float] | None = None,
        order_by: str | None = None,
        reference_expert: int | None = None,
        variances: Any = None,
        labelled: int = 0,
        marked: Sequence[str] = (),
    ) -> Constraints:
        """What the words of an estimator, and the formula that has `marked` columns in common, say of columns
        with these names; `k` experts, None where that is to be chosen."""
        common = from_numpy(common)
        if isinstance(common, str):
            raise DataError(f"common must be a list of columns, got {common!r}")
        named = [j for name in (*(common or ()), *marked) for j in _columns(name, experts, "common")]
        if fixed is not None and not isinstance(fixed, Mapping):
            raise DataError(f"fixed must map coefficients to values, such as {{'x1': 0.0}}, got {fixed!r}")
        held = []
        if fixed:
            known = _labels(experts, gate, classes, k)
            for label, value in fixed.items():
                if label not in known:
                    raise DataError(
                        f"fixed names '{label}', which is no coefficient: these are "
                        f"{', '.join(list(known)[:8])}, ..." + ("" if k else _NEEDS_K)
                    )
                value = from_numpy(value)
                if isinstance(value, bool) or not isinstance(value, int | float) or not np.isfinite(value):
                    raise DataError(f"fixed holds '{label}' at {value!r}: give a finite number")
                if abs(value) > LARGEST:
                    raise DataError(f"fixed holds '{label}' at {value:g}, too large for double precision")
                held.append(Held(*known[label], float(value)))
        order = _order(order_by, experts, classes)
        reference = _reference(reference_expert, k)
        if reference is not None and any(h.part == "gate" for h in held):
            raise DataError("a fixed gate is stated against the last expert: leave out reference_expert")
        shared = shared_by(variances, k)
        out = cls(tuple(dict.fromkeys(named)), tuple(held), order, labelled, reference, shared)
        if order is not None and not out.symmetric:
            raise DataError(
                "order_by has nothing to order where rows say which expert they have, a coefficient of one "
                "expert is fixed, or variances are in groups: leave it out"
            )
        if order in out.common or any(h.column == order for h in held):
            raise DataError(
                f"order_by={order_by!r} orders nothing: this coefficient is the same in all experts"
            )
        return out

    def sentences(self, experts: Sequence[str], gate: Sequence[str], classes: Sequence[Any]) -> list[str]:
        """What is held, in words."""
        out = []
        if self.common:
            names = [([INTERCEPT, *experts])[j] for j in self.common]
            out.append(f"the same in every expert: {', '.join(names)}")
        if self.held:
            texts = []
            for h in self.held:
                columns = experts if h.part == "expert" else gate
                parts = ["gate"] * (h.part == "gate") + ([] if h.expert is None else [str(h.expert + 1)])
                parts += [] if h.predictor is None else [str(classes[h.predictor])]
                texts.append(f"{':'.join([*parts, [INTERCEPT, *columns][h.column]])} = {h.value:g}")
            out.append(f"fixed: {', '.join(texts)}")
        if self.variances == EQUAL:
            out.append("one dispersion for all experts")
        elif self.variances and not isinstance(self.variances, str):
            groups = [" and ".join(str(e + 1) for e in group) for group in self.variances]
            out.append(f"one dispersion for experts {', and one for experts '.join(groups)}")
        if self.order_by is not None:
            by = self.order_by if isinstance(self.order_by, str) else [INTERCEPT, *experts][self.order_by]
            out.append(f"experts in the order of their {'mean' if by == 'mean' else f'coefficient of {by}'}")
        if self.labelled:
            out.append(f"experts that rows are known to have: {self.labelled} rows")
        return out

    def to_dict(self) -> dict[str, Any]:
        """JSON description."""
        held = [[h.part, h.expert, h.predictor, h.column, h.value] for h in self.held]
        return {
            "common": list(self.common), "held": held, "order_by": self.order_by, "labelled": self.labelled,
            "reference": self.reference, "variances": self.variances,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, data: dict[str, Any], experts: int, gate: int, k: int, predictors: int) -> Constraints:
        """Inverse of `to_dict`, of a model with so many columns of experts and gate."""
        held = []
        for part, expert, predictor, column, value in data["held"]:
            if part not in ("expert", "gate"):
                raise DataError("the model file holds a coefficient of an unknown part")
            most = experts if part == "expert" else gate
            e = None if expert is None else whole(expert, "expert", 0, k - 1)
            c = None if predictor is None else whole(predictor, "outcome", 0, predictors - 1)
            held.append(Held(part, e, c, whole(column, "column", 0, most), number(value, "fixed value")))
        order = data["order_by"]
        order = order if order in (None, "mean") else whole(order, "column", 0, experts)
        common = tuple(whole(j, "column", 0, experts) for j in data["common"])
        labelled, r = whole(data["labelled"], "number of labels", 0, 2**53), data["reference"]
        shared = data.get("variances", ())  # not in older files
        if shared != EQUAL:
            shared = tuple(tuple(whole(e, "expert", 0, k - 1) for e in group) for group in shared)
        reference = None if r is None else whole(r, "expert", 0, k - 1)
        return cls(common, tuple(held), order, labelled, reference, shared)


def _columns(name: Any, names: Sequence[str], what: str) -> list[int]:
    """Places of a column, of all levels of a category, or of the intercept."""
    if name == INTERCEPT:
        return [0]
    found = [j for j, n in enumerate(names, 1) if n == name or n.startswith(f"{name}[T.")]
    if not found:
        raise DataError(
            f"{what} names {name!r}, which is no column of the experts: these are {', '.join(names)}"
        )
    return found


def _labels(
    experts: Sequence[str], gate: Sequence[str], classes: Sequence[Any], k: int | None
) -> dict[str, tuple[str, int | None, int | None, int]]:
    """What each label of a coefficient means: "x1" of every expert, "2:x1", "2:B:x1" of an outcome,
    "gate:1:z"."""
    out: dict[str, tuple[str, int | None, int | None, int]] = {}
    outcomes: list[tuple[str, int | None]] = [("", None)]
    outcomes += [(f"{c}:", i) for i, c in enumerate(classes[:-1])]
    for e in (None, *range(k or 0)):
        for prefix, outcome in outcomes:
            for j, name in enumerate([INTERCEPT, *experts]):
                out.setdefault(("" if e is None else f"{e + 1}:") + prefix + name, ("expert", e, outcome, j))
    for e in range((k or 1) - 1):
        for j, name in enumerate([INTERCEPT, *gate]):
            out.setdefault(f"gate:{e + 1}:{name}", ("gate", e, None, j))
    return out


def _reference(reference: Any, k: int | None) -> int | None:
    if reference is None:
        return None
    whole_number = isinstance(reference, int | np.integer) and not isinstance(reference, bool)
    if k is None or not whole_number or not 1 <= reference <= k:
        most = f"1 to {k}" if k else "1 to n_experts, which must be a number"
        raise DataError(f"reference_expert={reference!r} must be an expert from {most}")
    return None if reference == k else int(reference) - 1


def _order(order_by: Any, experts: Sequence[str], classes: Sequence[Any]) -> int | str | None:
    if order_by is None or order_by == "share":
        return None
    if order_by == "mean":
        if classes:
            raise DataError("order_by='mean' needs a response of numbers: name a column, or use 'share'")
        return "mean"
    found = _columns(order_by, experts, "order_by")
    if len(found) > 1:
        raise DataError(f"order_by={order_by!r} has several coefficients: name one of its levels")
    return found[0]
