"""The likelihood of a softmax-gated mixture, its derivatives and an ascent, by code that shares none with
moestro: NumPy and SciPy alone, many parameter vectors side by side."""

import numpy as np
from scipy.linalg import qr
from scipy.special import gammaln, logsumexp

FLOOR = 1e-8  # of a variance, of the response's
SLACK = 1e-7  # log-likelihood that a run may still gain where it ends


class Likelihood:
    """Distinct rows with weights: experts' columns X, the gate's Z (standardised), response y."""

    def __init__(self, formula, frame, k, family):
        from formulaic import model_matrix

        left, _, gate = formula.partition("|")
        response, experts = (s.strip() for s in left.split("~"))
        X = columns(model_matrix(experts, frame))
        Z = columns(model_matrix(gate.strip() or experts, frame))
        if family == "multinomial":
            y = np.unique(frame[response].to_numpy(), return_inverse=True)[1].astype(float)
        else:
            y = np.asarray(model_matrix(f"{response} - 1", frame), dtype=float)[:, 0]
        self.n, self.k, self.family = len(y), k, family
        self.sd = y.std() if family == "gaussian" else 1.0
        self.rounding = spacing(y) / np.sqrt(12.0) if family == "gaussian" else 0.0
        rows, w = np.unique(np.column_stack([X, Z, y]), axis=0, return_counts=True)
        self.X, self.Z, self.y = rows[:, : X.shape[1]], rows[:, X.shape[1] : -1], rows[:, -1]
        self.w = w.astype(float)
        self.classes = int(y.max()) + 1 if family == "multinomial" else 0
        m = self.classes - 1 if self.classes else 1
        one = np.ones((len(rows), 1))
        # Linear predictors: features, expert (-1: gate), and which of the expert's it is.
        self.predictors = [(self.Z, -1, j) for j in range(k - 1)]
        self.predictors += [(self.X, e, j) for e in range(k) for j in range(m)]
        if family == "gaussian":
            self.predictors += [(one, e, 1) for e in range(k)]
        ends = np.cumsum([F.shape[1] for F, _, _ in self.predictors])
        self.at = [slice(e - F.shape[1], e) for e, (F, _, _) in zip(ends, self.predictors, strict=True)]
        self.size, self.m = int(ends[-1]), m
        self.own = m * self.X.shape[1] + (family == "gaussian")
        self.sigma = slice(self.size - k, self.size) if family == "gaussian" else slice(0, 0)
        self.low = np.log(self.sd) + 0.5 * np.log(FLOOR)
        self.products = {}

    def pair(self, a, b):
        """F_a (x) F_b of every row, (n, p_a p_b)."""
        F, G = self.predictors[a][0], self.predictors[b][0]
        key = (id(F), id(G))
        if key not in self.products:
            self.products[key] = (F[:, :, None] * G[:, None, :]).reshape(len(F), -1)
        return self.products[key]

    def densities(self, eta):
        """log f (S, n, k), its derivatives in an expert's own predictors, and minus its second ones (also
        expected), lists over e of lists."""
        y, k, out = self.y, self.k, []
        first, second, expected = [], [], []
        for e in range(k):
            own = [i for i, (_, expert, _) in enumerate(self.predictors) if expert == e]
            if self.family == "gaussian":
                s = np.exp(-eta[own[1]])
                t = (y - eta[own[0]]) * s
                out.append(-0.5 * np.log(2 * np.pi) - eta[own[1]] - 0.5 * t**2)
                first.append([t * s, t**2 - 1])
                second.append([[s**2, 2 * t * s], [2 * t * s, 2 * t**2]])
                expected.append([[s**2, None], [None, np.full_like(t, 2.0)]])
            elif self.family == "poisson":
                rate = np.exp(np.minimum(eta[own[0]], 200.0))
                out.append(y * eta[own[0]] - rate - gammaln(y + 1))
                first.append([y - rate])
                second.append([[rate]])
                expected.append([[rate]])
            else:
                full = np.stack([*(eta[i] for i in own), np.zeros_like(eta[own[0]])])
                lp = full - logsumexp(full, axis=0)
                out.append(np.take_along_axis(lp, y.astype(int)[None, None, :], axis=0)[0])
                p = np.exp(lp)
                first.append([(y == c) - p[c] for c in range(self.m)])
                h = [[p[c] * ((c == d) - p[d]) for d in range(self.m)] for c in range(self.m)]
                second.append(h)
                expected.append(h)
        return np.stack(out, axis=-1), first, second, expected

    def evaluate(self, theta, order, given=None):
        """Value, gradient and, from order 2 complete, from 3 observed information of theta (S, P); of EM's Q
        where responsibilities are `given`. And the masses (S, k)."""
        with np.errstate(over="ignore", invalid="ignore"):
            eta = [theta[:, at] @ F.T for at, (F, _, _) in zip(self.at, self.predictors, strict=True)]
            u = np.stack([*eta[: self.k - 1], np.zeros_like(eta[0])], axis=-1)
            lg = u - logsumexp(u, axis=-1, keepdims=True)
            lf, first, second, expected = self.densities(eta)
            joint = lg + lf
            total = logsumexp(joint, axis=-1)
            value = total @ self.w
            if given is not None:
                value = np.einsum("snk,snk,n->s", given, joint, self.w)
            if order == 0:
                return value
            G, w = np.exp(lg), self.w
            r = np.exp(joint - total[..., None]) if given is None else given
            mass = np.einsum("snk,n->sk", r, w)

            def score(i):
                _, e, j = self.predictors[i]
                return r[..., j] - G[..., j] if e < 0 else r[..., e] * first[e][j]

            gradient = np.concatenate(
                [(w * score(i)) @ F for i, (F, _, _) in enumerate(self.predictors)], axis=1
            )
            info = np.zeros((len(theta), self.size, self.size))
            for a, (F, e, i) in enumerate(self.predictors):
                for b, (B, f, j) in enumerate(self.predictors[: a + 1]):
                    c = self.weight(order, e, i, f, j, r, G, first, second, expected)
                    if c is None:
                        continue
                    block = ((w * c) @ self.pair(a, b)).reshape(-1, F.shape[1], B.shape[1])
                    info[:, self.at[a], self.at[b]] = block
                    if a != b:
                        info[:, self.at[b], self.at[a]] = block.transpose(0, 2, 1)
            return value, gradient, info, mass

    @staticmethod
    def weight(order, e, i, f, j, r, G, first, second, expected):
        """Of a row in the block of predictor i of expert e and j of f (-1: of the gate), (S, n)."""
        if order == 2:  # complete data
            if e != f:
                return None
            return (
                G[..., i] * ((i == j) - G[..., j])
                if e < 0
                else (None if expected[e][i][j] is None else r[..., e] * expected[e][i][j])
            )
        if e < 0:
            return G[..., i] * ((i == j) - G[..., j]) - r[..., i] * ((i == j) - r[..., j])
        if f < 0:
            return -r[..., e] * first[e][i] * ((e == j) - r[..., j])
        if e != f:
            return r[..., e] * r[..., f] * first[e][i] * first[f][j]
        return r[..., e] * (second[e][i][j] - (1 - r[..., e]) * first[e][i] * first[e][j])

    def ascend(self, theta, order, steps, given=None):
        """`steps` damped Newton steps at most from every theta (S, P): theta, value, mass, whether it ended.
        A run whose variance comes to its bound stops there."""
        theta, (S, P) = theta.copy(), theta.shape
        value, mass, ended = np.full(S, -np.inf), np.zeros((S, self.k)), np.zeros(S, dtype=bool)
        lam, V, turned, scale = np.ones((S, P)), np.zeros((S, P, P)), np.zeros((S, P)), np.ones((S, P))
        mu, live, fresh = np.full(S, 0.1), np.ones(S, dtype=bool), np.ones(S, dtype=bool)
        for _ in range(steps):
            at = np.flatnonzero(live & fresh)
            if len(at):
                value[at], g, H, mass[at] = self.evaluate(theta[at], order, pick(given, at))
                d = np.sqrt(np.maximum(np.abs(np.einsum("sii->si", H)), 1e-6))
                H = H / d[:, :, None] / d[:, None, :]
                good = np.isfinite(H).all(axis=(1, 2)) & np.isfinite(g).all(axis=1) & np.isfinite(value[at])
                good &= (theta[at][:, self.sigma] > self.low).all(axis=1)
                live[at[~good]] = fresh[at] = False
                at = at[good]
                scale[at] = d[good]
                lam[at], V[at] = np.linalg.eigh(H[good])
                turned[at] = np.einsum("sij,si->sj", V[at], g[good] / d[good])
            hope = 0.5 * (turned**2 / np.maximum(np.abs(lam), 1e-9)).sum(axis=1)
            over = live & ((hope <= SLACK) | (mu > 1e8))
            ended |= over
            at = np.flatnonzero(live := live & ~over)
            if not len(at):
                break
            step = turned[at] / (np.maximum(np.abs(lam[at]), 1e-12) + mu[at][:, None])
            new = theta[at] + np.einsum("sij,sj->si", V[at], step) / scale[at]
            new[:, self.sigma] = np.maximum(new[:, self.sigma], self.low)
            v = self.evaluate(new, 0, pick(given, at))
            better = v >= value[at]
            mu[at] = np.where(better, np.maximum(mu[at] / 6, 1e-9), mu[at] * 5)
            at = at[better]
            value[at] = v[better]
            theta[at], fresh[at] = new[better], True
        return theta, value, mass, ended

    def is_usable(self, theta, mass):
        """p (2 + max(log(s / sigma), 0)) rows for each expert of p parameters; sigma above the rounding's."""
        narrow = np.zeros((len(theta), self.k))
        if self.family == "gaussian":
            narrow = np.log(self.sd) - theta[:, self.sigma]
        enough = (mass >= self.own * (2 + np.maximum(narrow, 0))).all(axis=1)
        limit = max(self.rounding, 1.0001 * self.sd * np.sqrt(FLOOR))
        return enough & (narrow <= np.log(self.sd / limit)).all(axis=1)


def pick(a, at):
    return None if a is None else a[at]


def columns(matrix):
    """Standardised columns with a constant, linear combinations left out."""
    M = np.asarray(matrix, dtype=float)
    M = M[:, M.std(axis=0) > 1e-12 * np.abs(M).max(axis=0)]
    M = np.column_stack([np.ones(len(M)), (M - M.mean(axis=0)) / M.std(axis=0)])
    R, order = qr(M, mode="r", pivoting=True)
    rank = int((np.abs(np.diag(R)) > 1e-9 * abs(R[0, 0])).sum())
    return M[:, np.sort(order[:rank])]


def spacing(y):
    """Median over rows of the distance to the nearest value that half as many rows have; 0 where most values
    are unique."""
    values, count = np.unique(y, return_counts=True)
    if 2 * count[count > 1].sum() < len(y):
        return 0.0
    gaps = []
    for v, c in zip(values, count, strict=True):
        others = values[(2 * count >= c) & (values != v)]
        gaps.append(np.abs((others if len(others) else values[values != v]) - v).min())
    order = np.argsort(gaps)
    return float(np.array(gaps)[order][np.searchsorted(np.cumsum(count[order]), len(y) / 2)])
