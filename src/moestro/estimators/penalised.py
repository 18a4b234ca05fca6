"""How an estimator with a penalty fits: a path of strengths, and the choice on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ..api import WORDS
from ..design import ArrayDesign, Design, Observations
from ..design.response import check_constants
from ..errors import DataError
from ..fitted import FittedModel, Sample
from ..gates import make_gate
from ..penalised import ACCEPTED, TOL, ChosenFit, Likelihood, columns_of, fit_penalised, names_of
from ..penalties import Penalty, make_penalty
from ..rows import read_wide
from ..search import check_options
from ..selection.choice import number_of_experts
from .found import Found, Penalised
from .helpers import options_of, seed_of
from .paths import RegularizationPath

# What solves a penalised fit is its own; these words say how a fit without a penalty is solved and ranked.
WITHOUT = {"solver": "auto", "engine": "auto", "rank_by": "usable", "rank_on": "score"}


def fit_one_penalty(estimator: Any, data: Observations) -> Found:
    """Fit by the words of a MoERegressor or MoEClassifier with a penalty: one number of experts."""
    penalty = make_penalty(estimator.penalty)
    if estimator.top_k is not None or make_gate(estimator.gate).name != "softmax":
        raise DataError("a penalty needs the softmax gate: leave out gate and top_k")
    for name, default in WITHOUT.items():
        if getattr(estimator, name) != default:
            raise DataError(
                f"{name}={getattr(estimator, name)!r} does not apply to a penalised fit, "
                "which has a solver and a ranking of its own: leave it out"
            )
    words = estimator.get_params(deep=False)
    for name in WORDS:
        if words.get(name) is not None:
            raise DataError(
                f"{name} does not go with a penalty, which shrinks each coefficient by itself: leave it out"
            )
    data = replace(data, gate_at=estimator.gate_at)  # of groups, which are refused
    ks, _ = number_of_experts(estimator.n_experts, estimator.max_experts)
    if len(ks) > 1:
        raise DataError(
            f"with a penalty n_experts must be a number, got {estimator.n_experts!r}: "
            "MoERegressorCV and MoEClassifierCV choose it together with the strength"
        )
    return found_of(*fit_at(estimator, data, ks[0], penalty, seed_of(estimator.random_state)))


def fit_at(
    estimator: Any, data: Observations, k: int, penalty: Penalty, seed: int, **how: Any
) -> tuple[FittedModel, ChosenFit]:
    """k experts with a penalty; `how` as in `penalised.fit_penalised`."""
    data.refuse_beside("penalised fits")
    options = replace(options_of(estimator, TOL), seed=seed)
    check_options(options, k)
    if options.tol > ACCEPTED:
        raise DataError(f"with a penalty tol must be positive and at most {ACCEPTED:g}, got {options.tol!r}")
    family, merge = estimator._family(), how.get("criterion") != "cv"
    if family.ordered:
        raise DataError("penalised fits take classes without an order: leave out the penalty, or the order")
    if family.members:
        raise DataError("penalised fits take experts of one family: leave out the penalty, or name one")
    if family.nuisances and not family.has_variance:
        raise DataError(
            f"penalised fits take no {family.name} experts, whose dispersion is no variance: "
            "leave out the penalty, or use another family"
        )
    rows, units = read_wide(
        data.design, data.x, data.z, data.y, data.w, family, data.response, data.classes, merge
    )
    check_constants(len(data.classes), k, len(data.y), data.response)
    own, names = family.has_variance and penalty.scale == "expert", (units.gate_names, units.expert_names)
    likelihood = Likelihood(family, k, rows, *names, own_scale=own, threads=options.threads)
    found = fit_penalised(likelihood, penalty, options=options, **how)
    return FittedModel(data.design, units, found.fit, sample=Sample.of(data), dropped=data.dropped), found


def found_of(model: FittedModel, found: ChosenFit) -> Found:
    """What the estimator keeps of a penalised fit."""
    likelihood, slopes = found.path.likelihood, found.solution.slopes
    used = support(model.design, *columns_of(likelihood, slopes))
    path = RegularizationPath.of(model, found)
    chosen = Penalised(found.alpha, names_of(likelihood, slopes), used, path)
    return Found(model, found.table, penalised=chosen, searched=True)


def support(design: Design, gate: np.ndarray, experts: np.ndarray) -> np.ndarray:
    """Which columns of the data the columns `gate` and `experts` of the design use, boolean (n_features,); of
    a formula: which columns of the design, the gate's first.

    A transform of the gate that is an object may mix its columns: a slope behind it counts for all of them.
    """
    if not isinstance(design, ArrayDesign):
        used = {design.gate_names[j] for j in gate} | {design.expert_names[j] for j in experts}
        return np.array([n in used for n in dict.fromkeys((*design.gate_names, *design.expert_names))])
    of_gate, of_experts = design.sources("gate"), design.sources("experts")
    out = np.zeros(len(design.names), dtype=bool)
    out[of_experts[experts]] = True
    if design.transform is None or isinstance(design.transform, str):
        out[of_gate[gate]] = True
    elif len(gate):
        out[of_gate] = True
    return out
