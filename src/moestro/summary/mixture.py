"""What a fit says: tidy tables, one text, and the experts in words."""

from __future__ import annotations

import math

import numpy as np

from ..fitted import FittedModel
from ..inference import Covariance
from ..selection.criteria import CRITERIA
from ..tables import Table
from .coefficients import coefficients


def words(model: FittedModel) -> list[str]:
    """One sentence for each expert: its share, what it predicts at the average input, where its weight
    rises."""
    fit, units = model.fit, model.units
    m = fit.model
    share = fit.mass / fit.mass.sum()
    gate = m.gate_rows(fit.theta)
    gate = gate - gate.mean(axis=0)
    experts = m.expert_coefficients(fit.theta)
    out = []
    for e in range(m.k):
        where = _where(gate[e, 1:], units.gate_names) if m.k > 1 else ""
        what = _what(model, e, experts[e])
        place = f" Its weight rises as {where}." if where else ""
        out.append(f"Expert {e + 1} ({share[e]:.0%} of the rows): {what}.{place}")
    return out


def _where(slopes: np.ndarray, names: tuple[str, ...]) -> str:
    """Largest gate slopes per standard deviation, against the average expert."""
    strong = [j for j in np.argsort(-np.abs(slopes))[:2] if abs(slopes[j]) >= 0.25]
    up, down = _split(slopes, names, strong)
    parts = [
        f"{_all(c)} {verb}{'' if len(c) > 1 else 's'}" for verb, c in (("rise", up), ("fall", down)) if c
    ]
    return " and ".join(parts)


def _what(model: FittedModel, e: int, coefficients: np.ndarray) -> str:
    units, family = model.units, model.fit.model.family
    nuisance = model.fit.model.nuisances(model.fit.theta)[e]
    eta = np.concatenate([coefficients[:, 0], nuisance])
    slopes = coefficients[:, 1:]
    if family.labels:
        p = family.mean(eta)
        top = np.argsort(-p)[:2]
        says = " or ".join(f"{units.classes[c]} ({p[c]:.0%})" for c in top if p[c] >= 0.15)
        full = np.vstack([slopes, np.zeros((1, slopes.shape[1]))])
        tilt = full[top[0]] - full.mean(axis=0) if slopes.shape[1] else np.zeros(0)
        up, down = _drivers(tilt, units.expert_names)
        parts = [
            f"{word} likely as {_all(c)} {'rise' if len(c) > 1 else 'rises'}"
            for word, c in (("more", up), ("less", down))
            if c
        ]
        drive = " and ".join(parts)
        first = f"at the average input it predicts {says}"
        return f"{first}; {units.classes[top[0]]} becomes {drive}" if drive else first
    mean = units.y_center + units.y_scale * float(family.mean(eta))
    spread = units.y_scale * math.sqrt(float(family.variance(eta)))
    up, down = _drivers(slopes[0], units.expert_names)
    drive = " and ".join(f"{word} with {_all(c)}" for word, c in (("rising", up), ("falling", down)) if c)
    first = f"at the average input {units.response} is about {mean:.4g} ± {spread:.2g}"
    return f"{first}, {drive}" if drive else first


def _drivers(slopes: np.ndarray, names: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """The columns with the largest slopes, positive ones and negative ones."""
    return _split(slopes, names, [j for j in np.argsort(-np.abs(slopes))[:2] if abs(slopes[j]) >= 0.1])


def _split(slopes: np.ndarray, names: tuple[str, ...], which: list) -> tuple[list[str], list[str]]:
    return [names[j] for j in which if slopes[j] > 0], [names[j] for j in which if slopes[j] < 0]


def _all(names: list[str]) -> str:
    return " and ".join(names)


def summary_text(model: FittedModel, covariance: Covariance | None = None) -> str:
    """The whole fit as one text."""
    fit, units = model.fit, model.units
    head = (
        f"Mixture of {fit.model.k} {fit.model.family.name} expert{'s' if fit.model.k > 1 else ''}, "
        f"{fit.model.gate.name} gate, response '{units.response}'"
    )
    lines = [head, "=" * len(head), ""]
    criteria = "   ".join(f"{name.upper()} {criterion(fit):.3f}" for name, criterion in CRITERIA.items())
    lines += [
        f"log-likelihood {fit.log_likelihood:.4f}   parameters {fit.n_parameters}   n {fit.weight_sum:g}",
        criteria,
        f"status: {fit.status}",
    ]
    if fit.group_sizes is not None:
        lines.append(f"groups: {_groups(*fit.group_sizes)}, each with one expert; n counts groups")
    if model.dropped is not None and model.dropped.rows:
        lines.append(f"missing values: {model.dropped}")
    if fit.evidence is not None and fit.model.k > 1:
        lines.append(f"search: {fit.evidence}")
    lines += [f"not estimated: {sentence}" for sentence in units.aliased()]
    lines += fit.model.constraints.sentences(units.expert_names, units.gate_names, units.classes)
    table = coefficients(model.estimates(covariance))
    for part, title in (
        ("gate", _gate_title(model)),
        ("expert", _expert_title(model)),
    ):
        everyone = [r for r in table.rows() if r["part"] == part]
        rows = [
            r for r in everyone if r["estimate"] != 0 or r["term"] == "(intercept)" or covariance is not None
        ]
        if not rows:
            continue
        names = [n for n in table.columns if n != "part"]
        if part == "gate":
            names = [n for n in names if n != "outcome"]
        if not any(r["note"] for r in rows):
            names = [n for n in names if n != "note"]
        lines += ["", title, "-" * len(title), Table({n: [r[n] for r in rows] for n in names}).to_text()]
        if len(rows) < len(everyone):
            lines.append(f"{len(everyone) - len(rows)} coefficients are zero")
    if covariance is not None and covariance.experts:
        which = ", ".join(str(e + 1) for e in covariance.experts)
        lines += [
            "",
            f"The information is singular for coefficients of expert {which} (marked 'singular'): they have "
            "no standard error, and their estimates should not be read one by one.",
        ]
    lines += ["", "In words", "--------", *words(model)]
    return "\n".join(lines)


def _groups(count: int, least: int, most: int) -> str:
    rows = f"{least}" if least == most else f"{least} to {most}"
    return f"{count} of {rows} rows"


def _gate_title(model: FittedModel) -> str:
    gate = model.fit.model.gate
    if gate.reference:
        return f"Gate (log odds against expert {model.fit.model.reference + 1})"
    return f"Gate ({gate.name} scores)"


def _expert_title(model: FittedModel) -> str:
    if model.units.classes:
        return f"Experts (log odds against {model.units.classes[-1]})"
    return "Experts"
