"""Whole fits with default starts, and one start of R's flexmix on the same data."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from ..gates import SoftmaxGate
from ..model import Model
from ..problems import fit_mixture
from ..search import Options
from ..tables import Table
from ..threads import thread_count
from .designs import median_seconds, rows_of, simulate
from .flexmix import flexmix

CASES = (("multinomial", 10_000), ("gaussian", 10_000), ("gaussian", 100_000), ("poisson", 10_000))
K, D = 4, 10


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
    return f"whole fits, k={K}, d={D}, default starts, all cores\n\n{Table(columns).to_text(3)}\n"


def flexmix_start(family: str, x: np.ndarray, y: np.ndarray, seed: int = 1) -> tuple[float, float | None]:
    """One start of flexmix on simulated columns."""
    names = [f"x{j}" for j in range(x.shape[1])]
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder) / "data.csv"
        np.savetxt(csv, np.column_stack([y, x]), delimiter=",", header=",".join(["y", *names]), comments="")
        response = "factor(y)" if family == "multinomial" else "y"
        terms = " + ".join(names)
        return flexmix(csv, f"{response} ~ {terms}", terms, K, family, seed)
