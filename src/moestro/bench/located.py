"""Located models: an EM iteration against its floor, whole fits beside other Gaussian mixtures, and growth
with the rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from .. import _core
from ..located import fit_located
from ..located.data import Data
from ..located.specification import Specification
from ..tables import Table
from ..threads import thread_count
from .designs import median_seconds
from .growth import grown

N, D, K = 100_000, 10, 4
CASES = ((2, 4), (6, 3), (11, 4), (20, 3))  # columns, components
STRUCTURES = ("isotropic", "diagonal", "full", "blocks", "factors")

CODE = """
import json, resource, sys, time
from moestro.bench.located import simulate
from moestro.located import fit_located
x, y = simulate(int(sys.argv[1]))
fit_located(*simulate(5000), {K}, n_starts=2, seed=0)
held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
t = time.perf_counter()
fit = fit_located(x, y, {K}, seed=0)
s = time.perf_counter() - t
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([s, (peak - held) / 1024, fit.log_likelihood / len(x), str(fit.status.kind)]))
"""


def simulate(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """x (n, 10) in four clusters, y (n,) linear in each."""
    rng = np.random.default_rng(seed)
    centres, slopes = 3 * rng.standard_normal((K, D)), rng.standard_normal((K, D))
    roots = rng.standard_normal((K, D, D)) / np.sqrt(D) + 0.5 * np.eye(D)
    z = rng.integers(K, size=n)
    x = np.empty((n, D))
    for e in range(K):
        x[z == e] = centres[e] + rng.standard_normal((int((z == e).sum()), D)) @ roots[e].T
    return x, np.einsum("nd,nd->n", slopes[z], x) + z + 0.5 * rng.standard_normal(n)


def report(max_rows: int) -> str:
    """Text of the benchmark."""
    parts = [iterations(), structured(), wide(), whole_fits(), growth(max_rows)]
    return "\n".join(parts)


def iterations() -> str:
    """One EM iteration of a full joint mixture: k (2 J) multiply-adds and k exponentials a row, J monomials
    of degree two."""
    columns: dict[str, list] = {
        c: [] for c in ("columns", "k", "threads", "ms", "floor_ms", "share_of_floor")
    }
    fma, exp = _core.fma_per_second("", 0.3), _core.exp_per_second("", 0.3)
    rng = np.random.default_rng(0)
    for d, k in CASES:
        rows = rng.standard_normal((N, d))
        J = 1 + d + d * (d + 1) // 2
        theta = 0.01 * rng.standard_normal((k, J))
        for threads in sorted({1, thread_count(None)}):
            seconds = median_seconds(
                lambda r=rows, t=theta, c=threads: _core.mixture_sums(r, None, t, c, ""), 15
            )
            floor = N * ((2 * k + 1) * J / fma + k / exp) / threads
            for column, value in zip(
                columns, (d, k, threads, 1e3 * seconds, 1e3 * floor, floor / seconds), strict=True
            ):
                columns[column].append(value)
    return f"one EM iteration of a full joint mixture, n={N}\n\n{Table(columns).to_text(2)}\n"


def structured() -> str:
    """One EM iteration of each structure of four outputs, in NumPy."""
    x, _ = simulate(N)
    columns: dict[str, list] = {"covariance": [], "ms": [], "degree_2_ms": [], "student_ms": []}
    more: dict[str, dict[str, Any]] = {"blocks": {"blocks": [[0, 1], [2, 3]]}, "factors": {"rank": 1}}
    for name in STRUCTURES:
        columns["covariance"].append(name)
        for column, options in (
            ("ms", {"tied": True}),
            ("degree_2_ms", {"degree": 2}),
            ("student_ms", {"student": True}),
        ):
            settings: dict[str, Any] = {**more.get(name, {}), **options}
            spec = Specification(covariance=name, **settings)
            problem: Any = Data.read(x[:, :1], x[:, 1:5], None, spec, K).problem(spec, K)
            r = np.random.default_rng(0).dirichlet(np.ones(K), N)
            state = problem.em(problem.statistics(r)[None], None)
            columns[column].append(1e3 * median_seconds(lambda p=problem, s=state: p.em(s[2], s[0]), 5))
    return (
        f"one EM iteration of structured models, 1 input, 4 outputs, k={K}, "
        f"n={N}\n\n{Table(columns).to_text(1)}\n"
    )


def wide() -> str:
    """A thousand outputs of two hundred rows, predicted from by inverse regression."""
    rng = np.random.default_rng(1)
    n, q = 200, 1000
    t = rng.uniform(-2, 2, n)
    z = (t > 0).astype(int)
    noise = rng.standard_normal((n, q)) + 1.2 * np.repeat(rng.standard_normal((n, q // 5)), 5, axis=1)
    x = rng.standard_normal((2, q))[z] * t[:, None] + rng.standard_normal((2, q))[z] + 0.5 * noise
    columns: dict[str, list] = {
        c: [] for c in ("covariance", "seconds", "parameters", "log_likelihood", "rmse_of_y", "status")
    }
    how: dict[str, dict[str, Any]] = {"isotropic": {}, "diagonal": {}, "factors": {"rank": 3}, "blocks": {}}
    for name, more in how.items():
        fit = fit_located(x, t, 2, direction="inverse", covariance=name, seed=0, **more)
        seconds = median_seconds(
            lambda c=name, m=more: fit_located(x, t, 2, direction="inverse", covariance=c, seed=0, **m), 3
        )
        rmse = float(np.sqrt(((fit.measure.law(x).mean()[:, 0] - t) ** 2).mean()))
        values = (name, seconds, fit.n_parameters, fit.log_likelihood, rmse, str(fit.status.kind))
        for column, value in zip(columns, values, strict=True):
            columns[column].append(value)
    return (
        f"inverse regression, n={n}, {q} columns, k=2, default starts (blocks: "
        f"learned)\n\n{Table(columns).to_text(3)}\n"
    )


def whole_fits() -> str:
    """Full covariances: the same model as scikit-learn's GaussianMixture and gmr's GMM on (x, y)."""
    x, y = simulate(N)
    rows = np.column_stack([x, y])
    columns: dict[str, list] = {
        c: [] for c in ("library", "starts", "seconds", "per_start_s", "log_likelihood")
    }

    def add(name: str, starts: int, run: Callable[[int], float]) -> None:
        values = [run(seed) for seed in range(3)]
        seconds = median_seconds(lambda: run(0), 3)
        for column, value in zip(
            columns, (name, starts, seconds, seconds / starts, min(values)), strict=True
        ):
            columns[column].append(value)

    evidence = fit_located(x, y, K, seed=0).evidence
    assert evidence is not None
    add("moestro, default", evidence.runs, lambda s: fit_located(x, y, K, seed=s).log_likelihood)
    add("moestro, one start", 1, lambda s: fit_located(x, y, K, n_starts=1, seed=s).log_likelihood)
    from sklearn.mixture import GaussianMixture

    def sklearn(seed: int) -> float:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return GaussianMixture(K, random_state=seed).fit(rows).score(rows) * N

    add("scikit-learn", 1, sklearn)
    try:
        mixture: Any = import_module("gmr").GMM
    except ImportError:
        return f"whole fits, d={D}, k={K}, n={N} (pip install gmr to add it)\n\n{Table(columns).to_text(3)}\n"

    def gmr(seed: int) -> float:
        model = mixture(K, random_state=seed).from_samples(rows)
        return float(np.log(model.to_probability_density(rows)).sum())

    add("gmr", 1, gmr)
    return (
        f"whole fits, d={D}, k={K}, n={N}; log-likelihood is the least of 3 "
        f"seeds\n\n{Table(columns).to_text(3)}\n"
    )


def growth(max_rows: int) -> str:
    """Time and memory against the number of rows, each size in a process of its own."""
    return f"whole fits with default starts, d={D}, k={K}\n\n{grown(CODE.format(K=K), max_rows)}"
