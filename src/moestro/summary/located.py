"""What a located mixture is called, which parameters are listed, and its experts in words."""

from __future__ import annotations

import numpy as np

from ..fitted import LocatedModel
from ..inference import Estimates
from ..inference.estimates import SHARE
from .layout import short

STRONG = 0.25  # of an expert's standard deviation, a column's change by one of its own that is worth a word


def title(model: LocatedModel) -> str:
    """What was fitted."""
    fit, names = model.fit, model.responses
    y = ", ".join(f"'{short(name)}'" for name in names[:5]) + (", ..." if len(names) > 5 else "")
    experts = "One located expert" if fit.k == 1 else f"Mixture of {fit.k} located experts"
    return f"{experts} ({fit.specification.label}), response{'s' if len(names) > 1 else ''} {y}"


def gate_title(model: LocatedModel) -> str:
    """What its parameters are."""
    return "Gate (where each expert is)"


def expert_title(model: LocatedModel) -> str:
    """What their coefficients are."""
    return "Experts"


def shared(model: LocatedModel) -> tuple[str, ...]:
    """No parameter of the gate belongs to all experts."""
    return ()


def shown(estimates: Estimates, part: str, with_errors: bool) -> tuple[list[int], str]:
    """Parameters of the gate, or of the experts, that are listed, and a line on those that are not:
    covariances."""
    every = [i for i, t in enumerate(estimates.terms) if t.part == part and t.kind != SHARE]
    listed = [i for i in every if not estimates.terms[i].term.startswith("covariance(")]
    left = len(every) - len(listed)
    return listed, f"{left} covariance{' is' if left == 1 else 's are'} in tidy()" if left else ""


def words(model: LocatedModel) -> list[str]:
    """One sentence an expert: its share, where it is, what it predicts there, and what moves that."""
    m, fit = model.fit.measure, model.fit
    columns = [short(name) for name in model.design.expert_names]
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
            f"{columns[j]} {m.means[e, j]:.4g} ± {su[e, j]:.2g}" for j in np.argsort(-far, kind="stable")[:2]
        )
        steps = np.concatenate([np.zeros((1, m.d)), np.diag(su[e]), -np.diag(su[e])])
        at = m.expert_means(m.means[e] + steps)[:, e]
        move = (at[1 : 1 + m.d] - at[1 + m.d :]) / 2
        said = []
        for j, name in enumerate(map(short, model.responses[:3])):
            big = [
                i
                for i in np.argsort(-np.abs(move[:, j]), kind="stable")[:2]
                if abs(move[i, j]) >= STRONG * sy[e, j]
            ]
            drive = " and ".join(f"{'higher' if move[i, j] > 0 else 'lower'} with {columns[i]}" for i in big)
            said.append(f"{name} is about {at[0, j]:.4g} ± {sy[e, j]:.2g}" + (f", {drive}" if drive else ""))
        place = f"around {where}, " if where else ""
        more = f"; and {m.q - 3} more responses" if m.q > 3 else ""
        out.append(f"Expert {e + 1} ({share[e]:.0%} of the rows): {place}{'; '.join(said)}{more}.")
    return out
