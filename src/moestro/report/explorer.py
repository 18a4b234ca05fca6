"""The few numbers of a model from which a page computes what it says: gate weights, means, densities."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..design import FormulaDesign
from ..design.known import OFFSET
from ..experts import FAMILIES
from ..experts.censored import Censored
from ..experts.point import Point
from ..fitted import FittedModel, LocatedModel
from ..gates import GATES
from ..located.polynomial import exponents
from ..plots.base import COLORS
from ..plots.data import Rows
from .columns import Inputs, NotHere, evaluated, trees_of

KNOWN = {  # families that explorer.js evaluates
    "gaussian", "student", "skew-t", "poisson", "truncated-poisson", "negative-binomial", "binomial",
    "binomial-probit", "binomial-cloglog", "gamma", "inverse-gaussian", "lognormal", "weibull", "beta",
    "multinomial", "ordinal", "zero", "one", "interval",
}  # fmt: skip
POINTS = 161  # of a density
COUNTS = 200  # probabilities of counts that are shown
INPUTS = 40  # sliders
EXACT = 1e-9  # of the columns that the page computes, against the design's own


def explorer_of(model: Any, rows: Rows, data: dict[str, np.ndarray] | None = None) -> dict[str, Any]:
    """What `explorer.js` evaluates, as JSON data; `data` are the user's columns where they are at hand.

    Raises
    ------
    NotHere
        With the reason, where a page cannot evaluate the model.
    """
    inputs = Inputs()
    x, z = trees_of(model.design, inputs)
    if len(inputs.levels) > INPUTS:
        raise NotHere(f"it has {len(inputs.levels)} columns, more than the {INPUTS} that sliders can show")
    data = _data(model, rows, data, inputs)
    _check(model, data, x, z, inputs)
    out = _located(model) if isinstance(model, LocatedModel) else _softmax(model)
    sliders = [_slider(name, known, data[name]) for name, known in inputs.levels.items()]
    family = None if isinstance(model, LocatedModel) else model.fit.model.family
    d, columns = len(model.design.expert_names), rows.x.shape[1]
    latent = family is not None and family.takes_bounds and columns > d + 1
    if latent:  # what is known of a row is no input, and an offset of zeros stands before it
        columns = d + bool(np.asarray(rows.x)[:, d].any())
    for i, word in enumerate(("offset", "trials")):
        out[word] = None
        if columns > d + i:
            values = np.asarray(rows.x)[:, d + i]
            out[word] = len(sliders)
            sliders.append(_slider(OFFSET if word == "offset" else "(trials)", None, values))
    discrete = not isinstance(model, LocatedModel) and model.fit.model.family.discrete
    points = sorted(set(family.points)) if isinstance(family, Censored) else []
    return out | {
        "points": points, "latent": latent,
        "inputs": sliders, "x": x, "z": z, "classes": [str(c) for c in model.classes],
        "responses": list(model.responses), "discrete": bool(discrete), "colors": list(COLORS),
        "experts_names": [f"expert {e + 1}" for e in range(model.fit.k)],
        "grids": [] if model.classes else [
            sorted({*_grid(y, model), *points}) for y in np.reshape(rows.y, (len(rows.y), -1)).T
        ],
    }  # fmt: skip


def _data(
    model: Any, rows: Rows, data: dict[str, np.ndarray] | None, inputs: Inputs
) -> dict[str, np.ndarray]:
    """The user's columns; those of the design that are the user's own where nothing else is at hand."""
    if data is not None:
        return {name: np.asarray(data[name]) for name in inputs.levels}
    out = {}
    for name, known in inputs.levels.items():
        if known is not None:
            out[name] = np.array(known, dtype=object)[np.zeros(len(rows.w), dtype=int)]
        elif name in (*model.design.expert_names, *model.design.gate_names):
            out[name] = rows.column(model, name)
        else:
            raise NotHere(f"the range of '{name}' is not known: give the data, report(path, data)")
    return out


def _check(
    model: Any, data: dict[str, np.ndarray], x: list[Any], z: list[Any] | None, inputs: Inputs
) -> None:
    """Refuse trees whose columns are not the design's own."""
    for name, known in inputs.levels.items():
        if known is not None and len(set(map(str, known))) < len(known):
            raise NotHere(f"two levels of '{name}' are called the same")
    design = model.design
    if not data or not isinstance(design, FormulaDesign) or design.known:
        return  # columns and indicators, by name; an offset needs columns that no slider has
    some = {n: np.asarray(v)[:200] for n, v in data.items()}
    with np.errstate(all="ignore"):
        own = [evaluated(t, some, inputs) for t in x], [evaluated(t, some, inputs) for t in z or ()]
    for trees, matrix in zip(own, design.matrices(some), strict=True):
        for column, exact in zip(
            trees, () if matrix is None else np.asarray(matrix).T, strict=matrix is not None
        ):
            if not np.allclose(column, exact, rtol=EXACT, atol=EXACT * max(np.abs(exact).max(), 1e-300)):
                raise NotHere("a column of its formula is more than a page evaluates")


