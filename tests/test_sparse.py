"""Top-K gates by maximum likelihood: no fit is worse than the parameters that the rows were drawn from."""

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm

from moestro import MoERegressor

NOISE = 0.4


def drawn(n, k, top_k, rank_on, seed):
    """Rows of k Gaussian experts of which `top_k` are selected at each, and at the truth their log-likelihood
    and the sums of the responsibilities, (k,)."""
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
    y = mean[np.arange(n), expert] + NOISE * rng.standard_normal(n)
    joint = log_gate + norm.logpdf(y[:, None], mean, NOISE)
    log_density = logsumexp(joint, axis=1, keepdims=True)
    return x, y, log_density.sum(), np.exp(joint - log_density).sum(axis=0)


def is_thin(mass, y):
    """Whether the truth has an expert with too few rows for its four parameters, by the rule of
    `problems.ranking`."""
    return mass.min() < 4 * (2 + np.log(y.std() / NOISE))


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
    """A truth that is thin itself would be refused: then the record says that more was."""
    x, y, truth, mass = drawn(600, k, top_k, rank_on, seed)
    moe = MoERegressor(k, top_k=top_k, rank_on=rank_on, random_state=seed).fit(x, y)
    if is_thin(mass, y) and moe.log_likelihood_ <= truth:
        assert moe.search_.best_unusable > truth
    else:
        assert moe.log_likelihood_ > truth
    assert ((moe.gate_proba(x) > 0).sum(axis=1) == top_k).all()


def test_the_record_of_a_sparse_search():
    """It ends by evidence as every other search does, and gets better with effort."""
    x, y, *_ = drawn(600, 3, 2, "score", 1)
    moe = MoERegressor(3, top_k=2, random_state=0).fit(x, y)
    assert moe.search_.found >= 5
    assert moe.search_.chance_of_better < 0.3
    few = MoERegressor(3, top_k=2, n_starts=2, random_state=0).fit(x, y)
    assert few.log_likelihood_ <= moe.log_likelihood_ + 0.5
    assert len(few.starts_) == 2


def test_three_rows_of_an_expert_are_told_from_a_search_that_missed_it():
    """The truth has an expert with three of 600 rows. Ranked by the likelihood alone its basin is found; the
    usable fit is below the truth, and says that a higher likelihood was refused, and why."""
    x, y, truth, mass = drawn(600, 4, 2, "logit", 2)
    assert is_thin(mass, y) and mass.min() < 4
    how = {"top_k": 2, "rank_on": "logit", "random_state": 2}
    usable = MoERegressor(4, **how).fit(x, y)
    assert usable.log_likelihood_ < truth < usable.search_.best_unusable
    assert "refused" in str(usable.search_)
    assert MoERegressor(4, rank_by="likelihood", **how).fit(x, y).log_likelihood_ > truth
