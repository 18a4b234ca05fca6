"""Which columns the response of a formula reads: one as it is, two of them in ``prop(successes, trials)``,
``interval(lower, upper)`` and ``cens(time, status)``, or those of an expression."""

from __future__ import annotations

import re

import numpy as np

from ..errors import DataError
from .grammar import short, variables
from .known import TwoColumns


def response_variables(response: str) -> list[str]:
    return plain_names(response) or variables(response)


def response_data(response: str, y: np.ndarray) -> dict[str, np.ndarray]:
    """y (n,) under the name of the one column that a response reads; successes and trials (n, 2) under
    theirs."""
    plain, given = plain_names(response), y.T if y.ndim == 2 else y[None]
    names = plain or variables(response)
    if len(given) == len(names) and (plain or len(names) == 1):
        return dict(zip(names, given, strict=True))
    if len(names) != 1:
        read = ", ".join(names) or "no column"
        raise DataError(
            f"the response '{response}' reads {read}: leave y out, so that it is read from the frame"
        )
    return {names[0]: y}


PAIR = re.compile(r"(prop|interval|cens)\(\s*(\w+|`[^`]+`)\s*,\s*(\w+|`[^`]+`)\s*\)")


def check_form(response: str, family: TwoColumns | None) -> None:
    """Refuse a response of two columns that a family does not take; None takes none."""
    kind = response.partition("(")[0]
    if kind == "prop" and not (family and family.takes_trials):
        raise DataError(f"the response '{short(response)}' is for binomial experts: use family='binomial'")
    if kind != "prop" and not (family and family.takes_bounds):
        raise DataError(
            f"the response '{short(response)}' is for experts of censored responses: use family='weibull' or "
            "'interval'"
        )


def plain_names(response: str) -> list[str] | None:
    """The response's column, or the two of successes and trials, ends, or time and status, where they are no
    expression."""
    if found := PAIR.fullmatch(response):
        return [name.strip("`") for name in found.groups()[1:]]
    plain = response.isidentifier() or response.startswith("`")
    return [response.strip("`")] if plain else None
