"""Instructions of one pass of each kind, counted by valgrind's callgrind: a measure of speed without noise.

A child runs under callgrind, which counts only between two words of ``callgrind_control``: around one pass.
The instruction set is AVX2 on every machine, as valgrind has no AVX-512; counts are of one compiler and size,
and repeat to a few in a million.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from ..engine import Order
from ..errors import DataError
from ..tables import Table
from ..writing import write

N, D, K = 4096, 10, 4
ISA = "avx2"
MORE = 0.10  # share above the recorded count from which a pass has become slower
LIMIT = 900.0  # seconds of the child
RECORD = Path(__file__).with_name("instructions.json")
TOTAL = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)
FAMILIES = ("multinomial", "gaussian", "poisson")
KINDS = tuple(order.name.lower() for order in Order)
NEEDED = ("valgrind", "callgrind_control")
CODE = f"""
import os, subprocess, time
import numpy as np
from moestro.bench.designs import rows_of, simulate
from moestro.engine import NativeEngine, Order
from moestro.gates import SoftmaxGate
from moestro.model import Model
def say(*words):
    asked = subprocess.Popen(["callgrind_control", *words, str(os.getpid())], stdout=subprocess.DEVNULL)
    while asked.poll() is None:  # this process must run for valgrind to hear it
        time.sleep(0.02)
    if asked.returncode:
        raise SystemExit("callgrind_control failed")
made = []
for name in {FAMILIES}:
    x, y, family = simulate(name, {N}, {D}, {K})
    rows = rows_of(x, y, family)
    model = Model(SoftmaxGate(), family, {K}, rows.q, rows.p)
    theta = 0.3 * np.random.default_rng(1).standard_normal(model.size)
    made.append((NativeEngine(model, rows, 1, "{ISA}"), theta))
say("--instr=on")
for engine, theta in made:
    for order in range({len(KINDS)}):
        say("--zero")
        engine.evaluate(theta, Order(order))
        say("--dump")
"""


def missing() -> str:
    """Why nothing can be counted here, or ""."""
    lost = [name for name in NEEDED if shutil.which(name) is None]
    return f"{' and '.join(lost)} not found: install valgrind" if lost else ""


def counted() -> dict[str, float]:
    """Instructions a row of each kind of pass, by its name, "gaussian gradient".

    Raises
    ------
    DataError
        Where valgrind is not there, or does not run the child to its end.
    """
    if missing():
        raise DataError(missing())
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/out",
            sys.executable, "-c", CODE,
        ]  # fmt: skip
        own = os.environ | {
            "PYTHONHASHSEED": "0",
            "OPENBLAS_NUM_THREADS": "1",
            "OPENBLAS_CORETYPE": "Haswell",
        }
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, check=False, env=own, timeout=LIMIT
            )
        except subprocess.TimeoutExpired as error:
            raise DataError(f"valgrind took more than {LIMIT:.0f} s") from error
        if done.returncode:
            raise DataError(f"valgrind: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
        dumps = sorted(Path(folder).glob("out.*"), key=lambda file: int(file.suffix[1:]))
        return by_pass([int(TOTAL.findall(file.read_text())[-1]) for file in dumps])


def by_pass(totals: list[int]) -> dict[str, float]:
    """Counts a row by the name of the pass, of dumps in the order in which the passes ran."""
    names = [f"{family} {kind}" for family in FAMILIES for kind in KINDS]
    if len(totals) < len(names):
        raise DataError(f"callgrind wrote {len(totals)} counts for {len(names)} passes")
    return {name: total / N for name, total in zip(names, totals, strict=False)}


def slower(now: Mapping[str, float], before: Mapping[str, float]) -> list[str]:
    """Passes that need more than `MORE` above what was recorded, or are no longer counted, in words."""
    lost = [f"a {name} pass is recorded and was not counted" for name in before if name not in now]
    return lost + [
        f"a {name} pass takes {now[name]:.0f} instructions a row, {now[name] / count - 1:+.0%}"
        for name, count in before.items()
        if name in now and now[name] > (1 + MORE) * count
    ]


def recorded() -> dict[str, float]:
    """The counts of the last record."""
    return json.loads(RECORD.read_text()) if RECORD.exists() else {}


def report(record: bool = False) -> tuple[str, bool]:
    """Text of the benchmark, and whether no pass became slower; with `record` the counts are written anew."""
    if missing():
        return f"Instructions are not counted: {missing()}.", True
    before, now = recorded(), counted()
    if record:
        write(RECORD, json.dumps({name: round(v, 1) for name, v in now.items()}, indent=1) + "\n")
    found = [] if record else slower(now, before)
    columns = {
        "pass": list(now),
        "instructions": list(now.values()),
        "recorded": [before.get(n) for n in now],
    }
    lines = [f"Instructions a row: n={N}, d={D}, k={K}, {ISA}, one thread", "", Table(columns).to_text(1), ""]
    return "\n".join(lines + (found or ["No pass takes more than 10 % above its record."])), not found
