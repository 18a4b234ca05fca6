"""The search for the best optimum: runs from varied starts and from moves between optima, until the evidence
says enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .candidates import Candidate, Optimum
from .evidence import Evidence, chance
from .moves import MOVES, TURNS, cross
from .options import Options
from .problem import Problem, price
from .stage import Stage

WAVE = len(TURNS)  # moves tried at once
ENOUGH = 5  # times that the best optimum is to be found
SURE = 0.3  # chance of a better optimum below which the search may end
NEW = 0.3  # chance of an optimum not seen, be it worse, below which it may
# rows x parameters up to which it is held to these two; where a pass is dearer, so many times more is
# accepted, but never a chance of a better optimum above UNSURE
CHEAP, UNSURE = 2e4, 0.5
# waves of moves without a better optimum that end the search, where a pass costs a quarter of CHEAP or more,
# and where it costs next to nothing
STALE, PATIENT = 2, 6
SAME_ON_ALL = 0.05  # log-likelihood within which finalists that took a few steps on all rows are one optimum
FAMILY = 5  # best optima that moves begin from
PLAIN = 3  # waves before which optima are not crossed
WIDENED = 3  # moves of a wave from optima that were refused, where there are any
CROSSED, MATES = 3, 30  # of how many moves one is a crossover after those; optima it may take an expert from


def explore(
    stage: Stage,
    options: Options,
    starts: int,
    nested: Sequence[Any],
    seed: np.random.SeedSequence,
    ladder: bool = False,
) -> None:
    """Run all starts, that of a simpler model where there is a `ladder`, then waves of moves until the best
    optimum was found again and again.

    `stage` keeps the record.
    """
    begin, moves = seed.spawn(2)
    seeds = begin.spawn(starts)
    names = [stage.problem.rotation[i % len(stage.problem.rotation)] for i in range(starts)]
    guesses = [
        stage.problem.guess(name, np.random.default_rng(own)) for name, own in zip(names, seeds, strict=True)
    ]
    lower = _simpler(stage, options, begin) if ladder else None
    if lower is not None:
        names, guesses = [*names, "simpler model"], [*guesses, lower]
    allowed = stage.problem.budget

    def report(ended: bool = False) -> None:
        if options.progress is not None and np.isfinite(allowed):
            done = allowed if ended else min(stage.passes, allowed - 1)
            options.progress("search", int(done), int(allowed), so_far(stage))

    known = [stage.problem.given(initial) for initial in options.initial]
    stage.run_from(["given"] * len(known) + ["smaller fit"] * len(nested), [*known, *nested])
    if names:
        stage.run(names, guesses)
    if not (options.explores and stage.optima.known):
        report(ended=True)
        return
    stage.examine(1, options)
    report()
    stale = waves = 0
    while stage.passes < allowed:
        if stale >= patience(stage.problem) and is_sure(stage):
            break
        if options.until is not None and options.until(_usable(stage), waves):
            break
        before = stage.optima.known[0].key
        _wave(stage, np.random.default_rng(moves.spawn(1)[0]), waves >= PLAIN)
        stage.examine(1 if waves < PLAIN else FAMILY, options)
        after = stage.optima.known[0].key
        better = after[0] > before[0] or after[1] > before[1] + 1e-3
        stale, waves = 0 if better else stale + 1, waves + 1
        report()
    report(ended=True)


def _usable(stage: Stage) -> float | None:
    """Log-likelihood of the best optimum, where it is usable and all rows are searched."""
    best = stage.optima.known[0]
    return best.best.value if best.key[0] == 2 and stage.judge is None else None


def so_far(stage: Stage) -> str:
    """The best optimum so far, in words; its log-likelihood is of the rows that are searched."""
    if not stage.optima.known:
        return ""
    best = stage.optima.known[0]
    times = "once" if best.found == 1 else f"{best.found} times"
    return f"best log-likelihood {best.best.value:.2f}, found {times}"


def _moved(
    stage: Stage, name: str, rng: np.random.Generator, r: np.ndarray, density: np.ndarray
) -> np.ndarray:
    x, y = stage.problem.view(rng)
    return MOVES[name](rng, x, y, r, density)


def _simpler(stage: Stage, options: Options, seed: np.random.SeedSequence) -> np.ndarray | None:
    """Memberships of the best optimum of a simpler model within this one, found from half as many starts."""
    simpler = stage.problem.simpler()
    if simpler is None:
        return None
    below, plain = Stage(simpler, stage.pool), replace(options, n_starts=1, initial=(), progress=None)
    explore(below, plain, max(simpler.n_starts // 2, 1), [], seed, ladder=True)
    stage.passes += below.passes
    known = below.optima.known
    return simpler.rowwise(known[0].best.point)[0] if known else None


def patience(problem: Problem) -> int:
    """Waves of moves without a better optimum that end the search."""
    return int(np.clip(CHEAP / (2 * price(problem)), STALE, PATIENT))


def is_sure(stage: Stage) -> bool:
    """Whether the best optimum was found often enough, and neither a better one nor a new one is likely: the
    share of the runs that ended in an optimum of their own is Good's estimate (1953) of the probability that
    the next run does. The dearer a pass is, the less is asked for.

    Where no optimum is usable, one may be among those not seen: as long as passes are cheap, the search goes
    on while any run ended in an optimum of its own."""
    known = stage.optima.known
    counts = [o.found for o in known if o.key[0] == known[0].key[0]]
    refused = [o.found for o in known if o.key[0] != known[0].key[0]]
    everyone = [*counts, *refused]
    dear = max(1.0, price(stage.problem) / CHEAP)
    new = 0.0 if dear == 1.0 and known[0].key[0] < 2 else NEW * dear
    few_are_new = everyone.count(1) <= new * sum(everyone)
    return counts[0] >= ENOUGH and chance(counts, refused) <= min(SURE * dear, UNSURE) and few_are_new


def _wave(stage: Stage, rng: np.random.Generator, crosses: bool) -> None:
    """One move of each turn, every other one from the best optimum, the others from the next ones; where a
    search `crosses` optima, some of them with an expert of yet another."""
    known = stage.optima.known
    family, mates = known[:FAMILY], known[:MATES]
    at: dict[Optimum, tuple[np.ndarray, np.ndarray]] = {}

    def rowwise(o: Optimum) -> tuple[np.ndarray, np.ndarray]:
        if o not in at:
            at[o] = stage.problem.rowwise(o.best.point)
        return at[o]

    names, guesses, parents = [], [], []
    for i, turn in enumerate(rng.permutation(WAVE)):
        home = family[0 if i % 2 == 0 else int(rng.integers(len(family)))]
        mate = mates[int(rng.integers(len(mates)))] if crosses and i % CROSSED == 0 else home
        if mate is home:
            names.append(TURNS[turn])
            guesses.append(_moved(stage, TURNS[turn], rng, *rowwise(home)))
        else:
            names.append("cross")
            guesses.append(cross(rng, rowwise(home)[0], rowwise(mate)[0]))
        parents.append((home, mate))
    best = known[0].key
    refused = [o for o in known if o.key[0] < 2 and (best[0] < 2 or o.best.value > best[1])][:FAMILY]
    for _ in range(WIDENED if refused else 0):
        home = refused[int(rng.integers(len(refused)))]
        names.append("widen")
        guesses.append(_moved(stage, "widen", rng, *rowwise(home)))
        parents.append((home, home))
    stage.run([f"move: {name}" for name in names], guesses, parents)


def evidence(stage: Stage, share: float, best: Candidate) -> Evidence:
    """What the runs say together; `share` of all rows were searched, `best` is the estimate on all of them.

    Optima of a subsample that become one on all rows are counted as one.
    """
    known = stage.optima.known
    same = [
        o
        for o in known
        if o.best.became is best or (_on_all(o, best) and abs(o.best.value - best.value) <= SAME_ON_ALL)
    ]
    others = [o for o in known if all(o is not s for s in same)]
    counts = [sum(o.found for o in same), *(o.found for o in others if o.key[0] == 2)]
    refused = [o for o in others if o.key[0] < 2 and _on_all(o, best)]
    highest = max(refused, key=lambda o: o.best.value, default=None)
    why = ""
    if highest is not None:
        collapsed = highest.best.key[0] == 0
        why = (
            "an expert's variance collapses" if collapsed else "an expert has too few rows for its parameters"
        )
    unusable = [o.found for o in others if o.key[0] < 2]
    return Evidence(
        found=counts[0],
        runs=sum(o.found for o in known),
        optima=1 + sum(o.found > 0 for o in others) if known else 0,
        chance_of_better=0.0 if not known else chance(counts, unusable) if best.key[0] == 2 else 1.0,
        best=best.value,
        best_unusable=None if highest is None else highest.best.value,
        unusable=why,
        passes=stage.passes * share,
        budget=stage.problem.budget * share,
    )


def _on_all(o: Optimum, best: Candidate) -> bool:
    return o.best.rows == best.rows and np.isfinite(o.best.value)
