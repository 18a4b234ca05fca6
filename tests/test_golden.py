"""The table of golden.py: every kind of fit ends where it ended, or at a better optimum, with the same
words."""

import json

import pytest

import golden

# One fit of each kind in every run, the others in `make test-all`.
QUICK = {
    "softmax gaussian k=2", "softmax poisson k=3", "softmax multinomial k=2", "softmax em", "softmax lbfgs",
    "gate laplace",
    "top-1 of 2 by logit", "modified gate", "l1 gaussian", "group multinomial", "adaptive poisson",
    "located direct k=3",
    "located inverse blocks", "located degree 2", "located dendrogram",
}  # fmt: skip
KEPT = json.loads(golden.PATH.read_text(encoding="utf-8"))
TABLE = golden.table()


def test_the_table_is_whole():
    assert list(KEPT) == list(TABLE)
    assert set(TABLE) > QUICK


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in TABLE]
)
def test_fit(name):
    kept, now = KEPT[name], golden.fitted(*TABLE[name])
    assert now["log_likelihood"] >= kept["log_likelihood"] - 1e-9 * (1 + abs(kept["log_likelihood"]))
    assert {**now, "log_likelihood": None} == {**kept, "log_likelihood": None}
