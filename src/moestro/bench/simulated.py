"""Does the search find the best optimum of simulated data, where the truth is a start that nobody has?"""

from __future__ import annotations

import time

import numpy as np

from ..measure import from_user
from ..problems import MixtureFit, fit_mixture
from ..search import Options
from ..tables import Table
from ..threads import thread_count
from .designs import read_simulated, simulate, truth
from .search import misses

SETS, SEEDS = 20, 5
N, D, K, CLASSES = 20_000, 10, 4, 3


def report(seeds: int = SEEDS, sets: int = SETS) -> str:
    """Text of the benchmark: multinomial experts, default fits from `seeds` seeds of each of `sets` sets.

    The best value of a set is the largest of its fits and of the fit that starts from the truth.
    """
    columns: dict[str, list] = {
        n: [] for n in ("set", "from the truth", "best", "reached", "lowest", "weak misses", "seconds")
    }
    hits = 0
    for number in range(sets):
        informed, fits, seconds = _fits(number, seeds)
        best = max(informed, *(f.log_likelihood for f in fits))
        missed, weak = misses(fits, best)
        hits += seeds - missed
        values = [
            number, informed, best, f"{seeds - missed} of {seeds}", min(f.log_likelihood for f in fits),
            weak, float(np.median(seconds)),
        ]  # fmt: skip
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    head = f"multinomial, n={N}, d={D}, k={K}, {CLASSES} classes, default fits from {seeds} seeds, all cores"
    share = f"{hits} of {sets * seeds} fits ({hits / (sets * seeds):.1%}) reach the best optimum"
    return f"{head}\n\n{Table(columns).to_text(3)}\n\n{share}\n"


def _fits(number: int, seeds: int) -> tuple[float, list[MixtureFit], list[float]]:
    """Log-likelihood from the truth, the fits, and their seconds."""
    x, y, law = simulate("multinomial", N, D, K, CLASSES, seed=number)
    rows, units = read_simulated(x, y, law)
    model, theta = truth("multinomial", D, K, CLASSES, np.random.default_rng(number))  # as `simulate` begins
    start = from_user(model, units, theta)
    threads = thread_count(None)
    informed = fit_mixture(model, rows, Options(initial=(start,), only_initial=True, threads=threads))
    fits, seconds = [], []
    for seed in range(seeds):
        begin = time.perf_counter()
        fits.append(fit_mixture(model, rows, Options(seed=seed, threads=threads)))
        seconds.append(time.perf_counter() - begin)
    return informed.log_likelihood, fits, seconds
