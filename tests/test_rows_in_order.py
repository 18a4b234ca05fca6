"""Orders of rows by what is in them, against plain sorting."""

import numpy as np
import pytest

from moestro.rows.order import merge_rows, mixed, row_keys, shuffled


def columns(kind, n=200):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 3)) if kind == "numbers" else rng.integers(0, 3, (n, 3)).astype(float)
    x[n // 2 : n // 2 + 9] = x[:9]
    return x


@pytest.mark.parametrize("kind", ["numbers", "ties"])
@pytest.mark.parametrize("weighted", [False, True])
def test_merged_rows_are_the_sorted_distinct_ones(kind, weighted):
    a = columns(kind)
    w = np.random.default_rng(1).integers(0, 3, len(a)).astype(float) if weighted else None
    index, merged = merge_rows(a[:, 1:], None, a[:, 0], w)
    sums = {}
    for row, weight in zip(map(tuple, a), np.ones(len(a)) if w is None else w, strict=True):
        if weight > 0:
            sums[row] = sums.get(row, 0.0) + weight
    assert [tuple(row) for row in a[index]] == sorted(sums)
    assert merged.tolist() == [sums[row] for row in sorted(sums)]


@pytest.mark.parametrize("kind", ["numbers", "ties"])
def test_of_no_rows_and_of_one(kind):
    a = columns(kind)[:1]
    assert merge_rows(a[:, 1:], None, a[:, 0], np.zeros(1))[0].tolist() == []
    assert merge_rows(a[:, 1:], None, a[:, 0], None)[0].tolist() == [0]


def test_a_random_order_is_of_the_second_hash_with_and_without_repeated_rows():
    a = columns("numbers")
    distinct = np.delete(a, np.s_[100:109], axis=0)
    seed = np.random.SeedSequence(4)
    whole, some = (shuffled(row_keys(list(b.T)), seed) for b in (a, distinct))
    assert sorted(whole) == list(range(len(a)))
    # Rows that nothing repeats stand in the same order in both: their place depends on their numbers alone.
    repeated = {tuple(row) for row in a[100:109]}
    mine, theirs = (
        [tuple(row) for row in b[order] if tuple(row) not in repeated]
        for b, order in ((a, whole), (distinct, some))
    )
    assert mine == theirs
    np.testing.assert_array_equal(shuffled(row_keys(list(a.T)), seed, 20)[:20], whole[:20])
    assert sorted(shuffled(row_keys(list(a.T)), seed, 20)) == list(range(len(a)))
    assert len(set(row_keys(list(a.T)).tolist())) == len(a)
    assert len(set(mixed(np.arange(1000, dtype=np.uint64), np.uint64(5)).tolist())) == 1000
