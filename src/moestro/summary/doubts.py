"""What to know before a table is read: one sentence a doubt, the gravest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import chdtri

from ..fitted import FittedModel
from ..inference import Estimates, LocatedCovariance
from ..solvers import Status, StatusKind
from .layout import short

UNSURE = 0.3  # chance of a better optimum from which it is worth a warning
NAMED = 4  # parameters that a sentence names
EXPECTED = "56 to 58 %"  # simulated: two Gaussian experts on data of one, 1,000 and 10,000 rows


def doubts(model: Any, estimates: Estimates, covariance: Any = None) -> list[str]:
    """Of the estimate, of the search, of its standard errors and of the columns."""
    fit = model.fit
    out = [] if fit.status.kind == StatusKind.CONVERGED else [str(fit.status)]
    found = fit.evidence
    if found is not None and fit.k > 1:
        if found.is_weak:
            out.append(f"the best optimum was {found.how_often}: another random_state may find a better one")
        elif found.chance_of_better > UNSURE:
            out.append(
                f"a better optimum has a chance of {found.chance_of_better:.0%}: try another random_state"
            )
    out += superfluous(fit)
    if covariance is not None:
        out += _of_errors(model, estimates, covariance)
    if isinstance(model, FittedModel):
        out += [f"not estimated: {sentence}" for sentence in model.units.aliased()]
    return [text[0].upper() + text[1:] for text in out]


def superfluous(fit: Any) -> list[str]:
    """Whether one expert less has the better BIC, or loses no more than a chi-square would, and what that
    does to intervals."""
    found = _gained(fit)
    if found is None:
        return []
    gain, parameters, price = found
    return [
        f"{_fewer(fit)}: {parameters} parameters more gain {gain:.1f} in log-likelihood where "
        f"{price:.1f} are asked for. Intervals and tests of coefficients do not hold where an expert is "
        f"superfluous: {EXPECTED} of simulated 95 % intervals do"
    ]


def told(fit: Any) -> Status:
    """The status of a fit, with a word on one expert less where it fits nearly as well."""
    status = fit.status
    if _gained(fit) is None:
        return status
    return replace(status, sentence=f"{status.sentence}; {_fewer(fit)}: see the summary")


def _fewer(fit: Any) -> str:
    one = "one expert fits" if fit.k == 2 else f"{fit.k - 1} experts fit"
    return f"{one} nearly as well by BIC"


def _gained(fit: Any) -> tuple[float, int, float] | None:
    """Log-likelihood that the last expert gains, its parameters, and what they ought to gain; None where they
    do, or where nothing is known of one expert less."""
    found = fit.evidence
    if found is None or found.smaller is None or fit.k < 2:
        return None
    gain, parameters = fit.log_likelihood - found.smaller, fit.n_parameters - found.smaller_size
    if parameters <= 0:
        return None
    price = 0.5 * max(parameters * np.log(fit.weight_sum), chdtri(parameters, 0.05))
    return None if gain >= price else (float(gain), parameters, float(price))


def _of_errors(model: Any, estimates: Estimates, covariance: Any) -> list[str]:
    out = []
    lost = [
        t.component for t, note in zip(estimates.terms, estimates.notes, strict=True) if note == "singular"
    ]
    if lost:
        which = [str(e + 1) for e in sorted(set(lost))]
        experts = f"expert{'s' if len(which) > 1 else ''} {listed(which)}"
        out.append(
            f"the information is singular for parameters of {experts} (marked 'singular'): they have no "
            "standard error, and their estimates should not be read one by one"
        )
    vague = enormous(model, estimates, covariance)
    if vague:
        out.append(
            f"the standard errors of {listed(vague)} are enormous: the data say almost nothing there, and "
            "intervals and tests by them mean little"
        )
    return out


def enormous(model: Any, estimates: Estimates, covariance: Any) -> list[str]:
    """What has an enormous standard error: parameters, or located experts."""
    if covariance is None:
        return []
    if isinstance(covariance, LocatedCovariance):
        return [f"expert {e + 1}" for e in covariance.vague]
    marked = covariance.vague[model.fit.model.present]
    return [short(t.label) for t, v in zip(estimates.terms, marked, strict=True) if v]


def listed(names: Sequence[str]) -> str:
    """ "a, b and c"; of many the first ones."""
    if len(names) > NAMED:
        names = [*names[: NAMED - 1], f"{len(names) - NAMED + 1} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
