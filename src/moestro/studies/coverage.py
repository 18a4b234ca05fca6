"""How often intervals cover: every covariance, for coefficients, shares, average slopes and means."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import DataError
from ..solvers import StatusKind
from ..tables import Table
from .claims import mean_interval
from .coverage_data import FAMILIES, SITUATIONS, Sample, estimator
from .design import Arm, Row, Study, check_options

KINDS = ("observed", "sandwich", "cluster", "bootstrap", "profile")
QUANTITIES = ("coefficients", "shares", "slopes", "means")
COLUMNS = tuple(
    f"{kind} {what}" for kind in KINDS for what in QUANTITIES[: 4 if KINDS.index(kind) < 3 else 1]
)
TARGET = 200_000  # rows of the fit whose parameters are to be covered
DRAWS = 100  # of a bootstrap
SHARE = 0.2  # of the data sets with the bootstrap and profiles
AT = (-1.0, 1.0)  # columns at which means are estimated
STEP = 1e-4  # of a difference of predictions


def arms(protocol: str, scale: str) -> list[Arm]:
    """Every family in every situation; rows of a group are dependent already."""
    sizes, replicates = ((500,), 2) if scale == "smoke" else ((500, 2000), 1000)
    return [
        Arm(f"{family}, {situation}", 2, sizes, replicates, {"family": family, "situation": situation})
        for family in FAMILIES
        for situation in SITUATIONS
        if not (family == "multinomial with groups" and situation == "clustered")
        and not (family == "overlapping" and situation != "right")
    ]


def check(arm: Arm) -> None:
    """A family, a situation, and the share of data sets with refits."""
    check_options(arm, {"refits"})
    if arm.truth.get("family") not in FAMILIES or arm.truth.get("situation") not in SITUATIONS:
        raise DataError(
            f"arm {arm.name!r}: family must be one of {', '.join(FAMILIES)}, situation one of "
            f"{', '.join(SITUATIONS)}"
        )
    share = arm.options.get("refits", SHARE)
    if not isinstance(share, int | float) or not 0 <= share <= 1:
        raise DataError(f"arm {arm.name!r}: refits must be a share of the data sets, got {share!r}")
    if arm.k != 2:
        raise DataError(f"arm {arm.name!r}: the truth has two experts, k is {arm.k}")


@lru_cache(maxsize=32)
def target(family: str, situation: str) -> Any:
    """What is to be covered: the fit to very many rows, the best approximation where no model is right."""
    data = FAMILIES[family](TARGET, situation, np.random.default_rng(0))
    return estimator(family, 0).fit(data.x, data.y, **_grouped(data))


def fit(arm: Arm, protocol: str, n: int, rng: np.random.Generator) -> Row:
    """One data set, and which share of the intervals of each kind covers."""
    family, situation = arm.truth["family"], arm.truth["situation"]
    data = FAMILIES[family](n, situation, rng)
    moe = estimator(family, int(rng.integers(2**31))).fit(data.x, data.y, **_grouped(data))
    refits = rng.random() < arm.options.get("refits", SHARE)
    seed = int(rng.integers(2**31))
    row: Row = {
        "log_likelihood": moe.log_likelihood_,
        "iterations": moe.n_iter_,
        "gradient": None,
        "status": str(moe.status_.kind),
    }
    if moe.status_.kind not in (StatusKind.CONVERGED, StatusKind.FLAT):
        return row | dict.fromkeys(COLUMNS)
    truth, order = _matched(moe, target(family, situation))
    ways: list[tuple[str, dict[str, Any]]] = [("observed", {}), ("sandwich", {})]
    ways.append(("cluster", {"cluster": data.clusters}))  # of whole groups, where there are any
    for kind, how in ways:
        found = _intervals(moe, data, {"cov": kind, **how}, order, target(family, situation))
        for what, (intervals, values) in {
            **found,
            "coefficients": _coefficients(moe, truth, kind, how),
        }.items():
            row[f"{kind} {what}"] = _covered(intervals, values)
    if refits:
        boot = {"n_bootstrap": DRAWS, "random_state": seed}
        row["bootstrap coefficients"] = _covered(*_coefficients(moe, truth, "bootstrap", boot))
        if family != "located":
            row["profile coefficients"] = _covered(*_profiles(moe, truth))
    return {**dict.fromkeys(COLUMNS), **row}


def _grouped(data: Sample) -> dict[str, Any]:
    return {} if data.groups is None else {"groups": data.groups}


def _matched(moe: Any, goal: Any) -> tuple[dict[str, float], list[int]]:
    """The goal's coefficients by the labels of `moe`, and order[e], the goal's number of its expert e."""

    def of(fit: Any) -> dict[tuple[int, str, str], float]:
        rows = [r for r in fit.tidy() if r["part"] == "expert" and "variance" not in r["term"]]
        return {(r["component"], r.get("outcome", ""), r["term"]): r["estimate"] for r in rows}

    mine, its = of(moe), of(goal)
    gap = {
        order: sum(abs(v - its[order[e - 1], o, t]) for (e, o, t), v in mine.items())
        for order in ((1, 2), (2, 1))
    }
    order = min(gap, key=lambda o: gap[o])
    truth = {":".join([str(e), *([o] if o else []), t]): its[order[e - 1], o, t] for (e, o, t) in mine}
    return truth, [e - 1 for e in order]


Intervals = tuple[list[tuple[Any, Any]], list[float]]


def _coefficients(moe: Any, truth: dict[str, float], kind: str, how: dict[str, Any]) -> Intervals:
    rows = moe.inference(kind, **how).rows()
    labels = moe.parameter_names_
    found = {name: (r["low"], r["high"]) for name, r in zip(labels, rows, strict=True) if name in truth}
    return list(found.values()), [truth[name] for name in found]


def _profiles(moe: Any, truth: dict[str, float]) -> Intervals:
    out = []
    for name in truth:
        try:
            row = moe.profile(name)[0]
            out.append((row["low"], row["high"]))
        except DataError:
            out.append((None, None))
    return out, list(truth.values())


def _intervals(
    moe: Any, data: Sample, how: dict[str, Any], order: list[int], goal: Any
) -> dict[str, Intervals]:
    """Of shares, average slopes and means, given the columns."""

    def average(x: np.ndarray) -> np.ndarray:
        mean = goal.predict_proba(x) if hasattr(goal, "predict_proba") else goal.predict(x)
        return np.atleast_1d(mean.mean(axis=0))

    def of(table: Table) -> list[tuple[Any, Any]]:
        return list(zip(table["low"], table["high"], strict=True))

    out: dict[str, Intervals] = {}
    shares = moe.classification(**how).shares
    located = type(goal).__name__ == "LocatedMoERegressor"
    whole = goal.measure_.weights if located else goal.gate_proba(data.x).mean(axis=0)
    out["shares"] = of(shares)[:1], [float(whole[order[0]])]
    slope = (average(data.x + STEP) - average(data.x - STEP)) / (2 * STEP)
    out["slopes"] = of(moe.margins(data.x, of="mixture", **how)), slope.tolist()
    means: Intervals = ([], [])
    for value in AT:
        point = np.full((1, 1), value)
        means[0].extend(of(moe.margins(point, of="mixture", kind="predictions", **how)))
        means[1].extend(average(point).tolist())
    out["means"] = means
    return out


def _covered(intervals: Sequence[tuple[Any, Any]], values: Sequence[float]) -> float | None:
    """The share of the intervals that cover; None where there is no interval."""
    inside = [
        low <= v <= high
        for (low, high), v in zip(intervals, values, strict=True)
        if low is not None and high is not None
    ]
    return float(np.mean(inside)) if inside else None


def table(rows: Sequence[Row], names: Sequence[str]) -> Table:
    """One row an arm, a size and a kind: coverage of each quantity in per cent, and half the width of its
    interval."""
    out: dict[str, list[Any]] = {n: [] for n in ("arm", "n", "intervals", "data sets", *QUANTITIES)}
    for arm, n in dict.fromkeys((str(r["arm"]), r["n"]) for r in rows):
        own = [r for r in rows if r["arm"] == arm and r["n"] == n]
        for kind in KINDS:
            found = {
                w: [float(r[c]) for r in own if r.get(c := f"{kind} {w}") is not None] for w in QUANTITIES
            }
            if not any(found.values()):
                continue
            out["arm"].append(arm)
            out["n"].append(n)
            out["intervals"].append(kind)
            out["data sets"].append(max(map(len, found.values())))
            for what, values in found.items():
                out[what].append(_percent(np.array(values)) if values else "")
    return Table(out)


def _percent(values: np.ndarray) -> str:
    mean, low, _ = mean_interval(100 * values)
    return f"{mean:.1f} ± {mean - low:.1f}" if len(values) > 1 else f"{mean:.1f}"


STUDY = Study(
    name="coverage",
    title="Coverage of 95 % intervals",
    paper="A simulation of our own",
    arms=arms,
    fit=fit,
    check=check,
    lines={},
    table=table,
    protocols=("as_defined",),
    differences=(
        f"Two experts of one column. What is to be covered are the parameters of the fit to {TARGET} "
        "rows, the best approximation where the model is not right; experts are matched by their "
        "coefficients. Clusters are of ten rows whose column and noise are correlated by one half; "
        "the model of a single row is then right. Heteroscedastic: the log standard deviation grows "
        "with the column, rates have a gamma factor, groups scale their predictors. Coefficients are "
        "those of the experts; shares, average slopes and means (at -1 and 1) are given the columns. "
        f"The bootstrap ({DRAWS} draws of weights of rows, not of clusters) and profiles are computed "
        "for about every fifth data set, profiles not for located experts. A data set whose fit is "
        "separated, thin or collapsed has no intervals and is not counted."
    ),
)
