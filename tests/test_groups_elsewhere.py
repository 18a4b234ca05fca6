"""Groups of rows that are read block by block: the fits of the same rows in memory."""

import sys
from itertools import pairwise

import numpy as np
import pytest

from moestro import MoEClassifier, MoERegressor
from moestro.errors import DataError
from moestro.rows import Held, Survey, held, scan_formula
from moestro.rows.sources import Batch, Mapped, whole

G = 14_000
FORMULA = "y ~ x | z"


@pytest.fixture(scope="module")
def panel():
    """Groups of one to nine rows in two lines, sorted by an id that is text; weights and z of the group."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 10, G)
    group = np.repeat(np.arange(G), sizes)
    z, w = rng.normal(size=G)[group], rng.integers(0, 3, G).astype(float)[group]
    first = (rng.random(G) < 1 / (1 + np.exp(-1 - 2 * z[np.cumsum(sizes) - 1])))[group]
    x = rng.normal(size=len(group))
    y = np.where(first, 1 + 2 * x, -1 - x) + rng.normal(size=len(group))
    c = (np.where(first, x, 0.5 - x) + rng.logistic(size=len(group)) > 0).astype(int)
    return {
        "y": y, "x": x, "z": z, "w": w, "c": c, "v": x + z,
        "id": np.array([f"{g:05d}" for g in group], dtype=object), "number": -group,
    }  # fmt: skip


@pytest.fixture
def few(monkeypatch):
    """A sample that is a part of the rows, and small blocks."""
    monkeypatch.setattr(held, "SAMPLE", 30_000)
    monkeypatch.setattr(held, "BLOCK", 10_000)


def cut(panel, size):
    n = len(panel["y"])
    return lambda: iter([{k: v[i : i + size] for k, v in panel.items()} for i in range(0, n, size)])


def fit(data, cls=MoERegressor, formula=FORMULA, groups="id", **how):
    how = {"n_experts": 2, "n_starts": 4, "random_state": 0, "n_jobs": 1, "tol": 1e-11, **how}
    return cls.from_formula(formula, data, groups=groups, **how)


class TestFits:
    @pytest.mark.parametrize(
        ("cls", "how"),
        [
            (MoERegressor, {}),
            (MoERegressor, {"groups": "number", "sample_weight": "w"}),
            (MoERegressor, {"formula": "y ~ x | v", "gate_at": "mean"}),
            (MoERegressor, {"formula": "y ~ x | v", "gate_at": "first", "gate": "sigmoid"}),
            (MoERegressor, {"formula": "c ~ x | z", "family": "poisson"}),
            (MoEClassifier, {"formula": "c ~ x | z", "sample_weight": "w"}),
        ],
    )
    def test_they_are_those_of_the_rows_in_memory(self, panel, few, cls, how):
        import pandas as pd

        there, here = fit(cut(panel, 7_001), cls, **how), fit(pd.DataFrame(panel), cls, **how)
        assert there._fitted().fit.mass is not None
        assert there.log_likelihood_ == pytest.approx(here.log_likelihood_, rel=1e-11)
        assert there.bic_ == pytest.approx(here.bic_, rel=1e-11)
        assert there._fitted().fit.group_sizes == here._fitted().fit.group_sizes
        assert str(there.status_.kind) == str(here.status_.kind)
        assert there._fitted().sample.digest == here._fitted().sample.digest or "sample_weight" in how
        np.testing.assert_allclose(there._fitted().fit.theta, here._fitted().fit.theta, atol=1e-6)
        for cov in ("observed", "sandwich"):
            one, other = (np.array(moe.inference(cov=cov)["std_error"]) for moe in (there, here))
            np.testing.assert_allclose(one, other, rtol=1e-5)

    def test_the_bits_do_not_depend_on_how_a_source_was_cut(self, panel, few):
        thetas = [fit(source)._fitted().fit.theta for source in (Mapped(panel), cut(panel, 1_234))]
        again = fit(cut(panel, 5_000), cache=True)._fitted().fit.theta
        assert np.array_equal(thetas[0], thetas[1])
        assert np.array_equal(thetas[0], again)

    def test_rows_that_miss_a_value_are_left_out(self, panel, few):
        import pandas as pd

        y = panel["y"].copy()
        y[::50] = np.nan
        there, here = (
            fit(data, missing="drop")
            for data in (cut({**panel, "y": y}, 999), pd.DataFrame({**panel, "y": y}))
        )
        assert there.dropped_.rows == here.dropped_.rows
        assert there.log_likelihood_ == pytest.approx(here.log_likelihood_, rel=1e-11)


class TestSample:
    def test_it_is_of_whole_groups_wherever_they_stand(self, panel):
        drawn = []
        for size in (777, 4_000, 60_000):
            seen = Survey.of(Mapped(panel), ["x", "id"], (), 3_000, size, "id", ("id",))
            ids, counts = np.unique(seen.sample["id"], return_counts=True)
            there = dict(zip(*np.unique(panel["id"], return_counts=True), strict=True))
            assert [there[i] for i in ids] == counts.tolist()
            assert 2_980 < counts.sum() <= 3_000
            number = ids.astype(int)
            assert abs(number.mean() / G - 0.5) < 5 / np.sqrt(12 * len(number))
            assert np.corrcoef(number, counts)[0, 1] < 0.15
            drawn.append(ids.tolist())
        assert drawn[0] == drawn[1] == drawn[2]

    def test_a_group_larger_than_the_sample(self, panel):
        one = {**panel, "id": np.zeros(len(panel["y"]))}
        with pytest.raises(DataError, match=r"a group of the data has more than the 2,000 rows"):
            scan_formula(FORMULA, Mapped(one), Held(groups="id", sample=2_000))


class TestWhole:
    @pytest.mark.parametrize("size", [1, 5, 64, 10_000])
    def test_groups_are_cut_nowhere(self, size):
        rng = np.random.default_rng(size)
        ids = np.repeat(np.arange(200), rng.integers(1, 12, 200))
        for step in (1, 7, 500, len(ids)):
            batches = (Batch({"g": ids[i : i + step]}, "") for i in range(0, len(ids), step))
            got = [b.columns["g"] for b in whole(batches, size, "g")]
            assert np.concatenate(got).tolist() == ids.tolist()
            assert not any(set(a) & set(b) for a, b in pairwise(got))
            assert all(len(a) <= size or len(set(a)) == 1 for a in got)
            full = pairwise(got)
            assert all(len(a) + (b == b[0]).sum() > size for a, b in full)  # another group had no room

    def test_ids_come_in_any_order(self):
        for ids in (
            [3, 3, -1, -2, 7, 2**53, 2**53 + 1],
            ["az", "az", "ar", "b"],
            [True, False],
            ["1", 1, 1.5],
        ):
            values = np.array(ids, dtype=object if isinstance(ids[0], str) else None)
            batches = [Batch({"g": values[:1]}, "a"), Batch({"g": values[1:]}, "b")]
            got = [b.columns["g"].tolist() for b in whole(iter(batches), 1, "g")]
            assert [v for g in got for v in g] == values.tolist()
            assert [len(set(map(str, g))) for g in got] == [1] * len(got)

    def test_pieces_are_looked_for_on_the_way(self, monkeypatch):
        monkeypatch.setattr(sys.modules[whole.__module__], "ASKED", 20)
        read = []

        def batches():
            for i in range(1000):
                read.append(i)
                yield Batch({"g": np.arange(10) % 7 + 0.0}, f"batch {i}")

        with pytest.raises(DataError, match=r"^batch [0-9]: by there a group of 'g' has come in two pieces"):
            list(whole(batches(), 5, "g"))
        assert len(read) < 5

    @pytest.mark.parametrize(
        ("ids", "message"),
        [
            ([1, 1, 2, 2, 1], r"b: by there a group of 'g' has come in two pieces. Sort the rows by it"),
            ([-1, -2, -2, -1], "has come in two pieces"),
            (["u", "v", 1, "u"], "has come in two pieces"),
            ([1.0, np.nan, 2.0], "a: the groups 'g' are missing in row 2"),
        ],
    )
    def test_what_is_refused(self, ids, message):
        values = np.array(ids, dtype=object if isinstance(ids[0], str) else None)
        batches = [Batch({"g": values[:2]}, "a"), Batch({"g": values[2:]}, "b")]
        with pytest.raises(DataError, match=message):
            list(whole(iter(batches), 10, "g"))


class TestRefusals:
    def test_ids_have_a_name(self, panel):
        with pytest.raises(DataError, match="groups is the name of a column"):
            fit(cut(panel, 999), groups=panel["id"])

    def test_a_gate_column_that_varies(self, panel, few):
        with pytest.raises(DataError, match="the gate's column 'v' varies within the group"):
            fit(cut(panel, 999), formula="y ~ x | v")

    def test_weights_that_vary(self, panel, few):
        with pytest.raises(DataError, match="sample_weight varies within the group"):
            fit(cut({**panel, "w": 1.0 + np.arange(len(panel["y"]))}, 999), sample_weight="w")

    def test_a_gate_reads_groups_alone(self, panel):
        with pytest.raises(DataError, match="give groups too"):
            fit(cut(panel, 999), groups=None, gate_at="mean")
