"""Top-K gates by maximum likelihood: no fit is worse than the parameters that the rows were drawn from."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from moestro import MoERegressor


def drawn(n, k, top_k, rank_on, seed):
    """Rows of k Gaussian experts of which `top_k` are selected at each, and their log-likelihood at the
    truth."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 2))
    slopes, bias = 2 * rng.standard_normal((2, k)), rng.standard_normal(k)
    score = x @ slopes
    logit = score + bias
    order = np.argsort(-(logit if rank_on == "logit" else score), axis=1)
    out = np.ones((n, k), dtype=bool)
    np.put_along_axis(out, order[:, :top_k], False, axis=1)
    logit[out] = -np.inf
    log_gate = logit - logsumexp(logit, axis=1, keepdims=True)
    expert = (np.exp(log_gate).cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    b = 2 * rng.standard_normal((k, 3))
    mean = b[:, 0] + x @ b[:, 1:].T
    y = mean[np.arange(n), expert] + 0.4 * rng.standard_normal(n)
    return x, y, logsumexp(log_gate + norm.logpdf(y[:, None], mean, 0.4), axis=1).sum()


SLOW = pytest.mark.slow
CASES = [
    (3, 2, "score", 0),
    pytest.param(4, 1, "score", 0, marks=SLOW),
    *(
        pytest.param(k, top_k, rank_on, seed, marks=SLOW)
        for k, top_k in ((3, 2), (4, 2), (4, 3), (4, 1))
        for rank_on in ("logit", "score")
        for seed in (1, 2)
    ),
]


@pytest.mark.parametrize(("k", "top_k", "rank_on", "seed"), CASES)
def test_never_worse_than_the_truth(k, top_k, rank_on, seed):
    x, y, truth = drawn(600, k, top_k, rank_on, seed)
    moe = MoERegressor(k, top_k=top_k, rank_on=rank_on, random_state=seed).fit(x, y)
    assert moe.log_likelihood_ > truth
    assert ((moe.gate_proba(x) > 0).sum(axis=1) == top_k).all()


def test_the_record_of_a_sparse_search():
    """It ends by evidence as every other search does, and gets better with effort."""
    x, y, _ = drawn(600, 3, 2, "score", 1)
    moe = MoERegressor(3, top_k=2, random_state=0).fit(x, y)
    assert moe.search_.found >= 5
    assert moe.search_.chance_of_better < 0.3
    few = MoERegressor(3, top_k=2, n_starts=2, random_state=0).fit(x, y)
    assert few.log_likelihood_ <= moe.log_likelihood_ + 0.5
    assert len(few.starts_) == 2
