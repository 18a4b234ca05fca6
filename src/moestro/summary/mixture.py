"""What a softmax-gated mixture is called, which parameters are listed, and its experts in words."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ..errors import quiet
from ..fitted import FittedModel
from ..inference import Estimates
from .layout import short

PROPER = ("gaussian", "poisson", "student", "bernoulli", "weibull")  # names of people


def words(model: FittedModel) -> list[str]:
    """One sentence for each expert: its share, what it predicts at the average input, where its weight
    rises."""
    model = _short(model)
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


def _short(model: FittedModel) -> FittedModel:
    """With names that fit into a sentence."""
    u = model.units
    names = {n: tuple(map(short, getattr(u, n))) for n in ("expert_names", "gate_names", "classes")}
    return replace(model, units=replace(u, response=short(u.response), **names))


def _where(slopes: np.ndarray, names: tuple[str, ...]) -> str:
    """Largest gate slopes per standard deviation, against the average expert."""
    strong = [j for j in np.argsort(-np.abs(slopes))[:2] if abs(slopes[j]) >= 0.25]
    up, down = _split(slopes, names, strong)
    parts = [
        f"{_all(c)} {verb}{'' if len(c) > 1 else 's'}" for verb, c in (("rise", up), ("fall", down)) if c
    ]
    return " and ".join(parts)


def _what(model: FittedModel, e: int, coefficients: np.ndarray) -> str:
    units, family = model.units, model.fit.model.law(e)
    nuisance = model.fit.model.nuisances(model.fit.theta)[e, : family.nuisances]
    if not family.predictors:
        return f"{units.response} is always {float(family.mean(np.zeros(0))):g}"
    eta = np.concatenate([coefficients[:, 0], nuisance])
    slopes = coefficients[:, 1:]
    if family.ordered:
        p = family.mean(eta)
        says = " or ".join(f"{units.classes[c]} ({p[c]:.0%})" for c in np.argsort(-p)[:2] if p[c] >= 0.15)
        return _driven(f"at the average input, it predicts {says}", slopes[0], units.expert_names)
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
        first = f"at the average input, it predicts {says}"
        return f"{first}; {units.classes[top[0]]} becomes {drive}" if drive else first
    with quiet():
        mean = units.y_center + units.y_scale * float(family.mean(eta))
        spread = units.y_scale * math.sqrt(float(family.variance(eta)))
    known = ", without its offset," if model.design.known else ","
    about = f"about {mean:.4g} ± {spread:.2g}" if math.isfinite(spread) else f"about {mean:.4g} ± any number"
    about = about if math.isfinite(mean) else "beyond double precision"
    first = f"at the average input{known} {units.response} is {about}"
    return _driven(first, slopes[0], units.expert_names)


def _driven(first: str, slopes: np.ndarray, names: tuple[str, ...]) -> str:
    """With what the response rises and falls."""
    up, down = _drivers(slopes, names)
    drive = " and ".join(f"{word} with {_all(c)}" for word, c in (("rising", up), ("falling", down)) if c)
    return f"{first}, {drive}" if drive else first


def _drivers(slopes: np.ndarray, names: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """The columns with the largest slopes, positive ones and negative ones."""
    return _split(slopes, names, [j for j in np.argsort(-np.abs(slopes))[:2] if abs(slopes[j]) >= 0.1])


def _split(slopes: np.ndarray, names: tuple[str, ...], which: list) -> tuple[list[str], list[str]]:
    return [names[j] for j in which if slopes[j] > 0], [names[j] for j in which if slopes[j] < 0]


def _all(names: list[str]) -> str:
    return " and ".join(names)


def title(model: FittedModel) -> str:
    """What was fitted."""
    m, response = model.fit.model, short(model.units.response)
    if m.family.members:
        names = ", ".join(law.name for law in m.family.members)
        return f"Mixture of {m.k} experts ({names}), {m.gate.name} gate, response '{response}'"
    name = m.family.name.capitalize() if m.family.name in PROPER else m.family.name
    if m.k == 1:
        return f"One {name} expert, response '{response}'"
    return f"Mixture of {m.k} {name} experts, {m.gate.name} gate, response '{response}'"


def shared(model: FittedModel) -> tuple[str, ...]:
    """Terms of the gate that belong to all experts."""
    return tuple(model.fit.model.gate.shared)


def shown(estimates: Estimates, part: str, with_errors: bool) -> tuple[list[int], str]:
    """Parameters of the gate, or of the experts, that are listed, and a line on those that are not: slopes of
    zero."""
    every = [i for i, t in enumerate(estimates.terms) if t.part == part]
    listed = [
        i
        for i in every
        if with_errors or estimates.values[i] != 0 or estimates.terms[i].term == "(intercept)"
    ]
    zero = len(every) - len(listed)
    return listed, f"{zero} coefficient{' is' if zero == 1 else 's are'} zero" if zero else ""


def gate_title(model: FittedModel) -> str:
    """What its coefficients are."""
    gate = model.fit.model.gate
    if gate.reference:
        return f"Gate (log odds against expert {model.fit.model.reference + 1})"
    return f"Gate ({gate.name} scores)"


def expert_title(model: FittedModel) -> str:
    """What their coefficients are."""
    if model.fit.model.family.ordered:
        return "Experts (log odds of a higher class)"
    if model.units.classes:
        return f"Experts (log odds against {short(model.units.classes[-1])})"
    return "Experts"
