"""Simulated data with a known truth, the same for every benchmark and peer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ..design import ArrayDesign, Units
from ..experts import Family, make_family
from ..gates import SoftmaxGate
from ..model import Model
from ..rows import Rows, read_rows

SLOPES = {"multinomial": 1.5, "gaussian": 1.0, "poisson": 0.3}  # standard deviation of an expert's slope


def truth(family: str, d: int, k: int, classes: int, rng: np.random.Generator) -> tuple[Model, np.ndarray]:
    """A softmax-gated mixture with normal slopes (`SLOPES`), and its parameters."""
    law = make_family(family, classes=classes)
    model = Model(SoftmaxGate(), law, k, d + 1, d + 1)
    gate = 1.5 * rng.standard_normal((k - 1, d + 1))
    experts = SLOPES[family] * rng.standard_normal((k, model.m, d + 1))
    gate[:, 0] *= 0.3
    experts[:, :, 0] *= 0.3
    return model, model.pack(gate, experts, rng.uniform(-1.5, 0.5, (k, law.nuisances)))


def simulate(
    family: str, n: int, d: int, k: int, classes: int = 3, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, Family]:
    """x (n, d) standard normal and y (n,) from `truth`."""
    rng = np.random.default_rng(seed)
    model, theta = truth(family, d, k, classes, rng)
    x, y = np.empty((n, d)), np.empty(n)
    for start in range(0, n, 65536):  # in pieces, so that the data are what memory goes to
        at = slice(start, min(start + 65536, n))
        x[at] = rng.standard_normal((at.stop - at.start, d))
        features = np.column_stack([np.ones(at.stop - at.start), x[at]])
        y[at] = model.sample(theta, features, features, rng)[0]
    return x, y, model.family


def simulate_panel(
    family: str, groups: int, rows: int, d: int, k: int, classes: int = 3, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x (n, d) standard normal, of which the first column is one number a group, y (n,) and the groups' ids
    (n,): all `rows` of a group come from one expert of `truth`, whose weights depend on that first column."""
    rng = np.random.default_rng(seed)
    model, theta = truth(family, d, k, classes, rng)
    gate = model.gate_coefficients(theta).copy()  # a view of theta
    gate[..., 2:] = 0.0
    theta = model.pack(gate, model.expert_coefficients(theta), model.nuisances(theta))
    ids = np.repeat(np.arange(groups), rows)
    x = rng.standard_normal((len(ids), d))
    x[:, 0] = x[::rows, 0][ids]
    features = np.column_stack([np.ones(len(x)), x])
    expert = model.sample(theta, features[::rows], features[::rows], rng)[1][ids]
    eta = model.predictors(theta, features)[np.arange(len(x)), expert]
    return x, model.family.sample(eta, rng), ids


def read_simulated(x: np.ndarray, y: np.ndarray, family: Family) -> tuple[Rows, Units]:
    """Rows and units of a simulated set."""
    design = ArrayDesign(tuple(f"x{j}" for j in range(x.shape[1])))
    return read_rows(design, x, None, y, None, family, classes=tuple(range(getattr(family, "classes", 0))))


def rows_of(x: np.ndarray, y: np.ndarray, family: Family) -> Rows:
    """Rows of a simulated set."""
    return read_simulated(x, y, family)[0]


def median_seconds(function: Callable[[], Any], repeats: int = 7) -> float:
    """Median wall time."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return float(np.median(times))
