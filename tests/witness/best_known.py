"""Best-known optima of the simulated sets, by an optimiser that shares no code with moestro.

Plain likelihoods and gradients in NumPy, 200 random starts of SciPy's L-BFGS-B each. Run once:

    python tests/witness/best_known.py > tests/witness/best_known.json
"""

import json
import sys

import numpy as np
from scipy.optimize import minimize
from scipy.special import gammaln, logsumexp, softmax

N, D, K, CLASSES = 2000, 4, 3, 4


def simulate(family, seed=None):
    """x (n, d), y (n,): slopes of size one in gate and experts (0.4 for counts).

    Inputs are normal; for classes they are uniform on [-3, 3], wide enough for 2000 rows to tell experts
    apart.
    """
    if seed is None:
        seed = 0 if family == "multinomial" else 3
    rng = np.random.default_rng(seed)
    x = rng.uniform(-3, 3, (N, D)) if family == "multinomial" else rng.standard_normal((N, D))

    def sign(*shape):
        return np.where(rng.random(shape) < 0.5, -1.0, 1.0)

    gate = np.vstack([np.hstack([np.zeros((K - 1, 1)), sign(K - 1, D)]), np.zeros((1, D + 1))])
    m = CLASSES - 1 if family == "multinomial" else 1
    experts = sign(K, m, D + 1)
    experts[:, :, 0] *= 0.5
    if family == "poisson":
        experts *= 0.4
        experts[:, :, 0] += 1.0
    x1 = np.column_stack([np.ones(N), x])
    which = np.array([rng.choice(K, p=p) for p in softmax(x1 @ gate.T, axis=1)])
    eta = np.einsum("ij,imj->im", x1, experts[which])
    if family == "gaussian":
        return x, eta[:, 0] + 0.7 * rng.standard_normal(N)
    if family == "poisson":
        return x, rng.poisson(np.exp(eta[:, 0])).astype(float)
    p = softmax(np.column_stack([eta, np.zeros(N)]), axis=1)
    return x, np.array([rng.choice(CLASSES, p=row) for row in p]).astype(float)


def negative(par, x1, y, family):
    """Negative log-likelihood and gradient; gate with all K rows (redundant), so another parametrisation."""
    n, q = x1.shape
    m = CLASSES - 1 if family == "multinomial" else 1
    gate = par[: K * q].reshape(K, q)
    experts = par[K * q : K * q + K * m * q].reshape(K, m, q)
    u = x1 @ gate.T
    lg = u - logsumexp(u, axis=1, keepdims=True)
    eta = np.einsum("nj,kmj->nkm", x1, experts)
    if family == "gaussian":
        s = par[-K:]
        r = y[:, None] - eta[:, :, 0]
        lf = -0.5 * (np.log(2 * np.pi) + 2 * s + r**2 * np.exp(-2 * s))
        ds = (r * np.exp(-2 * s))[:, :, None]
    elif family == "poisson":
        e = np.clip(eta[:, :, 0], -50, 30)
        lf = y[:, None] * e - np.exp(e) - gammaln(y + 1)[:, None]
        ds = (y[:, None] - np.exp(e))[:, :, None]
    else:
        full = np.concatenate([eta, np.zeros((n, K, 1))], axis=2)
        lp = full - logsumexp(full, axis=2, keepdims=True)
        one = (y[:, None] == np.arange(CLASSES))[:, None, :]
        lf = (lp * one).sum(axis=2)
        ds = (one - np.exp(lp))[:, :, :-1]
    joint = lg + lf
    total = logsumexp(joint, axis=1, keepdims=True)
    post = np.exp(joint - total)
    g_gate = (post - np.exp(lg)).T @ x1
    g_exp = np.einsum("nk,nkm,nj->kmj", post, ds, x1)
    grad = [g_gate.ravel(), g_exp.ravel()]
    if family == "gaussian":
        grad.append((post * (r**2 * np.exp(-2 * s) - 1)).sum(axis=0))
    return -total.sum() / n, -np.concatenate(grad) / n


def climb(par, arguments, iterations):
    bounds = [(-60, 60)] * len(par)
    if arguments[2] == "gaussian":
        bounds[-K:] = [(-5, 5)] * K
    options = {"maxiter": iterations, "maxfun": 3 * iterations, "ftol": 1e-14, "gtol": 1e-9}
    return minimize(negative, par, arguments, "L-BFGS-B", jac=True, bounds=bounds, options=options)


def best(family, starts=200):
    """200 starts of 300 iterations, the best ten to the end."""
    x, y = simulate(family)
    arguments = (np.column_stack([np.ones(N), x]), y, family)
    m = CLASSES - 1 if family == "multinomial" else 1
    rng = np.random.default_rng(0)
    found = []
    for _ in range(starts):
        par = rng.standard_normal(K * (D + 1) * (1 + m)) * rng.choice([0.3, 1.0, 2.0])
        if family == "gaussian":
            par = np.concatenate([par, np.zeros(K)])
        found.append(climb(par, arguments, 300))
    found.sort(key=lambda r: r.fun)
    values = sorted((-N * climb(r.x, arguments, 5000).fun for r in found[:10]), reverse=True)
    return {"best": values[0], "ten_best": values, "starts": starts}


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["gaussian", "poisson", "multinomial"]
    print(json.dumps({family: best(family) for family in wanted}, indent=1))
