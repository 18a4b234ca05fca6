"""Whole fits with default starts, of rows and of panels whose groups share their expert, and one start of R's
flexmix on the same data."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from ..api import fit_formula
from ..design.by_formula import Given
from ..gates import SoftmaxGate
from ..model import Model
from ..problems import fit_mixture
from ..search import Options
from ..tables import Table
from ..threads import thread_count
from .designs import median_seconds, rows_of, simulate, simulate_panel
from .flexmix import flexmix

CASES = (("multinomial", 10_000), ("gaussian", 10_000), ("gaussian", 100_000), ("poisson", 10_000))
K, D = 4, 10
PANELS = ("multinomial", "gaussian", "poisson")
GROUPS, EACH = 1000, 10


def report(flexmix: bool = False, only: str | None = None) -> str:
    """Text of the benchmark."""
    columns: dict[str, list] = {
        c: [] for c in ("family", "n", "seconds", "log_likelihood", "starts", "status")
    }
    if flexmix:
        columns |= {"flexmix_s": [], "flexmix_ll": [], "ratio": []}
    for family, n in CASES:
        if only not in (None, family):
            continue
        x, y, law = simulate(family, n, D, K)
        rows = rows_of(x, y, law)
        model = Model(SoftmaxGate(), law, K, rows.q, rows.p)
        options = Options(seed=0, threads=thread_count(None))
        fit = fit_mixture(model, rows, options)
        seconds = median_seconds(lambda m=model, r=rows, o=options: fit_mixture(m, r, o), 3)
        values = [family, n, seconds, fit.log_likelihood, len(fit.starts), str(fit.status.kind)]
        if flexmix:
            peer, value = flexmix_start(family, x, y)
            values += [peer, value, peer / seconds]
        for column, value in zip(columns, values, strict=True):
            columns[column].append(value)
    head = f"whole fits, k={K}, d={D}, default starts, all cores\n\n{Table(columns).to_text(3)}\n"
    return f"{head}\n{panels(flexmix, only)}"


def panels(flexmix: bool = False, only: str | None = None) -> str:
    """The same of groups of rows that share their expert."""
    import pandas as pd

    names = [f"x{j}" for j in range(D)]
    experts = f"y ~ {' + '.join(names)}"
    made: list[list] = []
    for family in PANELS:
        if only not in (None, family):
            continue
        x, y, ids = simulate_panel(family, GROUPS, EACH, D, K)
        y = y.astype(int) if family == "multinomial" else y
        frame = pd.DataFrame(x, columns=names).assign(y=y, id=ids)

        def fit(seed: int = 0, family: str = family, frame: Any = frame) -> Any:
            options = Options(seed=seed, threads=thread_count(None))
            return fit_formula(f"{experts} | x0", frame, family, [K], options, Given(groups="id"))

        found = fit().sweep.chosen
        seconds = median_seconds(fit, 3)
        made.append([family, seconds, found.log_likelihood, len(found.starts), str(found.status.kind)])
        if flexmix:
            peer, value = _flexmix(frame, experts, "x0", family, groups="id")
            made[-1] += [peer, value, peer / seconds]
    columns = ["family", "seconds", "log_likelihood", "starts", "status", "flexmix_s", "flexmix_ll", "ratio"]
    table = Table(dict(zip(columns, map(list, zip(*made, strict=True)), strict=False)))
    head = f"panels of {GROUPS} groups of {EACH} rows, k={K}, d={D}, the gate on a column of the groups"
    return f"{head}\n\n{table.to_text(3)}\n"


def flexmix_start(family: str, x: np.ndarray, y: np.ndarray, seed: int = 1) -> tuple[float, float | None]:
    """One start of flexmix on simulated columns."""
    import pandas as pd

    names = [f"x{j}" for j in range(x.shape[1])]
    terms = " + ".join(names)
    return _flexmix(pd.DataFrame(x, columns=names).assign(y=y), f"y ~ {terms}", terms, family, seed)


def _flexmix(
    frame: Any, formula: str, gate: str, family: str, seed: int = 1, groups: str | None = None
) -> tuple[float, float | None]:
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder) / "data.csv"
        frame.to_csv(csv, index=False)
        if family == "multinomial":
            formula = formula.replace("y ~", "factor(y) ~")
        return flexmix(csv, formula, gate, K, family, seed, groups=groups)
