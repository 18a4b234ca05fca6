"""Rows that are read once: their batches come again from a file without a name."""

import errno
import os
import tempfile

import numpy as np
import pytest

from moestro import MoERegressor
from moestro.errors import DataError, FileError
from moestro.rows import held
from moestro.rows.sources import Batch, Iterated, Kept, Mapped, even, read_once

N = 30_000


class Counted:
    """A source that counts how often it is read, and whose columns change their type between batches."""

    name = "the counted"
    names = ("a", "b", "y")

    def __init__(self, fail_at=None):
        rng = np.random.default_rng(0)
        self.passes, self.fail_at = 0, fail_at
        self.a = rng.integers(-3, 4, N)
        self.b = rng.choice(np.array(["u", "v", "w"], dtype=object), N)
        self.y = self.a + np.where(rng.random(N) < 0.5, 4.0, -4.0) + rng.normal(size=N)

    def batches(self, wanted, size):
        self.passes += 1
        for i, start in enumerate(range(0, N, size)):
            if i == self.fail_at:
                raise FileError("the counted: is gone")
            at = slice(start, start + size)
            a = self.a[at].astype([np.int64, np.float32, np.float64][i % 3])
            whole = {"a": a, "b": self.b[at], "y": self.y[at]}
            found = {name: whole[name] for name in wanted}
            yield Batch(found, f"{self.name}, part {i + 1}")


def same(one, other):
    assert one.where == other.where
    assert one.columns.keys() == other.columns.keys()
    for name, values in one.columns.items():
        assert values.dtype == other.columns[name].dtype
        assert values.tolist() == other.columns[name].tolist()


def test_the_same_rows_come_again_and_the_source_is_read_once():
    wanted, source = ["a", "b", "y"], Counted()
    held = Kept(source)
    for one, other in zip(Counted().batches(wanted, 4000), held.batches(wanted, 4000), strict=True):
        same(one, other)
    for size in (1024, 4000, 7000, N, 2 * N):
        evened = even(Counted().batches(wanted, 4000), size)
        for one, other in zip(evened, held.batches(wanted, size), strict=True):
            same(one, other)
    some = list(held.batches(["y"], 1500))  # fewer columns
    assert [b.n for b in some] == [1500] * (N // 1500)
    assert np.concatenate([b.columns["y"] for b in some]).tolist() == source.y.tolist()
    assert source.passes == 1


def test_values_of_a_column_of_objects_keep_their_types():
    values = np.array([1, 1.0, True, "1", None, 2], dtype=object)
    held = Kept(Mapped({"b": values, "e": np.arange(6.0)[::-1]}))
    list(held.batches(["b", "e"], 4))
    again = np.concatenate([b.columns["b"] for b in held.batches(["b", "e"], 4)])
    assert [(type(v), v) for v in again] == [(type(v), v) for v in values]


def test_a_pass_that_does_not_end_leaves_nothing():
    source = Counted(fail_at=3)
    held = Kept(source)
    for _ in range(2):
        with pytest.raises(FileError, match="is gone"):
            list(held.batches(["a"], 4000))
    source.fail_at = None
    next(held.batches(["a"], 4000))
    assert sum(b.n for b in held.batches(["a"], 4000)) == N
    assert source.passes == 4
    assert sum(b.n for b in held.batches(["a"], 4000)) == N
    assert source.passes == 4


@pytest.mark.parametrize("missing", ["error", "drop"])
def test_a_fit_has_the_same_bits_and_leaves_no_file(missing, tmp_path, monkeypatch):
    monkeypatch.setattr(held, "SAMPLE", 8_000)
    monkeypatch.setattr(held, "BLOCK", 4_096)
    data = Counted()
    columns = {"a": data.a.astype(float), "b": data.b, "y": data.y}
    if missing == "drop":
        columns["a"][::1000] = np.nan
    calls = []

    def made():
        calls.append(os.listdir(tmp_path))
        return iter([{name: v[i : i + 7000] for name, v in columns.items()} for i in range(0, N, 7000)])

    def fit(**how):
        return MoERegressor.from_formula(
            "y ~ a + C(b)", made, n_experts=2, n_starts=2, random_state=0, n_jobs=1, missing=missing, **how
        )

    plain, often = fit(), len(calls)
    again = fit(cache=tmp_path)
    assert np.array_equal(plain._fitted().fit.theta, again._fitted().fit.theta)
    assert plain.log_likelihood_ == again.log_likelihood_
    assert plain.dropped_ == again.dropped_
    assert often > 5
    assert len(calls) == often + 2  # one to see the columns
    assert os.listdir(tmp_path) == []


class Full:
    """A file on a disk that takes a part, and then nothing."""

    def __init__(self, room):
        self.room, self.file = room, tempfile.TemporaryFile(buffering=0)

    def write(self, data):
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = min(len(data), self.room)
        self.room -= taken
        return self.file.write(data[:taken])

    def __getattr__(self, name):
        return getattr(self.file, name)


def test_a_full_disk_is_one_line_and_a_short_write_is_gone_on_with(monkeypatch):
    from moestro.rows.sources import kept as module

    monkeypatch.setattr(module, "_opened", lambda folder: Full(100_000))
    held = Kept(Counted(), "/scratch")
    with pytest.raises(
        FileError, match=r"^/scratch: the cache of rows cannot be written there \(No space left"
    ):
        list(held.batches(["a", "y"], 4000))
    monkeypatch.setattr(module, "_opened", lambda folder: Full(10**9))
    source = Counted()
    held = Kept(source)
    list(held.batches(["y"], 4000))
    assert np.concatenate([b.columns["y"] for b in held.batches(["y"], 4000)]).tolist() == source.y.tolist()


class TestRefusals:
    def test_words(self, tmp_path):
        source = Counted()
        assert read_once(source, None) is source
        assert read_once(source, False) is source
        assert isinstance(read_once(source, True), Kept)
        with pytest.raises(DataError, match="cache=3 is no folder"):
            read_once(source, 3)
        with pytest.raises(FileError, match="is no folder for the cache"):
            read_once(source, tmp_path / "no")

    def test_rows_in_memory(self):
        data = Counted()
        with pytest.raises(DataError, match="these are in memory: leave it out"):
            MoERegressor(2, cache=True).fit(data.a[:, None], data.y)

    def test_an_iterator_that_changes_is_read_once_all_the_same(self):
        rng = np.random.default_rng(0)
        made = []

        def batches():
            made.append(1)
            return iter([{"y": rng.normal(size=200)}])

        held = Kept(Iterated(batches))
        first, again = ([v for b in held.batches(["y"], 90) for v in b.columns["y"]] for _ in range(2))
        assert first == again
        assert len(first) == 200
        assert made == [1, 1]  # one to see the columns
