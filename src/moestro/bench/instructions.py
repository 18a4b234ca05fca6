"""Instructions of one pass of each kind, counted by valgrind: a measure of speed without noise.

A child runs under callgrind, which counts only between two words of ``callgrind_control``: around one pass.
The counts are of one instruction set, one compiler and one size, and repeat to a few in a million.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ..errors import DataError
from ..tables import Table

N, D, K = 4096, 10, 4
MORE = 0.10  # share above the recorded count from which a pass has become slower
RECORD = Path(__file__).with_name("instructions.json")
TOTAL = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)
FAMILIES = ("multinomial", "gaussian", "poisson")
KINDS = ("value", "gradient", "information", "curvature")  # as `Order` numbers them
CODE = f"""
import os, subprocess, time
import numpy as np
from moestro.bench.designs import rows_of, simulate
from moestro.engine import NativeEngine, Order
from moestro.gates import SoftmaxGate
from moestro.model import Model
def say(*words):
    asked = subprocess.Popen(["callgrind_control", *words, str(os.getpid())], stdout=subprocess.DEVNULL)
    while asked.poll() is None:
        time.sleep(0.02)
    if asked.returncode:
        raise SystemExit("callgrind_control failed")
made = []
for name in {FAMILIES}:
    x, y, family = simulate(name, {N}, {D}, {K})
    rows = rows_of(x, y, family)
    model = Model(SoftmaxGate(), family, {K}, rows.q, rows.p)
    theta = 0.3 * np.random.default_rng(1).standard_normal(model.size)
    made.append((NativeEngine(model, rows, 1, "avx2"), theta))
say("--instr=on")
for engine, theta in made:
    for order in range({len(KINDS)}):
        say("--zero")
        engine.evaluate(theta, Order(order))
        say("--dump")
"""


def counted() -> dict[str, float]:
    """Instructions a row of each kind of pass, by its name, "gaussian gradient".

    Raises
    ------
    DataError
        Where valgrind is not installed.
    """
    if shutil.which("valgrind") is None or shutil.which("callgrind_control") is None:
        raise DataError("instructions are counted by valgrind, which is not installed")
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "valgrind", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/out",
            sys.executable, "-c", CODE,
        ]  # fmt: skip
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHONHASHSEED": "0"}
        )
        if done.returncode:
            raise DataError(f"valgrind: {done.stderr.strip().splitlines()[-1]}")
        dumps = sorted(Path(folder).glob("out.*"), key=lambda file: int(file.suffix[1:]))
        totals = [int(TOTAL.findall(file.read_text())[-1]) for file in dumps]
    names = [f"{family} {kind}" for family in FAMILIES for kind in KINDS]
    return {name: total / N for name, total in zip(names, totals[: len(names)], strict=True)}


def slower(now: dict[str, float], before: dict[str, float]) -> list[str]:
    """Passes that need more than `MORE` above what was recorded, in words."""
    return [
        f"a {name} pass takes {now[name]:.0f} instructions a row, {now[name] / count - 1:+.0%}"
        for name, count in before.items()
        if now[name] > (1 + MORE) * count
    ]


def recorded() -> dict[str, float]:
    """The counts of the last record."""
    return json.loads(RECORD.read_text())


def report(record: bool) -> str:
    """Text of the benchmark; with `record` the counts are written anew."""
    now = counted()
    if record:
        RECORD.write_text(json.dumps(now, indent=1) + "\n")
    before = recorded()
    table = Table(
        {
            "pass": list(now),
            "instructions_row": list(now.values()),
            "recorded": [before.get(name) for name in now],
        }
    )
    lines = [f"n={N}, d={D}, k={K}, avx2, one thread, callgrind", "", table.to_text(1), ""]
    return "\n".join(lines + (slower(now, before) or ["No pass takes more than 10 % above its record."]))
