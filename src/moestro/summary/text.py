"""A fit as one text: what it is, what is doubtful, how it ended, who the experts are, what they do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..fitted import FittedModel, LocatedModel
from ..inference import CORRECTIONS
from ..selection.criteria import CRITERIA, entropy_r2
from ..solvers import StatusKind
from . import located, mixture
from .blocks import coefficient_block, share_block, shares_of
from .doubts import doubts, enormous
from .layout import heading, paragraph, wrapped

FILES = {FittedModel: mixture, LocatedModel: located}
ERRORS = {
    "observed": "observed information",
    "expected": "expected information",
    "sandwich": "sandwich, robust to a wrong model",
    "cluster": "sandwich of clusters",
    "survey": "survey design, by linearisation",
    "bootstrap": "bootstrap",
    "jackknife": "jackknife",
}

READ = {"constant": "", "first": "; gate read at the first", "mean": "; gate read at the mean"}


def summary_text(
    model: Any, covariance: Any = None, *, without: str = "", more: Sequence[tuple[str, str]] = ()
) -> str:
    """The whole fit as one text, of at most a hundred columns.

    `without` says why there are no standard errors; `more` are further facts, a label and a text each.
    Covariances between columns are left to `tidy`.
    """
    fit, words, estimates = model.fit, FILES[type(model)], model.estimates(covariance)
    lines = [*heading(words.title(model), "="), ""]
    warned = doubts(model, estimates, covariance)
    for text in warned:
        lines += paragraph("Warning", f"{text}.")
    lines += [""] * bool(warned)
    vague = bool(enormous(model, estimates, covariance))
    for label, text in (*facts(model, vague), *more):
        lines += paragraph(label, text)
    if covariance is not None:
        how = str(ERRORS.get(covariance.kind, covariance.kind))
        factor = CORRECTIONS.get(covariance.kind, {}).get(covariance.correction)
        how += f", times {factor} ({covariance.correction})" if factor else ""
        if covariance.draws is not None:
            how += f", {len(covariance.draws)} refits"
        if covariance.failed:
            verbs = ("was", "is") if covariance.failed == 1 else ("were", "are")
            how += "; {} more {} not usable and {} left out".format(covariance.failed, *verbs)
        lines += paragraph("Std. errors", how)
    elif without:
        lines += paragraph("Std. errors", f"none: {without}")
    found = shares(model, covariance, estimates)
    if found is not None:
        unit = "groups" if getattr(fit, "group_sizes", None) and covariance is not None else "rows"
        lines += ["", *heading(f"Shares of the {unit}"), *share_block(*found)]
    for part, title in (("gate", words.gate_title(model)), ("expert", words.expert_title(model))):
        chosen, left_out = words.shown(estimates, part, covariance is not None)
        if chosen:
            lines += ["", *heading(title), *coefficient_block(estimates, chosen, words.shared(model))]
        if left_out:
            lines += [left_out]
    lines += ["", *heading("In words")]
    for sentence in words.words(model):
        lines += wrapped(sentence, "  ")
    return "\n".join(lines)


def facts(model: Any, vague: bool = False) -> list[tuple[str, str]]:
    """What is said of every fit; `vague` where some standard error is enormous."""
    fit, sample = model.fit, model.sample
    groups = getattr(fit, "group_sizes", None)
    rows = f"{fit.weight_sum:g}" if sample is None else f"{sample.rows}"
    if sample is not None and sample.weighted:
        rows += f", weights sum to {fit.weight_sum:g}"
    out = [] if sample is None and groups else [("Rows", rows)]
    if model.dropped is not None and model.dropped.rows:
        out.append(("Missing values", str(model.dropped)))
    if groups:
        count, least, most = groups
        sizes = f"{least}" if least == most else f"{least} to {most}"
        said = f"{count} of {sizes} rows, each with one expert; n counts groups"
        out.append(("Groups", said + READ[model.gate_at]))
    out.append(("Log-likelihood", f"{fit.log_likelihood:.4f} with {fit.n_parameters} parameters"))
    if isinstance(model, FittedModel):
        u = model.units
        said = fit.model.constraints.sentences(u.expert_names, u.gate_names, u.classes)
        out += [("" if i else "Constraints", sentence) for i, sentence in enumerate(said)]
    criteria = "   ".join(f"{name.upper()} {criterion(fit):.3f}" for name, criterion in CRITERIA.items())
    out.append(("Criteria", criteria))
    separation = entropy_r2(fit, fit.k)
    if separation is not None:
        out.append(("Entropy R²", f"{separation:.3f}"))
    fine = fit.status.kind == StatusKind.CONVERGED
    status = str(fit.status) if fine else f"{fit.status.kind} (see the warning)"
    if fine and vague:
        status = f"{fit.status.kind}, but some standard errors are enormous (see the warning)"
    out.append(("Status", status))
    if fit.evidence is not None and fit.k > 1:
        out.append(("Search", str(fit.evidence)))
    return out


def shares(model: Any, covariance: Any, estimates: Any) -> Any:
    """Shares (k,) and their standard errors or None: parameters of located experts, else the gate's
    average."""
    if model.fit.k == 1:
        return None
    if isinstance(model, LocatedModel):
        return shares_of(estimates)
    if covariance is not None and covariance.shares is not None:
        return covariance.shares[0], covariance.shares[1]
    return model.fit.mass / model.fit.mass.sum(), None
