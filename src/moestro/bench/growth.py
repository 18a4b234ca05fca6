"""Time and memory against the number of rows. Each size runs in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np

from ..tables import Table

K, D = 4, 10
CODE = """
import json, resource, sys, threading, time
from moestro.bench.designs import rows_of, simulate
from moestro.gates import SoftmaxGate
from moestro.model import Model
from moestro.problems import fit_mixture
from moestro.search import Options
from moestro.threads import thread_count
n = int(sys.argv[1])
small = simulate("gaussian", 20000, {D}, {K})
rows = rows_of(*small)
fit_mixture(Model(SoftmaxGate(), small[2], {K}, rows.q, rows.p), rows, Options(seed=0, n_starts=2))
x, y, law = simulate("gaussian", n, {D}, {K})
held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
t = time.perf_counter()
rows = rows_of(x, y, law)
model = Model(SoftmaxGate(), law, {K}, rows.q, rows.p)
fit = fit_mixture(model, rows, Options(seed=0, threads=thread_count(None)))
s = time.perf_counter() - t
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([s, (peak - held) / 1024, fit.log_likelihood / n, str(fit.status.kind)]))
"""


def report(max_rows: int) -> str:
    """Text of the benchmark, Gaussian experts, sizes 10^4, 10^4.5, ... up to `max_rows`."""
    return (
        f"whole fits with default starts, Gaussian, k={K}, d={D}\n\n{grown(CODE.format(D=D, K=K), max_rows)}"
    )


def grown(code: str, max_rows: int) -> str:
    """Table and slope of a program that takes a number of rows and prints seconds, memory, log-likelihood a
    row and status."""
    sizes = [round(10 ** float(e)) for e in np.arange(4, np.log10(max_rows) + 1e-9, 0.5)]
    columns: dict[str, list] = {c: [] for c in ("n", "seconds", "extra_MB", "ll_per_row", "status")}
    for n in sizes:
        done = subprocess.run(
            [sys.executable, "-c", code, str(n)], capture_output=True, text=True, check=True
        )
        for column, value in zip(columns, [n, *json.loads(done.stdout)], strict=True):
            columns[column].append(value)
    slope = float("nan")
    if len(sizes) > 1:
        slope = float(np.polyfit(np.log(sizes), np.log(columns["seconds"]), 1)[0])
    return (
        f"{Table(columns).to_text(3)}\n\ntime grows as n^{slope:.2f}; "
        "extra_MB is peak memory beyond the data\n"
    )
