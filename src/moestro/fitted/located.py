"""A fitted located model with the names of its columns, and the file it is kept in."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..design import Design, design_from_dict
from ..errors import DataError
from ..inference import KINDS, LocatedCovariance, Terms
from ..located import LocatedFit, LocatedMeasure, Specification
from ..search import Evidence
from ..solvers import Status, StatusKind
from ..tables import Table
from .file import write_file
from .values import decode, encode

FORMAT = "moestro.located-model/1"
NUMBERS = ("log_likelihood", "gradient_norm", "weight_sum", "entropy")


@dataclass(frozen=True)
class LocatedModel:
    """A design, a fit and, once it was asked for, the covariance of the estimates.

    Attributes
    ----------
    design : Design
    responses : tuple of str
    single : bool
        Whether the response is one column (n,), not (n, 1).
    fit : LocatedFit
    covariance : LocatedCovariance or None
    """

    design: Design
    responses: tuple[str, ...]
    single: bool
    fit: LocatedFit
    covariance: LocatedCovariance | None = None

    @cached_property
    def terms(self) -> Terms:
        """What a coefficient table lists."""
        return Terms.of(self.fit.measure, self.fit.specification)

    def to_dict(self) -> dict[str, Any]:
        """JSON description: numbers in the user's units."""
        fit, c = self.fit, self.covariance
        return {
            "format": FORMAT,
            "design": self.design.to_dict(),
            "responses": list(self.responses),
            "single": self.single,
            "specification": asdict(fit.specification),
            "measure": fit.fitted.to_dict(),
            "fit": {
                **{name: float(getattr(fit, name)) for name in NUMBERS},
                "status": {
                    "kind": fit.status.kind.value, "sentence": fit.status.sentence,
                    "experts": list(fit.status.experts),
                },
                "n_iter": fit.n_iter,
                "mass": fit.mass.tolist(),
                "starts": _encoded(fit.starts),
                "history": _encoded(fit.history),
                "evidence": None if fit.evidence is None else fit.evidence.to_dict(),
            },
            "covariance": None if c is None else {
                "kind": c.kind, "matrix": c.matrix.tolist(), "notes": list(c.notes)
            },
        }  # fmt: skip

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as JSON, whole or not at all."""
        write_file(path, self.to_dict())

    @classmethod
    def from_dict(cls, data: Any) -> LocatedModel:
        """Inverse of `to_dict`."""
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise DataError(f"not a located model: expected format '{FORMAT}'")
        spec = Specification(**{**data["specification"], "blocks": _tuples(data["specification"]["blocks"])})
        fitted = LocatedMeasure.from_dict(data["measure"])
        f, s = data["fit"], data["fit"]["status"]
        inverted = spec.direction == "inverse"
        measure = fitted.inverse() if inverted else fitted
        mass = _finite(f["mass"], (fitted.k,), "masses")
        numbers: dict[str, Any] = {name: float(_finite(f[name], (), name)) for name in NUMBERS}
        fit = LocatedFit(
            measure=measure, fitted=fitted, specification=spec, mass=mass, n_iter=int(f["n_iter"]),
            n_parameters=spec.n_parameters(fitted.k, fitted.d, fitted.q),
            status=Status(StatusKind(s["kind"]), str(s["sentence"]), tuple(int(e) for e in s["experts"])),
            starts=_table(f["starts"]), history=_table(f["history"]), **numbers,
            evidence=None if f["evidence"] is None else Evidence.from_dict(f["evidence"]),
        )  # fmt: skip
        design = design_from_dict(data["design"])
        responses = tuple(str(name) for name in data["responses"])
        _agrees("columns", len(design.expert_names), measure.d)
        _agrees("responses", len(responses), measure.q)
        if bool(data["single"]) and measure.q != 1:
            raise DataError("the model file has several responses and says that there is one")
        if spec.student != (fitted.degrees_of_freedom is not None) or spec.degree != fitted.degree:
            raise DataError("the model file's measure is not of its specification")
        model = cls(design, responses, bool(data["single"]), fit)
        return cls(design, responses, model.single, fit, _covariance(data["covariance"], model.terms))


def _covariance(data: Any, terms: Terms) -> LocatedCovariance | None:
    if data is None:
        return None
    if data["kind"] not in KINDS:
        raise DataError(f"unknown kind of covariance {data['kind']!r} in the model file")
    size = len(terms.names([""] * terms.d, [""] * terms.q))
    matrix = _finite(data["matrix"], (size, size), "covariances")
    notes = tuple(str(n) for n in data["notes"])
    _agrees("notes", len(notes), size)
    if (np.diag(matrix) < 0).any() or not np.allclose(matrix, matrix.T, rtol=1e-6, atol=1e-300):
        raise DataError("the covariance of the estimates in the model file is no covariance matrix")
    return LocatedCovariance(matrix, notes, str(data["kind"]))


def _finite(values: Any, shape: tuple[int, ...], what: str) -> np.ndarray:
    out = np.array(values, dtype=float)
    if out.shape != shape or not np.isfinite(out).all():
        raise DataError(f"the model file's {what} must be finite numbers of shape {shape}")
    return out


def _agrees(what: str, found: int, expected: int) -> None:
    if found != expected:
        raise DataError(f"the model file has {found} {what}, expected {expected}")


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def _encoded(table: Table) -> dict[str, Any]:
    return {name: encode(list(cells), "the table") for name, cells in table.columns.items()}


def _table(data: dict[str, list[Any]]) -> Table:
    if len({len(cells) for cells in data.values()}) > 1:
        raise DataError("a table in the model file has columns of unequal length")
    return Table({str(name): decode(cells) for name, cells in data.items()})
