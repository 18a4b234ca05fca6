"""Files larger than memory: whole fits from Parquet under a limit of memory, beside reading them once.

The log-likelihood is summed once more by a NumPy loop over the same files that shares no code with the fit.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..tables import Table
from .designs import truth

D, K = 10, 3
FILE, GROUP = 2_000_000, 500_000  # rows of a file, and of a row group
CODE = """
import json, sys, time
import numpy as np
from moestro import MoERegressor
folder, limit, threads, cache = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "cache"
names = ["x%d" % j for j in range({D})]
t, cpu = time.perf_counter(), time.process_time()
moe = MoERegressor.from_formula(
    "y ~ " + " + ".join(names), folder, n_experts={K}, random_state=0, n_jobs=threads, memory_limit=limit,
    cache=cache,
)
s, cpu = time.perf_counter() - t, time.process_time() - cpu
io, status = (
    dict(line.split(":") for line in open(f"/proc/self/{{name}}").read().splitlines())
    for name in ("io", "status")
)
m = moe.measure_
measure = {{
    "gate": np.column_stack([m.log_weights, m.gate_slopes]).tolist(),
    "experts": np.column_stack([m.intercepts[:, 0], m.slopes[:, 0]]).tolist(),
    "variances": np.exp(m.nuisances[:, 0]).tolist(),
}}
print(json.dumps({{
    "seconds": s, "cpu": cpu, "peak": int(status["VmHWM"].split()[0]) / 1024,
    "passes": moe.history_["passes"][-1], "read": int(io["rchar"]) / 1e9,
    "value": moe.log_likelihood_, "status": str(moe.status_.kind), "measure": measure,
}}))
"""


def make(folder: Path, n: int, file: int = FILE, group: int = GROUP) -> float:
    """Files of n rows, `file` in each and `group` in a row group; their size in bytes."""
    pa, pq = _arrow()
    rng = np.random.default_rng(0)
    model, theta = truth("gaussian", D, K, 0, rng)
    for i, start in enumerate(range(0, n, file)):
        path = folder / f"part-{i:05d}.parquet"
        with pq.ParquetWriter(path, pa.schema([(c, pa.float64()) for c in (*_names(), "y")])) as writer:
            for first in range(start, min(start + file, n), group):
                m = min(group, n - first, start + file - first)
                x = rng.standard_normal((m, D))
                features = np.column_stack([np.ones(m), x])
                y = model.sample(theta, features, features, rng)[0]
                writer.write_table(pa.table([*x.T, y], names=[*_names(), "y"]), row_group_size=m)
    return float(sum(path.stat().st_size for path in folder.iterdir()))


def read_once(folder: Path) -> float:
    """Seconds of reading every column of the files with pyarrow, a batch at a time."""
    _, pq = _arrow()
    start = time.perf_counter()
    for file in sorted(folder.iterdir()):
        for batch in pq.ParquetFile(file).iter_batches(65_536):
            for column in batch.columns:
                column.to_numpy(zero_copy_only=False)
    return time.perf_counter() - start


def summed_again(folder: Path, measure: dict[str, list]) -> float:
    """sum log sum_e exp(g_e) N(y; a_e + b_e'x, v_e) / sum_e exp(g_e) over the files, by its formula alone."""
    _, pq = _arrow()
    gate, experts, v = (np.array(measure[part]) for part in ("gate", "experts", "variances"))
    total = 0.0
    for file in sorted(folder.iterdir()):
        for batch in pq.ParquetFile(file).iter_batches(65_536):
            columns = [np.asarray(batch.column(name)) for name in (*_names(), "y")]
            f = np.column_stack([np.ones(len(columns[0])), *columns[:-1]])
            g = f @ gate.T
            density = -0.5 * (np.log(2 * np.pi * v) + (columns[-1][:, None] - f @ experts.T) ** 2 / v)
            top = (g + density).max(axis=1)
            total += float(np.sum(top + np.log(np.exp(g + density - top[:, None]).sum(axis=1))))
            total -= float(np.sum(np.log(np.exp(g - g.max(axis=1)[:, None]).sum(axis=1)) + g.max(axis=1)))
    return total


def fitted(folder: str, limit: str, threads: int, way: str) -> dict[str, Any]:
    """One fit in a process of its own, that reads the files in every pass, or keeps them in a cache."""
    command = [sys.executable, "-c", CODE.format(D=D, K=K), folder, limit, str(threads), way]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DataError(f"the fit from {way} failed: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout)


def report(n: int, limit: str = "2GB", threads: int = 2) -> str:
    """Text of the benchmark on n rows."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = make(folder, n)
        once = read_once(folder)
        ways = ("files", "cache")
        found = {way: fitted(name, limit, threads, way) for way in ways}
        again = summed_again(folder, found["files"]["measure"])
    each = {key: [found[way][key] for way in ways] for key in found["files"]}
    table = Table(
        {
            "rows": [n, n], "GB": [size / 1e9] * 2, "read_from": list(ways), "seconds": each["seconds"],
            "cpu": each["cpu"], "reads": [s / once for s in each["seconds"]], "passes": each["passes"],
            "peak_MB": each["peak"], "read_GB": each["read"], "log_likelihood": each["value"],
            "apart": [f"{abs(value - again) / abs(again):.1e}" for value in each["value"]],
            "status": each["status"],
        }
    )  # fmt: skip
    return "\n".join(
        [
            f"Gaussian experts, k={K}, d={D}, Parquet in row groups of {GROUP:,}, memory_limit {limit}, "
            f"{threads} threads", "", table.to_text(3), "",
            "read_from: the files in every pass, or a cache that the first pass leaves in the folder of "
            "temporary files.",
            "reads: seconds over those of reading the files once with pyarrow. passes: over all rows by the "
            "end of the polish.",
            "apart: relative difference from the sum of an independent NumPy loop over the files.",
        ]
    )  # fmt: skip


def _names() -> list[str]:
    return [f"x{j}" for j in range(D)]


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise DataError("files of Parquet need an extra: pip install 'moestro[parquet]'") from error
    return pa, pq
