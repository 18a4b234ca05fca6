"""Tests of two experts against three: how often they reject where two are the truth, and where three are."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DataError, SearchWarning
from ..inference.estimates import wilson
from ..tables import Table
from .design import Arm, Row, Study, check_options

LEVEL = 0.05
REPLICATES = 99  # of a bootstrap test
QUICK = {"n_replicates": 19, "n_starts": 3}  # at smoke scale
# Intercept, slope in the first column, standard deviation; the slopes in other columns are 0.5.
APART = ((2.0, 2.0, 0.7), (-2.0, -1.0, 1.0))
CLOSE = ((0.6, 0.6, 0.7), (-0.6, -0.3, 1.0))
THIRD, FAR = (0.0, 0.0, 0.8), (0.0, -3.0, 0.8)
TRUTHS = {  # experts, columns; rows and data sets at paper scale, so that the whole takes an hour of one core
    "two apart": (APART, 1, 300, 500),
    "two that overlap": (CLOSE, 1, 300, 200),
    "two apart, three columns": (APART, 3, 1000, 100),
    "a third between": ((*APART, THIRD), 1, 300, 50),
    "a third far": ((*APART, FAR), 1, 300, 50),
}
SHARE = 0.15  # of a third expert


def arms(protocol: str, scale: str) -> list[Arm]:
    """Two experts, where 5 % are to be rejected, and three, where all are."""
    smoke = scale == "smoke"
    return [
        Arm(
            name, 3, (200,) if smoke else (n,), 2 if smoke else sets,
            {"experts": list(map(list, experts)), "columns": d}, dict(QUICK) if smoke else {},
        )
        for name, (experts, d, n, sets) in TRUTHS.items()
    ]  # fmt: skip


def check(arm: Arm) -> None:
    """Two or three experts of three numbers in some columns, tested as two against three."""
    check_options(arm, set(QUICK))
    for name, value in arm.options.items():
        least = round(1 / LEVEL) - 1 if name == "n_replicates" else 1
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise DataError(
                f"arm {arm.name!r}: {name} must be a whole number of at least {least}, got {value!r}"
            )
    try:
        experts = np.array(arm.truth["experts"], dtype=float)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"arm {arm.name!r}: the truth has no experts ({error})") from error
    if experts.shape not in ((2, 3), (3, 3)) or not np.isfinite(experts).all() or (experts[:, 2] <= 0).any():
        raise DataError(
            f"arm {arm.name!r}: experts must be two or three lists of an intercept, a slope, a deviation"
        )
    d = arm.truth.get("columns")
    if not isinstance(d, int) or isinstance(d, bool) or d < 1:
        raise DataError(f"arm {arm.name!r}: columns must be a whole number of at least 1, got {d!r}")
    if arm.k != 3:
        raise DataError(f"arm {arm.name!r}: two experts are tested against three, k is {arm.k}")


def draw(experts: np.ndarray, d: int, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Columns (n, d) and a response (n,); the log odds of the first two experts are 0.5 + x1."""
    x = rng.standard_normal((n, d))
    e = (rng.random(n) > 1 / (1 + np.exp(-0.5 - x[:, 0]))).astype(int)
    if len(experts) == 3:
        e[rng.random(n) < SHARE] = 2
    intercept, slope, sd = experts[e].T
    return x, intercept + slope * x[:, 0] + 0.5 * x[:, 1:].sum(axis=1) + sd * rng.standard_normal(n)


def fit(arm: Arm, protocol: str, n: int, rng: np.random.Generator) -> Row:
    """One data set, and what both tests say of it."""
    from ..estimators import MoERegressor
    from ..estimators.compared import bootstrap_test, vuong_test

    x, y = draw(np.array(arm.truth["experts"], dtype=float), arm.truth["columns"], n, rng)
    seed = int(rng.integers(2**31))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SearchWarning)  # a third expert of two often has no clear optimum
        search: dict[str, Any] = {
            "n_starts": arm.options.get("n_starts", "auto"),
            "random_state": seed,
            "n_jobs": 1,
        }
        two, three = (MoERegressor(k, **search).fit(x, y) for k in (2, 3))
    row: Row = {
        "log_likelihood": three.log_likelihood_,
        "iterations": three.n_iter_,
        "gradient": None,
        "status": str(three.status_.kind),
        "ratio": 2.0 * (three.log_likelihood_ - two.log_likelihood_),
        "bic": float(three.bic_ < two.bic_),
        "bootstrap": None,
        "replicates": None,
        "vuong": None,
    }
    try:
        B = arm.options.get("n_replicates", REPLICATES)
        # p <= LEVEL where fewer than so many reach the observed ratio: after them the answer cannot change.
        enough = int(LEVEL * (B + 1) + 1e-9)
        test = bootstrap_test(two, three, n_replicates=B, enough=enough, random_state=seed, n_jobs=1)
        row |= {"bootstrap": float(test.p <= LEVEL), "replicates": len(test.draws)}
        row["vuong"] = float(vuong_test(two, three).p_adjusted <= LEVEL)
    except DataError:
        pass  # a fit of no use is in the table of statuses
    return row


def table(rows: Sequence[Row], names: Sequence[str]) -> Table:
    """One row an arm and a size: how many experts are the truth, and per cent of the data sets in which three
    are preferred to two, with their intervals."""
    out: dict[str, list[Any]] = {
        n: [] for n in ("truth", "n", "data sets", "bootstrap", "adjusted Vuong", "BIC", "replicates")
    }
    for arm, n in dict.fromkeys((str(r["arm"]), r["n"]) for r in rows):
        own = [r for r in rows if r["arm"] == arm and r["n"] == n]
        used = [float(r["replicates"]) for r in own if r["replicates"] is not None]
        out["truth"].append(arm)
        out["n"].append(n)
        out["data sets"].append(len(used))
        for head, column in (("bootstrap", "bootstrap"), ("adjusted Vuong", "vuong"), ("BIC", "bic")):
            out[head].append(share([float(r[column]) for r in own if r[column] is not None]))
        out["replicates"].append(f"{np.mean(used):.0f}" if used else "")
    return Table(out)


def share(values: Sequence[float]) -> str:
    """Per cent of ones, and the 95 % interval of a probability (Wilson, 1927)."""
    if not values:
        return ""
    p = float(np.mean(values))
    low, high = wilson(p, len(values))
    low, high = max(low, 0.0), min(high, 1.0)
    return f"{100 * p:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


STUDY = Study(
    name="bootstrap-test",
    title="Two experts against three: size and power",
    paper="A simulation of our own",
    arms=arms,
    fit=fit,
    check=check,
    lines={},
    table=table,
    protocols=("as_defined",),
    differences=(
        "Gaussian experts of one or three columns, both models searched with the defaults. Per cent of data "
        f"sets in which three experts are preferred to two: by the bootstrap test at 5 % ({REPLICATES} "
        "replicates, fewer where so many of them reached the ratio of the data that the answer cannot "
        "change), by the adjusted test of Vuong, Lo, Mendell and Rubin at 5 %, and by BIC; in brackets "
        "95 % intervals (Wilson). With two experts as the truth a test should say 5; with three, 100. "
        "`replicates` is how many were drawn on average."
    ),
)
