"""What a person waits for before anything is computed."""

from __future__ import annotations

import subprocess
import sys

import numpy as np

from ..datasets import dataset_path
from ..experts import make_family
from ..gates import SoftmaxGate
from ..model import Model
from ..problems import fit_mixture
from ..search import Options
from ..tables import Table
from ..threads import thread_count
from .designs import median_seconds, rows_of


def report() -> str:
    """Text of the benchmark."""
    from ..datasets import load_dataset

    tone = load_dataset("tone").columns
    law = make_family("gaussian")
    rows = rows_of(np.array(tone["stretchratio"])[:, None], np.array(tone["tuned"]), law)
    model = Model(SoftmaxGate(), law, 2, rows.q, rows.p)
    options = Options(seed=0, threads=thread_count(None))
    path = str(dataset_path("tone"))
    command = [sys.executable, "-m", "moestro", "fit", path, "-f", "tuned ~ stretchratio", "-k", "2"]

    def run(arguments: list[str]) -> None:
        subprocess.run(arguments, check=True, capture_output=True)

    times = {
        "python -c pass": median_seconds(lambda: run([sys.executable, "-c", "pass"]), 5),
        "python -c 'import moestro'": median_seconds(
            lambda: run([sys.executable, "-c", "import moestro"]), 5
        ),
        "fit of 150 rows, k=2, default starts, in-process": median_seconds(
            lambda: fit_mixture(model, rows, options), 15
        ),
        "moestro fit tone.csv -k 2, whole process": median_seconds(lambda: run(command), 5),
    }
    return Table({"what": list(times), "milliseconds": [t * 1e3 for t in times.values()]}).to_text(1) + "\n"