def _softmax(model: FittedModel) -> dict[str, Any]:
    m, theta, units = model.fit.model, model.fit.theta, model.units
    families = m.family.members or (m.family,) * m.k
    for f in families:
        if isinstance(f, Censored):
            continue
        if f.name not in KNOWN or not (isinstance(f, Point) or type(f) is FAMILIES.get(f.name)):
            raise NotHere(f"its family '{f.name}' is one that the page does not know")
    if type(m.gate) is not GATES.get(m.gate.name):
        raise NotHere(f"its gate '{m.gate.name}' is one's own, which the page does not know")
    transform = getattr(model.design, "transform", None)
    if transform is not None and not isinstance(transform, str):
        raise NotHere("its gate transform is a Python object")
    return {
        "kind": "softmax", "transform": transform,
        "families": ["censored" if isinstance(f, Censored) else f.name for f in families],
        "limits": [_limits(f, units) for f in families],
        "center": units.y_center, "scale": units.y_scale,
        "gate": {
            "name": m.gate.name, "rows": m.gate_rows(theta).tolist(), "shared": m.gate_shared(theta).tolist(),
            "options": m.gate.options(), "scaling": _scaling(units.z_scaling),
        },
        "experts": {
            "coefficients": m.expert_coefficients(theta).tolist(),
            "nuisances": [
                own[: f.nuisances].tolist() for own, f in zip(m.nuisances(theta), families, strict=True)
            ],
            "scaling": _scaling(units.x_scaling),
        },
    }  # fmt: skip


def _limits(family: Any, units: Any) -> list[float | None] | None:
    """Limits of the scaled response, None for one that is infinite and for a family that has none."""
    if not isinstance(family, Censored):
        return None
    scaled = [(v - units.y_center) / units.y_scale for v in (family.lower, family.upper)]
    return [float(v) if np.isfinite(v) else None for v in scaled]


def _located(model: LocatedModel) -> dict[str, Any]:
    m = model.measure
    roots = np.linalg.cholesky(m.covariances) if m.d else np.zeros((m.k, 0, 0))
    atoms = [
        {
            "logWeight": float(np.log(m.weights[e])), "mean": m.means[e].tolist(),
            "white": np.linalg.inv(roots[e]).tolist(),
            "logDet": float(2 * np.log(np.diag(roots[e])).sum()),
            "nu": None if m.degrees_of_freedom is None else float(m.degrees_of_freedom[e]),
            "intercepts": m.intercepts[e].tolist(), "slopes": m.slopes[e].tolist(),
            "noise": np.diag(m.noise[e]).tolist(),
        }
        for e in range(m.k)
    ]  # fmt: skip
    return {"kind": "located", "atoms": atoms, "monomials": [list(t) for t in exponents(m.d, m.degree)]}


def _scaling(scaling: Any) -> dict[str, list[float]]:
    return {"center": scaling.center.tolist(), "inverse": scaling.inv_scale.tolist()}


def _slider(name: str, known: tuple[Any, ...] | None, values: np.ndarray) -> dict[str, Any]:
    if known is not None:
        called = [str(v) for v in known]
        counts = [sum(str(v) == level for v in values) for level in called]
        return {"name": name, "levels": called, "start": int(np.argmax(counts))}
    values = np.asarray(values, dtype=float)
    low, high = float(values.min()), float(values.max())
    whole = bool((values == np.floor(values)).all())
    start = float(np.median(values))
    return {
        "name": name, "low": low, "high": high if high > low else low + 1.0,
        "start": float(np.round(start)) if whole else start, "whole": whole,
    }  # fmt: skip


def _grid(y: np.ndarray, model: Any) -> list[float]:
    """Where the density is shown: the range of the response and a little more, of positive numbers and shares
    inside their range."""
    low, high = float(y.min()), float(y.max())
    room = 0.1 * max(high - low, 1e-12 * max(abs(high), 1.0))
    if isinstance(model, LocatedModel) or model.fit.model.family.scales_response:
        return np.linspace(low - room, high + room, POINTS).tolist()
    family = model.fit.model.family
    if family.discrete:
        top = int(high) if family.takes_trials else int(np.ceil(high + room))
        first = 0 if family.supports(np.zeros(1)).all() or family.members else 1
        return np.unique(np.linspace(first, max(top, 1), min(max(top, 1) + 1, COUNTS)).astype(int)).tolist()
    inside = y[(y > 0) & ~np.isin(y, family.points)]  # what is one number for certain has no density
    low, high = float(inside.min()), float(inside.max())
    low = max(low - room, 0.02 * low)
    high = min(high + room, 1 - 0.02 * (1 - high)) if "beta" in family.name else high + room
    return np.linspace(low, high, POINTS).tolist()
