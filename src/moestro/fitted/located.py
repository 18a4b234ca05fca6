"""A fitted located model with the names of its columns, and the file it is kept in."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from ..design import Design, FormulaDesign, Observations, design_from_dict
from ..design.holes import Dropped
from ..distribution import PredictiveDistribution
from ..errors import DataError, quiet
from ..inference import (
    FORMULAS,
    KINDS,
    Estimates,
    LocatedCovariance,
    Request,
    Terms,
    located_covariance,
    located_estimates,
    located_refitted,
)
from ..inference.atoms import Moved
from ..inference.delta import STEP, by_directions, refuse_unknown
from ..inference.influence import located_influence
from ..located import LocatedFit, LocatedLaw, LocatedMeasure, Specification
from ..reading import check_format, flag, number, numbers, texts, whole
from ..selection import Dendrogram
from .file import write_file
from .outputs import finite, no_nan
from .parts import agrees, fit_from_dict, fit_to_dict, from_triangle, is_symmetric, triangle
from .sample import Sample

FORMAT = "moestro.located-model/2"
FIRST = "moestro.located-model/1"  # has one covariance or none, as a whole matrix, and no estimator's words


@dataclass(frozen=True)
class LocatedModel:
    """A fitted located model that predicts from the user's data.

    Attributes
    ----------
    design : Design
    responses : tuple of str
    single : bool
        Whether the response is one column (n,), not (n, 1).
    fit : LocatedFit
    covariances : mapping of str to LocatedCovariance
        Of the estimates, by their kind, where they were computed before.
    sample : Sample or None
        The rows of the fit.
    dropped : Dropped or None
        Rows left out for missing values; None where these are refused.
    """

    design: Design
    responses: tuple[str, ...]
    single: bool
    fit: LocatedFit
    covariances: Mapping[str, LocatedCovariance] = field(default_factory=dict)
    sample: Sample | None = None
    dropped: Dropped | None = None

    gate_at: ClassVar[str] = "constant"  # there are no groups

    classes: ClassVar[tuple] = ()

    @property
    def takes_holes(self) -> bool:
        """Whether rows are taken with the values that they have."""
        return self.fit.specification.missing == "marginal"

    @property
    def measure(self) -> LocatedMeasure:
        """From x to y, in the user's units."""
        return self.fit.measure

    @property
    def inverse_measure(self) -> LocatedMeasure:
        """From y to x: the same joint law."""
        inverted = self.fit.specification.direction == "inverse"
        return self.fit.fitted if inverted else self.fit.measure.inverse()

    @cached_property
    def terms(self) -> Terms:
        """What a coefficient table lists."""
        return Terms.of(self.fit.measure, self.fit.specification)

    def in_user_units(self, tree: Dendrogram) -> Dendrogram:
        """A dendrogram with measures from x to y for its stages."""
        stages = {k: atoms.in_user_units() for k, atoms in tree.stages.items()}
        if self.fit.specification.direction == "inverse":
            stages = {k: measure.inverse() for k, measure in stages.items()}
        return replace(tree, stages=stages)

    def estimate_covariance(
        self, rows: Observations, request: Request, engine: str = "auto", threads: int = 1
    ) -> LocatedCovariance:
        """Covariance of the estimates on the rows of the fit."""
        if request.kind in FORMULAS:
            return located_covariance(self.fit, rows.x, rows.y, rows.w, request)
        return located_refitted(self.fit, rows.x, rows.y, rows.w, request, threads=threads)

    def influence(
        self, rows: Observations, found: LocatedCovariance, engine: str = "auto", threads: int = 1
    ) -> np.ndarray:
        """What leaving out each row would change in the parameters, (n, U)."""
        return located_influence(self.fit, rows.x, rows.y, rows.w, found)

    def estimates(self, covariance: LocatedCovariance | None = None) -> Estimates:
        """Names, numbers, covariance and notes in the user's units."""
        return located_estimates(self.fit, self.terms, self.design.expert_names, self.responses, covariance)

    # Predictions: x (n, d) as `design.matrices` gives it, with None for the gate's columns.

    def log_gate(self, x: np.ndarray, z: None = None) -> np.ndarray:
        """log g_i(x), shape (n, k)."""
        with quiet():
            return finite(self.measure.log_gate(x), "gate")

    def distribution(self, x: np.ndarray, z: None = None) -> PredictiveDistribution | LocatedLaw:
        """The law of Y at each row: with quantiles of a single response, with covariances of several."""
        law = self._law(x)
        return law.single() if self.single else law

    def _law(self, x: np.ndarray) -> LocatedLaw:
        with quiet():
            law = self.measure.law(x)
        finite(law.log_weights, "gate")
        finite(law.means, "prediction")
        return law

    def marginals(self, x: np.ndarray, z: None = None) -> dict[str, PredictiveDistribution]:
        """The law of each response at each row, by its name."""
        law = self._law(x)
        return {name: law.marginal(j) for j, name in enumerate(self.responses)}

    def mean(self, x: np.ndarray, z: None = None) -> np.ndarray:
        """E[Y | x], shape (n,) or (n, q)."""
        with quiet():
            mean = finite(self._law(x).mean(), "prediction")
        return mean[:, 0] if self.single else mean

    def expert_means(self, x: np.ndarray) -> np.ndarray:
        """E[Y | x, expert], shape (n, k, q)."""
        return self.measure.expert_means(x)

    def uncertainty(
        self, function: Callable[[LocatedModel], np.ndarray], covariance: LocatedCovariance
    ) -> tuple[np.ndarray, np.ndarray]:
        """A function of the model, m numbers, and R (m, r) with R R' their covariance."""
        if covariance.draws is not None:
            drawn = np.array([function(self._at(measure)) for measure in covariance.draws])
            return function(self), covariance.deviations(drawn)
        refuse_unknown(self.estimates(covariance))
        if covariance.root is None:
            raise DataError("a file does not keep what these standard errors need: fit again")
        found, moved = function(self), Moved.of(self.fit)
        pairs = (
            (self._at(moved.measure(step)), self._at(moved.measure(-step)))
            for step in STEP * covariance.root.T
        )
        return found, by_directions(function, pairs, len(found))

    def shares(
        self, x: Any, z: None, w: np.ndarray, covariance: LocatedCovariance | None
    ) -> tuple[np.ndarray, list[float | None]]:
        """The experts' weights (k,), whatever the rows, and their standard errors."""
        k, estimates = self.fit.k, self.estimates(covariance)
        if covariance is None:
            return self.measure.weights, [None] * k
        se = np.sqrt(np.diag(estimates.covariance))[:k].tolist()
        notes = estimates.notes[:k]
        return self.measure.weights, [None if note else s for s, note in zip(se, notes, strict=True)]

    def _at(self, measure: LocatedMeasure) -> LocatedModel:
        return replace(self, fit=replace(self.fit, measure=measure), covariances={})

    def log_joint(self, x: np.ndarray, z: None, y: np.ndarray) -> np.ndarray:
        """log of each component's density of (x, y), shape (n, k)."""
        with quiet():
            return no_nan(self.measure.log_joint(x, y), "density")

    def log_density(self, x: np.ndarray, z: None, y: np.ndarray) -> np.ndarray:
        """log p(y | x), shape (n,)."""
        with quiet():
            return no_nan(self.measure.log_density(x, y), "density")

    # File

    def to_dict(self) -> dict[str, Any]:
        """JSON description: numbers in the user's units."""
        return {
            "format": FORMAT,
            "design": self.design.to_dict(),
            "responses": list(self.responses),
            "single": self.single,
            "specification": asdict(self.fit.specification),
            "measure": self.fit.fitted.to_dict(),
            "fit": fit_to_dict(self.fit) | {"gradient_norm": float(self.fit.gradient_norm)},
            "sample": None if self.sample is None else self.sample.to_dict(),
            "dropped": None if self.dropped is None else self.dropped.to_dict(),
            "covariances": [
                {"kind": c.kind, "notes": list(c.notes), "lower": triangle(c.matrix), "vague": list(c.vague)}
                for c in self.covariances.values()
            ],
        }

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model as JSON, whole or not at all."""
        write_file(path, self.to_dict())

    @classmethod
    def from_dict(cls, data: Any) -> LocatedModel:
        """Inverse of `to_dict`; the first format is read too."""
        first = check_format(data, (FIRST, FORMAT), "a located model") == FIRST
        spec = _specification(data["specification"])
        fitted = LocatedMeasure.from_dict(data["measure"])
        measure = fitted.inverse() if spec.direction == "inverse" else fitted
        fit = LocatedFit(
            measure=measure,
            fitted=fitted,
            specification=spec,
            n_parameters=spec.n_parameters(fitted.k, fitted.d, fitted.q),
            gradient_norm=number(data["fit"]["gradient_norm"], "gradient", 0.0),
            **fit_from_dict(data["fit"], fitted.k),
        )
        design = design_from_dict(data["design"])
        responses = texts(data["responses"], "responses")
        agrees("columns", len(design.expert_names), measure.d)
        agrees("responses", len(responses), measure.q)
        single = flag(data["single"], "mark of a single response")
        if single and measure.q != 1:
            raise DataError("the model file has several responses and says that there is one")
        if spec.student != (fitted.degrees_of_freedom is not None) or spec.degree != fitted.degree:
            raise DataError("the model file's measure is not of its specification")
        if isinstance(design, FormulaDesign) and responses != (design.response,):
            raise DataError("the model file's response is not that of its formula")
        sample, dropped = Sample.from_dict(data.get("sample")), Dropped.from_dict(data.get("dropped"))
        model = cls(design, responses, single, fit, sample=sample, dropped=dropped)
        kept = [c for c in [data["covariance"]] if c] if first else data["covariances"]
        return replace(model, covariances={c["kind"]: _covariance(c, model.terms) for c in kept})


def _covariance(data: dict[str, Any], terms: Terms) -> LocatedCovariance:
    if data["kind"] not in KINDS:
        raise DataError(f"unknown kind of covariance {data['kind']!r} in the model file")
    size = len(terms.names([""] * terms.d, [""] * terms.q))
    notes = texts(data["notes"], "notes")
    agrees("notes", len(notes), size)
    lower = data.get("lower")
    if lower is None:  # the first format
        matrix = numbers(data["matrix"], (size, size), "covariances")
        if not is_symmetric(matrix):
            raise DataError("the model file has a damaged covariance: it is not symmetric")
        lower = triangle(matrix)
    vague = tuple(whole(e, "expert", 0, terms.k - 1) for e in data.get("vague", []))
    return LocatedCovariance(from_triangle(lower, size), notes, str(data["kind"]), vague=vague)


def _specification(data: Any) -> Specification:
    for name in ("tied", "gate_tied", "student"):
        flag(data[name], name)
    return Specification(**{**data, "blocks": _tuples(data["blocks"])})


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
