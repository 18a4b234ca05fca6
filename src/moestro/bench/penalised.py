"""Penalised paths: time, optimality, memory, and what is selected."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import numpy as np

from ..estimators import MoERegressor, alpha_path
from ..tables import Table

SEEDS = 20


def report() -> str:
    """Text of the benchmark."""
    return f"{_paths()}\n\n{_recovery()}\n"


def _paths() -> str:
    columns: dict[str, list[Any]] = {
        n: [] for n in ("design", "n", "p", "k", "strengths", "seconds", "worst violation", "peak MB")
    }
    x, y = classes(2000, 100)
    wide, z = crossing(0, 500, 10_000)
    for name, X, t, family, k in (
        ("3 classes", x, y, "multinomial", 3),
        ("Gaussian, wide", wide, z, "gaussian", 2),
    ):
        start = time.perf_counter()
        path = alpha_path(X, t, n_experts=k, family=family, alphas=50, random_state=0)
        row = [
            name, *X.shape, k, len(path), time.perf_counter() - start, max(path.table["violation"]), peak(),
        ]  # fmt: skip
        for column, value in zip(columns, row, strict=True):
            columns[column].append(value)
    return f"a path of 50 strengths, from the largest down to where it ends\n{Table(columns).to_text(3)}"


def _recovery() -> str:
    missed, false, seconds = [], [], []
    for seed in range(SEEDS):
        x, y = crossing(seed, 400, 1000)
        start = time.perf_counter()
        found = set(MoERegressor(2, penalty="l1", random_state=0).fit(x, y).selected_)
        seconds.append(time.perf_counter() - start)
        true = {f"x{j}" for j in range(5)}
        missed.append(len(true - found))
        false.append(len(found - true))
    return (
        f"two experts, 5 true columns of 1000, n = 400, {SEEDS} seeds, default selection: missed {missed} "
        f"(median {np.median(missed):g}), "
        f"false {false} (median {np.median(false):g}), median {np.median(seconds):.1f} s a fit"
    )


def crossing(seed: int, n: int, p: int) -> tuple[np.ndarray, np.ndarray]:
    """Crossing lines: x0 and x1 in the gate, x2, x3 and x4 in the experts."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p))
    z = rng.random(n) < 1 / (1 + np.exp(-1.5 * (x[:, 0] - x[:, 1])))
    y = np.where(z, 2 * x[:, 2] + 1.5 * x[:, 3], -2 * x[:, 2] + 1.5 * x[:, 4])
    return x, y + 0.5 * rng.normal(size=n)


def classes(n: int, p: int) -> tuple[np.ndarray, np.ndarray]:
    """Three experts on three classes: x0 and x1 in the gate, x2 to x5 in the experts."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, p))
    gate, slopes = np.zeros((3, p)), np.zeros((3, 3, p))
    gate[0, 0], gate[1, 1], gate[2, 0] = 2.0, 2.0, -1.0
    slopes[:, :, 2:6] = 2 * rng.normal(size=(3, 3, 4))

    def draw(scores: np.ndarray) -> np.ndarray:
        return np.argmax(scores + rng.gumbel(size=scores.shape), axis=1)

    expert = draw(x @ gate.T)
    return x, draw(np.einsum("nd,ecd->nec", x, slopes)[np.arange(n), expert])


def peak() -> float:
    """Largest resident memory of this process so far, MB."""
    unit = 1.0 if sys.platform == "darwin" else 1024.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
