"""Rows that are read twice, and then from a file without a name: the same rows, the same fits."""

import errno
import os
import tempfile
from dataclasses import replace

import numpy as np
import pytest

from moestro import MoERegressor
from moestro.errors import DataError, FileError
from moestro.experts import Gaussian
from moestro.rows import Held, held, scan_formula
from moestro.rows import kept as module
from moestro.rows.kept import Kept, check_cache, keep
from moestro.rows.sources import Iterated

N = 30_000


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    a, person = rng.integers(-3, 4, N).astype(float), np.repeat(np.arange(N // 3), 3)
    first = rng.random(N // 3)[person] < 0.5
    return {
        "a": a,
        "b": rng.choice(np.array(["u", "v", "w"], dtype=object), N),
        "y": a + np.where(first, 4.0, -4.0) + rng.normal(size=N),
        "w": rng.integers(0, 3, N // 3)[person].astype(float),
        "t": rng.uniform(1, 2, N),
        "person": person,
    }


class Calls:
    """A source that counts how often it is read."""

    def __init__(self, data, fail_at=None):
        self.data, self.passes, self.fail_at = data, 0, fail_at

    def __call__(self):
        self.passes += 1
        for i in range(0, N, 7_000):
            if i // 7_000 == self.fail_at:
                raise FileError("the source: is gone")
            yield {name: values[i : i + 7_000] for name, values in self.data.items()}


def reader(source, formula="y ~ a + C(b) + log(t) | t", **how):
    scan = scan_formula(formula, Iterated(source), Held(sample=1_000, **how))
    return replace(scan.reader, family=Gaussian(), block=4_096)


PARTS = ("x", "z", "y", "w", "known")


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"formula": "y ~ a + t"},  # columns in one piece each
        {"formula": "y ~ 1"},  # and none at all
        {"weights": "w", "groups": "person", "gate_at": "first"},
        {"formula": "y ~ a + offset(t) | 1"},
    ],
)
def test_the_same_rows_come_again(data, how):
    source = Calls(data)
    plain = reader(source, **how)
    cached, before = Kept(plain), source.passes
    for _ in range(3):
        for (one, where), (other, again) in zip(plain, cached, strict=True):
            assert where == again
            for name in PARTS:
                a, b = getattr(one, name), getattr(other, name)
                assert (a is None) == (b is None)
                if a is not None:
                    assert a.dtype == b.dtype
                    assert np.array_equal(a, b)
            assert (one.groups is None) == (other.groups is None)
            if one.groups is not None:
                assert np.array_equal(one.groups.offsets, other.groups.offsets)
    assert source.passes == before + 3 + 1  # the plain one each time, and the other once


def test_a_pass_that_does_not_end_leaves_nothing(data):
    source = Calls(data)
    cached = Kept(reader(source))
    source.fail_at = 3
    for _ in range(2):
        with pytest.raises(FileError, match="is gone"):
            list(cached)
    source.fail_at, before = None, source.passes
    next(iter(cached))
    for _ in range(3):
        assert sum(rows.n for rows, _ in cached) == N
    assert source.passes == before + 2


@pytest.mark.parametrize("how", [{}, {"missing": "drop"}, {"groups": "person", "sample_weight": "w"}])
def test_a_fit_has_the_same_bits_and_leaves_no_file(data, how, tmp_path, monkeypatch):
    monkeypatch.setattr(held, "SAMPLE", 24_000)
    monkeypatch.setattr(held, "BLOCK", 4_096)
    given = dict(data)
    if "missing" in how:
        given["a"] = np.where(np.arange(N) % 1000 == 0, np.nan, data["a"])
    source = Calls(given)

    def fit(**words):
        return MoERegressor.from_formula(
            "y ~ a + C(b) | 1", source, n_experts=2, n_starts=2, random_state=0, n_jobs=1, **how, **words
        )

    plain, often = fit(), source.passes
    again = fit(cache=tmp_path)
    assert np.array_equal(plain._fitted().fit.theta, again._fitted().fit.theta)
    assert plain.log_likelihood_ == again.log_likelihood_
    assert plain.dropped_ == again.dropped_
    assert often > 6
    assert source.passes == often + 3  # to see the columns, for the sample, and for the moments
    assert os.listdir(tmp_path) == []


class Full:
    """A file on a disk that takes a part, and then nothing."""

    def __init__(self, room):
        self.room, self.file = room, tempfile.TemporaryFile(buffering=0)

    def write(self, data):
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = min(len(data), self.room, 10_000)
        self.room -= taken
        return self.file.write(data[:taken])

    def __getattr__(self, name):
        return getattr(self.file, name)


def test_a_full_disk_is_one_line_and_a_short_write_is_gone_on_with(data, monkeypatch):
    monkeypatch.setattr(module, "_opened", lambda folder: Full(100_000))
    plain = reader(Calls(data))
    with pytest.raises(FileError, match=r"^/scratch: the cache .* cannot be written there \(No space left"):
        list(Kept(plain, "/scratch"))
    monkeypatch.setattr(module, "_opened", lambda folder: Full(10**9))
    cached = Kept(plain)
    for _ in range(2):
        found = np.concatenate([rows.y for rows, _ in cached])
        assert np.array_equal(found, data["y"])


class TestWords:
    def test_they_are_checked(self, data, tmp_path):
        plain = reader(Calls(data))
        for nothing in (None, False):
            check_cache(nothing)
            assert keep(plain, nothing) is plain
        assert isinstance(keep(plain, True), Kept)
        with pytest.raises(DataError, match="cache=3 is no folder"):
            check_cache(3)
        with pytest.raises(FileError, match="is no folder for the cache"):
            check_cache(tmp_path / "no")

    def test_rows_in_memory(self, data):
        with pytest.raises(DataError, match="these are in memory: leave it out"):
            MoERegressor(2, cache=True).fit(data["a"][:, None], data["y"])
