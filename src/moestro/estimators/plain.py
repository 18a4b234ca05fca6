"""How an estimator without a penalty fits: a search for each number of experts, and the choice among them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ..api import WORDS, fit_design
from ..design import Observations
from ..gates import make_gate
from ..rows import Scan
from ..selection.choice import number_of_experts
from .found import Found
from .helpers import options_of

TOL = 1e-8


def fit_plain(estimator: Any, data: Observations | Scan) -> Found:
    """Fit by the words of a MoERegressor or MoEClassifier."""
    ks, criterion = number_of_experts(estimator.n_experts, estimator.max_experts)
    gate = make_gate(estimator.gate, estimator.top_k, estimator.rank_on)
    options = options_of(estimator, TOL)
    words = estimator.get_params(deep=False)
    held = {name: words[name] for name in WORDS if name in words}
    result = fit_design(
        replace(data, gate_at=estimator.gate_at), estimator._family(), ks, options,
        gate=gate, constraints=held, criterion=criterion,
    )  # fmt: skip
    return Found.of(result, estimator.engine, estimator.n_starts == "auto")
