"""Rows that share their expert: how they are kept, and what they sum to."""

import numpy as np
import pytest

from moestro.design import ArrayDesign
from moestro.errors import DataError
from moestro.experts import Gaussian
from moestro.rows import encode_groups, read, sample_rows

DESIGN = ArrayDesign(("a", "b", "c"), (0, 1), (2,))


def panel(sizes=(3, 1, 4, 2, 5), seed=0, weights=False):
    """x, z, y, w and ids of groups whose rows stand apart from one another."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    n = len(ids)
    x, z = rng.standard_normal((n, 2)), rng.standard_normal((len(sizes), 1))[ids]
    w = rng.integers(1, 4, len(sizes)).astype(float)[ids] if weights else None
    return x, z, rng.standard_normal(n), w, ids


def rows_of(x, z, y, w, ids):
    return read(DESIGN, x, z, y, w, Gaussian(), groups=ids)[0]


def content(rows):
    """Groups as sets of rows, with their weights, sorted."""
    rows = rows.merged()
    columns = np.column_stack([rows.x, rows.z, rows.y]).tolist()
    w = np.ones(rows.n_units) if rows.w is None else rows.w
    at = rows.groups.offsets
    return sorted((sorted(columns[at[g] : at[g + 1]]), w[g]) for g in range(rows.n_units))


class TestRows:
    def test_groups_become_neighbours_in_the_order_of_their_first_rows(self):
        x, z, y, _, _ = panel((2, 2, 1))
        z[:] = np.array([1, 2, 1, 3, 2.0])[:, None]
        rows = rows_of(x, z, y, None, ["v", "u", "v", "w", "u"])
        assert rows.groups.offsets.tolist() == [0, 2, 4, 5]
        np.testing.assert_array_equal(rows.y, y[[0, 2, 1, 4, 3]])
        np.testing.assert_array_equal(rows.x, x[[0, 2, 1, 4, 3]])

    @pytest.mark.parametrize(
        "name",
        [
            lambda g: g,
            lambda g: -3.5 * g,
            lambda g: np.array([f"person {v}" for v in g]),
            lambda g: np.array([f"person {v}" for v in g], dtype=object),
            lambda g: [(v, "x") if v % 2 else str(v) for v in g],
            lambda g: np.datetime64("2020-01-01") + g.astype("timedelta64[D]"),
            lambda g: g > 2,
        ],
    )
    def test_ids_of_any_type(self, name):
        ids = np.array([4, 1, 4, 0, 1, 3])
        code, labels = encode_groups(name(ids), 6)
        again = encode_groups(np.asarray(ids > 2) if len(labels) == 2 else ids, 6)
        np.testing.assert_array_equal(code, again[0])
        assert code[0] == 0 and len(labels) == code.max() + 1

    def test_a_number_is_not_its_text(self):
        assert encode_groups([1, "1", 1], 3)[0].tolist() == [0, 1, 0]

    def test_groups_of_one_are_no_groups(self):
        x, z, y, w, _ = panel(weights=True)
        rows = rows_of(x, z, y, w, np.arange(len(y))[::-1])
        assert rows.groups is None
        assert np.array_equal(rows.y, y)

    @pytest.mark.parametrize("size", [1, 3, 6, 100])
    def test_blocks_and_parts_never_split_a_group(self, size):
        rows = rows_of(*panel((3, 1, 4, 2, 5), weights=True))
        for pieces in (list(rows.blocks(size)), list(rows.parts(size))):
            assert sum(p.groups.count for p in pieces) == 5
            np.testing.assert_array_equal(np.concatenate([p.groups.sizes for p in pieces]), rows.groups.sizes)
            assert all(len(p.y) <= size or p.groups.count == 1 for p in pieces)
            np.testing.assert_array_equal(np.concatenate([p.w for p in pieces]), rows.w)
        blocks = list(rows.blocks(size))
        assert all(len(b.z) == len(b.w) == b.groups.count for b in blocks)
        np.testing.assert_array_equal(np.concatenate([np.arange(5)[b.at] for b in blocks]), np.arange(5))
        z = np.concatenate([b.spread(b.z)[:, 1] for b in blocks])
        np.testing.assert_allclose(z, rows.z_scaling.apply(rows.z)[:, 1])

    def test_take_takes_groups(self):
        rows = rows_of(*panel(weights=True))
        part = rows.take(np.array([3, 0]))
        at = rows.groups.offsets
        np.testing.assert_array_equal(part.y, np.r_[rows.y[at[3] : at[4]], rows.y[: at[1]]])
        np.testing.assert_array_equal(part.w, rows.w[[3, 0]])

    def test_merging_does_not_see_the_order_of_rows_or_groups(self):
        x, z, y, w, ids = panel(weights=True)
        mixed = np.random.default_rng(1).permutation(len(y))
        a = rows_of(x, z, y, w, ids).merged()
        b = rows_of(x[mixed], z[mixed], y[mixed], w[mixed], ids[mixed]).merged()
        for name in ("x", "z", "y", "w"):
            assert np.array_equal(getattr(a, name), getattr(b, name))
        assert np.array_equal(a.groups.offsets, b.groups.offsets)

    def test_a_group_written_twice_has_weight_two_and_weight_zero_is_left_out(self):
        x, z, y, _, ids = panel()
        again = np.flatnonzero(ids == 2)
        at = np.r_[np.arange(len(y)), again[::-1]]
        twice = rows_of(x[at], z[at], y[at], None, np.r_[ids, np.full(len(again), 99)])
        w = np.where(ids == 2, 2.0, 1.0)
        assert content(twice) == content(rows_of(x, z, y, w, ids))
        w[ids == 1] = 0.0
        assert rows_of(x, z, y, w, ids).merged().n_units == 4

    def test_a_random_order_of_groups_depends_on_what_is_in_them(self):
        x, z, y, _, ids = panel()
        mixed = np.random.default_rng(1).permutation(len(y))
        seed = np.random.SeedSequence(3)
        orders = []
        for rows in (rows_of(x, z, y, None, ids), rows_of(x[mixed], z[mixed], y[mixed], None, ids[mixed])):
            order = sample_rows(rows, seed)
            assert sorted(order) == list(range(5))
            orders.append(rows.z[rows.groups.first][order])
        np.testing.assert_array_equal(*orders)

    def test_weights_are_those_of_groups(self):
        x, z, y, w, ids = panel(weights=True)
        rows = rows_of(x, z, y, w, ids)
        assert rows.weight_sum == sum(w[ids == g][0] for g in range(5))
        assert rows.row_weight_sum == w.sum()
        w[np.flatnonzero(ids == 2)[0]] += 1
        with pytest.raises(DataError, match=r"sample_weight varies within the group 2"):
            rows_of(x, z, y, w, ids)

    def test_what_is_wrong_is_named(self):
        x, z, y, _, ids = panel()
        wrong = z + (np.arange(len(y)) == np.flatnonzero(ids == 2)[1])[:, None]
        with pytest.raises(DataError, match=r"'c' varies within the group 'no\. 2'.*'\| 1'.*gate_features"):
            rows_of(x, wrong, y, None, [f"no. {g}" for g in ids])
        with pytest.raises(DataError, match=r"groups has shape \(3,\), expected \(15,\)"):
            rows_of(x, z, y, None, [1, 2, 3])
        with pytest.raises(DataError, match=r"missing in row 2"):
            rows_of(x, z, y, None, [0, None, *ids[2:]])
        with pytest.raises(DataError, match=r"missing in row 1"):
            rows_of(x, z, y, None, np.r_[np.nan, ids[1:]])
        with pytest.raises(DataError, match="cannot be compared as ids"):
            rows_of(x, z, y, None, [[1]] * len(y))
