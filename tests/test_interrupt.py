"""Ctrl-C stops within a second and leaves no thread and no half-written file."""

import os
import signal
import subprocess
import sys
import time

import pytest

# A shell that runs the suite in the background ignores the signal, and children inherit that.
CODE = """
import signal, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
from moestro.bench.designs import rows_of, simulate
from moestro.gates import SoftmaxGate
from moestro.model import Model
from moestro.problems import fit_mixture
from moestro.search import Options
x, y, law = simulate("multinomial", {n}, 8, 4)
rows = rows_of(x, y, law)
model = Model(SoftmaxGate(), law, 4, rows.q, rows.p)
print("ready", flush=True)
try:
    while True:
        fit_mixture(model, rows, Options(seed=0, threads=2))
except KeyboardInterrupt:
    alive = [t.name for t in threading.enumerate() if t is not threading.main_thread()]
    print("stopped", alive, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize(("n", "wait"), [(3000, 0.15), (400_000, 1.5)])
def test_interrupt(n, wait):
    process = subprocess.Popen([sys.executable, "-c", CODE.format(n=n)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(wait)
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    try:
        rest, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    took = time.monotonic() - sent
    assert rest == "stopped []\n"
    # A promise to people, not a benchmark: one second, and one more for a busy machine.
    assert took < 2.0
