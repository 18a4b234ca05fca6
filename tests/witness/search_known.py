"""Best usable optima of the real sets of `moestro bench search`, by an optimiser that shares no code with
moestro.

The names, data and formulas are the benchmark's; all that is computed is computed here and in
`search_likelihood`, in NumPy and SciPy: 1,000 random starts of five kinds, steps of EM's gradient algorithm
(Lange, 1995), then Levenberg's steps with the observed information, |eigenvalues| + mu, to an optimum, of a
batch of starts side by side; the ten best are confirmed by SciPy's L-BFGS-B. What counts as usable is the
rule of the guide, written out again in `is_usable`. Run once, the sets that are named or all:

    PYTHONPATH=tests python tests/witness/search_known.py CPS1985 mcycle
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from witness.search_likelihood import Likelihood

STARTS, BATCH = 1000, 2e5  # starts; rows x starts side by side
EM, STEPS = 30, 400
SAME = 0.01  # log-likelihood within which two runs found one optimum
KINDS = ("parameters", "soft", "cells", "slices", "few rows")
KNOWN = Path(__file__).with_suffix(".json")


def of_memberships(data, r):
    """Parameters (S, P) that fit responsibilities r (S, n, k)."""
    theta = np.tile(pooled(data), (len(r), 1))
    return data.ascend(theta, 2, 12, given=r)[0]


def pooled(data):
    """All experts alike: the response's mean, no slopes."""
    theta = np.zeros(data.size)
    mean = data.w @ data.y / data.w.sum()
    for at, (F, e, j) in zip(data.at, data.predictors, strict=True):
        if e < 0:
            continue
        level = np.log(data.sd) if (data.family, j) == ("gaussian", 1) else mean
        if data.family == "poisson":
            level = np.log(max(mean, 1e-3))
        elif data.family == "multinomial":
            share = [data.w @ (data.y == c) / data.w.sum() for c in (j, data.classes - 1)]
            level = np.log(share[0] / share[1])
        theta[at] = np.linalg.lstsq(F, np.full(len(F), level), rcond=None)[0]
    return theta


def random_starts(data, rng, S, kind):
    """S random starts (S, P) of one kind."""
    n, k = len(data.y), data.k
    if kind == "parameters":
        size = rng.choice([0.3, 1.0, 2.0], (S, 1)) * np.where(np.arange(data.size) < data.sigma.start, 1, 0.5)
        unit = np.full(data.size, data.sd)
        unit[: (k - 1) * data.Z.shape[1]] = unit[data.sigma] = 1.0
        size = size * (0.4 if data.family == "poisson" else 1.0)
        return pooled(data) + size * unit * rng.standard_normal((S, data.size))
    if kind == "soft":
        return of_memberships(data, rng.dirichlet(np.full(k, 0.5), (S, n)))
    around = np.column_stack([data.X, data.Z, (data.y - data.y.mean()) / data.y.std()])
    around = around * np.exp(rng.uniform(-2.0, 1.0, (S, 1, around.shape[1])))
    around[:, :, -1] *= np.sqrt(data.X.shape[1])
    if kind == "cells":  # nearest of k random rows
        centres = np.stack([around[s, rng.choice(n, k, replace=False)] for s in range(S)])
        label = ((around[:, :, None, :] - centres[:, None]) ** 2).sum(axis=-1).argmin(axis=2)
    elif kind == "slices":  # of a random direction, at random cuts
        along = np.einsum("snp,sp->sn", around, rng.standard_normal((S, around.shape[2])))
        rank = along.argsort(axis=1).argsort(axis=1) / n
        cuts = rng.dirichlet(np.full(k, 3.0), S).cumsum(axis=1)[:, :-1]
        label = (rank[:, :, None] > cuts[:, None]).sum(axis=2)
    else:  # "few rows": the nearest of k planes, each through few rows
        label, p = np.empty((S, n), dtype=int), data.X.shape[1]
        for s in range(S):
            planes = []
            for _ in range(k):
                some = rng.choice(n, min(n, p + 1 + rng.integers(3)), replace=False)
                target = np.log(data.y[some] + 0.5) if data.family == "poisson" else data.y[some]
                planes.append(np.linalg.lstsq(data.X[some], target, rcond=None)[0])
            value = np.log(data.y + 0.5) if data.family == "poisson" else data.y
            label[s] = np.abs(value[:, None] - data.X @ np.array(planes).T).argmin(axis=1)
    r = (label[:, :, None] == np.arange(k)).astype(float)
    return of_memberships(data, 0.95 * r + 0.05 / k)


def confirmed(data, theta):
    """Value where L-BFGS-B ends that begins there."""

    def negative(t):
        value, gradient, _, _ = data.evaluate(t[None], 2)
        return -value[0], -gradient[0]

    bounds = [(None, None)] * data.size
    bounds[data.sigma] = [(data.low, None)] * len(bounds[data.sigma])
    options = {"maxiter": 2000, "maxfun": 4000, "ftol": 1e-15, "gtol": 1e-8}
    end = minimize(negative, theta, method="L-BFGS-B", jac=True, bounds=bounds, options=options)
    t = end.x[None]
    return -float(end.fun), bool(data.is_usable(t, data.evaluate(t, 2)[3])[0])


def best(data, count=STARTS, seed=0):
    """The best of `count` runs, how often it was found, and what the kinds of starts brought."""
    rng, began = np.random.default_rng(seed), time.process_time()
    ends, usable, kinds, done = [], [], [], []
    size = max(5, int(BATCH / len(data.y)))
    for kind in KINDS:
        for first in range(0, count // len(KINDS), size):
            theta = random_starts(data, rng, min(size, count // len(KINDS) - first), kind)
            theta = data.ascend(theta, 2, EM)[0]
            theta, value, mass, ended = data.ascend(theta, 3, STEPS)
            ends += list(zip(value, theta, strict=True))
            usable += data.is_usable(theta, mass).tolist()
            kinds += [kind] * len(value)
            done += ended.tolist()
    value, usable = np.array([v for v, _ in ends]), np.array(usable) & np.isfinite([v for v, _ in ends])
    order = [i for i in np.argsort(-np.where(usable, value, -np.inf)) if usable[i]]
    checked = [confirmed(data, ends[i][1]) for i in order[:10]]
    top = max(v for v, good in checked if good)
    found = usable & (value >= top - SAME)
    return {
        "best": top,
        "found": int(found.sum()),
        "starts": len(value),
        "kinds": {
            kind: int(sum(f and k == kind for f, k in zip(found, kinds, strict=True))) for kind in KINDS
        },
        "ended": int(np.sum(done)),
        "usable": int(usable.sum()),
        "ten_best": [round(v, 4) for v, good in checked if good],
        "unusable": max((float(v) for v in value[~usable] if np.isfinite(v)), default=None),
        "seconds": round(time.process_time() - began, 1),
    }


if __name__ == "__main__":
    from moestro.bench.search import CASES, load

    for name in sys.argv[1:] or CASES:
        case = CASES[name]
        found = best(Likelihood(case.formula, load(case.source), case.k, case.family))
        known = json.loads(KNOWN.read_text()) if KNOWN.exists() else {}
        KNOWN.write_text(json.dumps({**known, name: found}, indent=1) + "\n")
