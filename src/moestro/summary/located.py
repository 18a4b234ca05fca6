"""What a located fit says: tidy tables, one text, and the experts in words."""

from __future__ import annotations

import numpy as np

from ..fitted import LocatedModel
from ..inference import LocatedCovariance
from ..selection.criteria import CRITERIA
from ..tables import Table
from .coefficients import coefficients

STRONG = 0.25  # of an expert's standard deviation, a column's change by one of its own that is worth a word


def summary_text(model: LocatedModel, covariance: LocatedCovariance | None = None) -> str:
    """The whole fit as one text. Covariances of columns are left to `tidy`."""
    fit = model.fit
    y = ", ".join(f"'{name}'" for name in model.responses[:5]) + (", ..." if len(model.responses) > 5 else "")
    head = (
        f"Mixture of {fit.k} located expert{'s' if fit.k > 1 else ''} ({fit.specification.label}), "
        f"response{'s' if len(model.responses) > 1 else ''} {y}"
    )
    criteria = "   ".join(f"{name.upper()} {criterion(fit):.3f}" for name, criterion in CRITERIA.items())
    lines = [
        head, "=" * len(head), "",
        f"joint log-likelihood {fit.log_likelihood:.4f}   parameters "
        f"{fit.n_parameters}   n {fit.weight_sum:g}",
        criteria,
        f"status: {fit.status}",
    ]  # fmt: skip
    if model.dropped is not None and model.dropped.rows:
        lines.append(f"missing values: {model.dropped}")
    if fit.evidence is not None and fit.k > 1:
        lines.append(f"search: {fit.evidence}")
    table = coefficients(model.estimates(covariance))
    for part, title in (("gate", "Gate (where each expert is)"), ("expert", "Experts")):
        rows = [r for r in table.rows() if r["part"] == part]
        shown = [r for r in rows if not r["term"].startswith("covariance(")]
        if not shown:
            continue
        names = [n for n in table.columns if n != "part"]
        names = [n for n in names if any(r[n] not in (None, "") for r in shown)]
        lines += ["", title, "-" * len(title), Table({n: [r[n] for r in shown] for n in names}).to_text()]
        if len(shown) < len(rows):
            lines.append(f"{len(rows) - len(shown)} covariances are in tidy()")
    notes = set(() if covariance is None else covariance.notes)
    if "singular" in notes:
        which = sorted({r["component"] for r in table.rows() if r["note"] == "singular"})
        lines += [
            "",
            f"The information is singular for parameters of expert {', '.join(map(str, which))} (marked "
            "'singular'): they have no "
            "standard error, and their estimates should not be read one by one.",
        ]
    return "\n".join([*lines, "", "In words", "--------", *words(model)])


def words(model: LocatedModel) -> list[str]:
    """One sentence an expert: its share, where it is, what it predicts there, and what moves that."""
    m, fit = model.fit.measure, model.fit
    share = fit.mass / fit.mass.sum()
    nu = m.degrees_of_freedom
    wide = np.ones(m.k) if nu is None else nu / (nu - 2.0)  # variance over squared scale
    su, sy = (np.sqrt(wide[:, None] * np.diagonal(C, axis1=1, axis2=2)) for C in (m.covariances, m.noise))
    center = m.weights @ m.means
    spread = np.sqrt(m.weights @ (su**2 + (m.means - center) ** 2))
    out = []
    for e in range(m.k):
        far = np.abs(m.means[e] - center) / np.maximum(spread, 1e-300)
        where = " and ".join(
            f"{model.design.expert_names[j]} {m.means[e, j]:.4g} ± {su[e, j]:.2g}"
            for j in np.argsort(-far, kind="stable")[:2]
        )
        steps = np.concatenate([np.zeros((1, m.d)), np.diag(su[e]), -np.diag(su[e])])
        at = m.expert_means(m.means[e] + steps)[:, e]
        move = (at[1 : 1 + m.d] - at[1 + m.d :]) / 2
        said = []
        for j, name in enumerate(model.responses[:3]):
            big = [
                i
                for i in np.argsort(-np.abs(move[:, j]), kind="stable")[:2]
                if abs(move[i, j]) >= STRONG * sy[e, j]
            ]
            drive = " and ".join(
                f"{'higher' if move[i, j] > 0 else 'lower'} with {model.design.expert_names[i]}" for i in big
            )
            said.append(f"{name} is about {at[0, j]:.4g} ± {sy[e, j]:.2g}" + (f", {drive}" if drive else ""))
        place = f"around {where}, " if where else ""
        more = f"; and {m.q - 3} more responses" if m.q > 3 else ""
        out.append(f"Expert {e + 1} ({share[e]:.0%} of the rows): {place}{'; '.join(said)}{more}.")
    return out
