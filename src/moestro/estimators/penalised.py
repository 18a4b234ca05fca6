"""How an estimator with a penalty fits: a path of strengths, and the choice on it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..api import number_of_experts
from ..design import ArrayDesign, Design, Observations
from ..design.groups import refuse_groups
from ..errors import DataError
from ..fitted import FittedModel
from ..gates import make_gate
from ..penalised import PenalisedFit, columns_of, fit_penalised, names_of, read
from ..penalised.fit import ACCEPTED
from ..penalised.path import TOL
from ..penalties import Penalty, make_penalty
from ..threads import thread_count
from .found import Found, Penalised
from .helpers import printer, seed_of
from .paths import RegularizationPath

# What solves a penalised fit is its own; these words say how a fit without a penalty is searched and solved.
WITHOUT = {"solver": "auto", "engine": "auto", "n_starts": "auto", "rank_by": "usable", "rank_on": "score", "max_iter": None}  # fmt: skip


def fit_one_penalty(estimator: Any, data: Observations) -> Found:
    """Fit by the words of a MoERegressor or MoEClassifier with a penalty: one number of experts."""
    penalty = make_penalty(estimator.penalty)
    if estimator.top_k is not None or make_gate(estimator.gate).name != "softmax":
        raise DataError("a penalty needs the softmax gate: leave out gate and top_k")
    for name, default in WITHOUT.items():
        if getattr(estimator, name) != default:
            raise DataError(
                f"{name}={getattr(estimator, name)!r} says nothing about a penalised fit, which has a solver of its own: leave it out"
            )
    ks, _ = number_of_experts(estimator.n_experts, estimator.max_experts)
    if len(ks) > 1:
        raise DataError(
            f"with a penalty n_experts must be a number, got {estimator.n_experts!r}: "
            "MoERegressorCV and MoEClassifierCV choose it together with the strength"
        )
    model, found = fit_at(estimator, data, ks[0], penalty, seed_of(estimator.random_state))
    return found_of(model, found)


def fit_at(
    estimator: Any, data: Observations, k: int, penalty: Penalty, seed: int, **how: Any
) -> tuple[FittedModel, PenalisedFit]:
    """k experts with a penalty; `how` as in `penalised.fit_penalised`."""
    refuse_groups(data.groups, "penalised fits")
    tol = TOL if estimator.tol is None else estimator.tol
    if not 0 < tol <= ACCEPTED:
        raise DataError(f"with a penalty tol must be positive and at most {ACCEPTED:g}, got {tol!r}")
    problem, units = read(
        data.design, data.x, data.z, data.y, data.w, estimator._family(), k, penalty, response=data.response,
        classes=data.classes, threads=thread_count(estimator.n_jobs), merge=how.get("criterion") != "cv",
    )  # fmt: skip
    progress = printer() if estimator.verbose else None
    found = fit_penalised(problem, penalty, seed=seed, tol=tol, progress=progress, **how)
    return FittedModel(data.design, units, found.fit), found


def found_of(model: FittedModel, found: PenalisedFit) -> Found:
    """What the estimator keeps of a penalised fit."""
    problem, point = found.path.problem, found.point
    gate, experts = columns_of(problem, point)
    path = RegularizationPath.of(model, found)
    chosen = Penalised(found.alpha, names_of(problem, point), support(model.design, gate, experts), path)
    return Found(model, found.table, penalised=chosen)


def support(design: Design, gate: np.ndarray, experts: np.ndarray) -> np.ndarray:
    """Which columns of the data the columns `gate` and `experts` of the design use, boolean (n_features,); of a formula: which columns of the
    design, the gate's first. A transform of the gate that is an object may mix its columns: a slope behind it counts for all of them.
    """
    if not isinstance(design, ArrayDesign):
        used = {design.gate_names[j] for j in gate} | {design.expert_names[j] for j in experts}
        return np.array([n in used for n in dict.fromkeys((*design.gate_names, *design.expert_names))])
    every = range(len(design.names))
    of_gate, of_experts = (
        np.array(every if c is None else c, dtype=int) for c in (design.gate, design.experts)
    )
    out = np.zeros(len(design.names), dtype=bool)
    out[of_experts[experts]] = True
    if design.transform is None or isinstance(design.transform, str):
        out[of_gate[gate]] = True
    elif len(gate):
        out[of_gate] = True
    return out
