"""Fits of sparse gates, whose likelihood jumps where the ranking of the experts changes.

A gradient sees only the region of the present ranking, and with one expert selected it does not see the gate
at all. So fits are annealed from the dense gate by EM, which keeps a step only where the observed
log-likelihood does not fall; the solver asked for finishes within the region; and a pattern search moves the
boundaries of the regions, again only uphill.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..engine import Order, make_engine
from ..model import Model
from ..rows import Rows
from ..search import Options, seed_sequence
from ..solvers.coordinates import Coordinates
from ..solvers.status import StatusKind
from ..tables import Table

CHAINS = 4  # optima of the dense gate that a sparse one is annealed from
CHAIN_STARTS = 6
CHAIN_STEPS = 40
ROUNDS = 6  # of boundaries and experts in turn
GAIN = 1e-3  # log-likelihood that a move of a boundary must bring: far below what data can tell
FIRST_STEP, LAST_STEP = 0.3, 1e-5  # of the pattern search, relative to a coefficient's size
SHRINK = 0.4

Fitter = Callable[[Model, Rows, Options], Any]  # to a Fit


def fit_sparse(fit: Fitter, model: Model, rows: Rows, options: Options) -> Any:
    """Best of the annealed and the given starts; `fit` is the fit of one smooth problem."""
    path = model.gate.path(model.k)
    chains = [("given", theta) for theta in options.initial]
    if not options.only_initial:
        for number, own in enumerate(seed_sequence(options.seed).spawn(CHAINS)):
            starts = options.n_starts if number == 0 or options.n_starts != "auto" else CHAIN_STARTS
            dense = replace(options, seed=own, n_starts=starts, initial=())
            theta = fit(replace(model, gate=path[0]), rows, dense).theta
            for gate in (*path[1:], model.gate):
                short = _from(options, theta, solver="em", max_iter=CHAIN_STEPS)
                theta = fit(replace(model, gate=gate), rows, short).theta
            chains.append((f"annealed {number + 1}", theta))
    fits = [_settle(fit, model, rows, options, theta) for _, theta in chains]
    best = max(fits, key=lambda f: (f.status.usable, f.log_likelihood))
    table = Table(
        {
            "start": list(range(1, len(fits) + 1)),
            "strategy": [name for name, _ in chains],
            "rows": [rows.n] * len(fits),
            "log_likelihood": [f.log_likelihood for f in fits],
            "iterations": [f.n_iter for f in fits],
            "status": [("best: " if f is best else "polished: ") + str(f.status.kind) for f in fits],
        }
    )
    return replace(best, starts=table)


def _from(options: Options, theta: Any, **change: Any) -> Options:
    return replace(options, initial=(theta,), only_initial=True, **change)


def _settle(fit: Fitter, model: Model, rows: Rows, options: Options, theta: np.ndarray) -> Any:
    """Experts and boundaries in turn, until neither gains."""
    found = fit(model, rows, _from(options, theta))
    iterations = found.n_iter
    for _ in range(ROUNDS):
        moved = move_boundaries(model, rows, options, found.theta)
        if moved is None:
            break
        again = fit(model, rows, _from(options, moved))
        iterations += again.n_iter
        gain = again.log_likelihood - found.log_likelihood
        if gain > 0:
            found = again
        if gain <= GAIN:
            break
    if found.status.kind == StatusKind.LIMIT:
        found, iterations = _at_an_edge(fit, model, rows, options, found, iterations)
    return replace(found, n_iter=iterations)


def _at_an_edge(fit: Fitter, model: Model, rows: Rows, options: Options, found: Any, iterations: int) -> Any:
    """A maximum at a jump: the experts converge with the gate held there, and no boundary can be moved
    uphill."""
    theta: np.ndarray | None = found.theta
    for _ in range(ROUNDS):
        again = fit(model, rows, _from(options, theta, hold_gate=True))
        iterations += again.n_iter
        theta = move_boundaries(model, rows, options, again.theta)
        if theta is not None:
            continue
        if again.status.kind == StatusKind.LIMIT or again.log_likelihood < found.log_likelihood - GAIN:
            break
        sentence = f"{again.status.sentence}; the gate sits where the ranking of experts changes"
        free = Coordinates.of(model, rows.x_scaling, rows.z_scaling, options.box, rows.response_scaling)
        return replace(again, coordinates=free, status=replace(again.status, sentence=sentence)), iterations
    return found, iterations


def move_boundaries(model: Model, rows: Rows, options: Options, theta: np.ndarray) -> np.ndarray | None:
    """theta with gate coefficients that raise the log-likelihood, found one at a time; None where none
    does."""
    c = Coordinates.of(model, rows.x_scaling, rows.z_scaling, options.box, rows.response_scaling)
    engine = make_engine(model, rows, options.engine)
    phi = c.collapse(theta)
    gate = np.flatnonzero(c.block == 0)

    def value(at: np.ndarray) -> float:
        return engine.evaluate(c.expand(at), Order.VALUE).value

    start = best = value(phi)
    step = FIRST_STEP
    while step > LAST_STEP:
        gained = False
        for j in gate:
            for sign in (1.0, -1.0):
                trial = phi.copy()
                trial[j] = np.clip(phi[j] + sign * step * max(abs(phi[j]), 0.1), c.lower[j], c.upper[j])
                new = value(trial)
                if np.isfinite(new) and new > best + GAIN:
                    phi, best, gained = trial, new, True
                    break
        step = step if gained else step * SHRINK
    return c.expand(phi) if best > start else None
