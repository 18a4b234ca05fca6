"""Rows that are read block by block, from wherever they are: the same fit as of the same rows in memory."""

import numpy as np
import pytest

from moestro import MoEClassifier, MoERegressor
from moestro.design import fit_scaling
from moestro.errors import DataError, FileError
from moestro.rows import Held, RowsElsewhere, Survey, held, scan_formula
from moestro.rows.moments import Moments
from moestro.rows.sources import Files, Iterated, Mapped, even, is_elsewhere, source_of

FORMULA = "y ~ a + C(b) + log(c) | a"
N = 40_000


@pytest.fixture(scope="module")
def data():
    """Columns of a mixture of two lines, sorted by the one that decides."""
    rng = np.random.default_rng(0)
    a = np.sort(rng.normal(size=N))
    b, c = rng.integers(0, 3, N), rng.uniform(1, 3, N)
    first = rng.random(N) < 1 / (1 + np.exp(-2 * a))
    mean = np.where(first, 1 + 2 * a + 0.5 * (b == 1), -1 - a + np.log(c))
    return {
        "a": a,
        "b": np.array(["x", "y", "z"], dtype=object)[b],
        "c": c,
        "y": mean + 0.5 * rng.normal(size=N),
    }


def table(data, at=slice(None)):
    pa = pytest.importorskip("pyarrow")
    return pa.table({name: values[at] for name, values in data.items()})


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    pq = pytest.importorskip("pyarrow.parquet")
    path = tmp_path_factory.mktemp("rides")
    pq.write_table(table(data, slice(0, 20_000)), path / "a.parquet", row_group_size=7_000)
    pq.write_table(table(data, slice(20_000, None)), path / "b.parquet", row_group_size=50_000)
    return path


@pytest.fixture(scope="module")
def few():
    """A sample that is a part of the rows, and small blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(held, "SAMPLE", 30_000)
        patch.setattr(held, "BLOCK", 16_384)
        yield


@pytest.fixture(scope="module")
def mapped(data, few):
    return model(Mapped(data))


def batches(data, size):
    return lambda: ({n: v[i : i + size] for n, v in data.items()} for i in range(0, N, size))


def model(source):
    return MoERegressor.from_formula(FORMULA, source, n_experts=2, n_starts=3, random_state=0, n_jobs=1)


class TestSources:
    def test_what_is_elsewhere(self, data, folder):
        assert all(map(is_elsewhere, ["rides/*.parquet", folder, lambda: iter(()), Mapped({"a": data["a"]})]))
        assert not any(map(is_elsewhere, [data, data["a"], table(data), [[1.0]], None]))

    def test_all_of_them_give_the_same_rows_in_the_same_blocks(self, data, folder):
        ds, pl = pytest.importorskip("pyarrow.dataset"), pytest.importorskip("polars")
        sources = [
            Mapped(data), batches(data, 999), folder, str(folder / "*.parquet"), ds.dataset(folder),
            pl.scan_parquet(folder / "*.parquet"),
        ]  # fmt: skip
        for source in map(source_of, sources):
            assert source.names == tuple(data)
            got = list(even(source.batches(["y", "b"], 5000), 4096))
            assert [g.n for g in got[:-1]] == [4096] * (len(got) - 1)
            np.testing.assert_array_equal(np.concatenate([g.columns["y"] for g in got]), data["y"])
            assert np.concatenate([g.columns["b"] for g in got]).tolist() == data["b"].tolist()

    def test_a_row_group_is_not_read_whole(self, data, folder):
        sizes = [b.n for b in Files.at(str(folder / "b.parquet")).batches(["y"], 1000)]
        assert max(sizes) <= 1000
        assert sum(sizes) == N - 20_000

    def test_of_a_row_group_a_batch_is_in_memory(self, tmp_path):
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        n = 1_000_000  # 40 MB
        columns = {name: np.random.default_rng(0).random(n) for name in "abcde"}
        pq.write_table(pa.table(columns), tmp_path / "one.parquet", row_group_size=n)
        before, most, total = pa.total_allocated_bytes(), 0, 0.0
        for batch in source_of(tmp_path).batches(list("abcde"), 10_000):
            most = max(most, pa.total_allocated_bytes() - before)
            total += batch.columns["e"].sum()
        assert most < 15e6  # pages of a megabyte a column
        assert total == pytest.approx(columns["e"].sum(), rel=1e-12)

    def test_types_of_the_first_file_and_of_partitions(self, tmp_path):
        pa, pq, ds = (pytest.importorskip(f"pyarrow{m}") for m in ("", ".parquet", ".dataset"))
        for name, column in (("b", "u"), ("c", "v")):
            folder = tmp_path / f"zone={column}"
            folder.mkdir()
            text = pa.array(["x", "y", "x"])
            table = {"y": pa.array([1, 2, 3], pa.int32() if name == "b" else pa.float32())}
            table["t"] = text.dictionary_encode() if name == "b" else text
            pq.write_table(pa.table(table), folder / f"{name}.parquet")
        coded = ds.dataset(tmp_path, partitioning=ds.HivePartitioning.discover(infer_dictionary=True))
        for source in (source_of(tmp_path), source_of(coded)):
            got = next(even(source.batches(["y", "t", "zone"], 10), 10)).columns
            assert got["y"].tolist() == [1, 2, 3, 1, 2, 3]
            assert got["t"].tolist() == ["x", "y", "x"] * 2
            assert got["zone"].tolist() == ["u"] * 3 + ["v"] * 3
            only = list(source.batches(["zone"], 10))
            assert [b.columns["zone"].tolist() for b in only] == [["u"] * 3, ["v"] * 3]

    def test_a_filtered_dataset_is_refused(self, folder):
        ds = pytest.importorskip("pyarrow.dataset")
        filtered = ds.dataset(folder).filter(ds.field("a") > 0)
        with pytest.raises(DataError, match="is filtered or projected, and is read file by file"):
            list(source_of(filtered).batches(["a"], 100))

    def test_files_of_numpy_are_mapped(self, data, tmp_path):
        for name in ("a", "y"):
            np.save(tmp_path / f"{name}.npy", data[name])
        source = source_of(tmp_path)
        assert isinstance(source, Mapped)
        assert isinstance(source.columns["a"], np.memmap)

    def test_csv_and_partitions(self, data, tmp_path):
        ds = pytest.importorskip("pyarrow.dataset")
        ds.write_dataset(table(data, slice(0, 90)), tmp_path, format="csv", partitioning=["b"],
                         partitioning_flavor="hive")  # fmt: skip
        got = [b for b in source_of(tmp_path).batches(["b", "y"], 50)]
        assert {v for b in got for v in b.columns["b"]} == {"x", "y", "z"}
        assert sum(b.columns["y"].sum() for b in got) == pytest.approx(data["y"][:90].sum(), rel=1e-12)


class TestFirstPass:
    @pytest.mark.parametrize("kind", ["affine", "scale", "none"])
    @pytest.mark.parametrize("size", [1000, 4096, N])
    def test_moments_of_blocks_are_those_of_all_rows(self, size, kind):
        rng = np.random.default_rng(1)
        x = np.column_stack([1e6 + rng.normal(size=N), rng.exponential(size=N), np.ones(N)])
        x = np.column_stack([x, x[:, 1] * 3.0])
        w = rng.uniform(0, 2, N)
        names = ("far", "b", "one", "again")
        parts = [Moments.of(x[i : i + size], w[i : i + size]) for i in range(0, N, size)]
        total = parts[0]
        for part in parts[1:]:
            total = total.merged(part)
        mine, whole = total.scaling(names, kind), fit_scaling(x, names, w, kind)
        np.testing.assert_allclose(mine.center, whole.center, rtol=1e-13)
        np.testing.assert_allclose(mine.inv_scale, whole.inv_scale, rtol=1e-10)
        assert mine.aliased == whole.aliased

    def test_the_sample_is_drawn_over_sorted_rows_alike(self, data):
        seen = Survey.of(Mapped(data), ["a", "y"], (), 2000, 5000)
        place = np.searchsorted(data["a"], seen.sample["a"]) / N
        assert len(place) == 2000
        # Uniform numbers: 1.63 / sqrt(m) is the 1 % point of Kolmogorov's distance.
        assert np.abs(np.sort(place) - (np.arange(2000) + 0.5) / 2000).max() < 1.63 / np.sqrt(2000)

    def test_it_does_not_depend_on_blocks(self, data):
        one, other = (Survey.of(Mapped(data), ["a"], (), 2000, size).sample["a"] for size in (777, 60_000))
        np.testing.assert_array_equal(one, other)

    def test_a_level_that_one_row_has_is_known(self, data):
        rare = data | {"b": np.where(np.arange(N) == N - 1, "only", data["b"]).astype(object)}
        design = scan_formula(FORMULA, Mapped(rare), Held(sample=1000)).design
        assert design.order_of("b") == ("only", "x", "y", "z")


class TestFits:
    def test_the_fit_is_that_of_memory(self, data, mapped):
        memory = model(data)
        assert isinstance(mapped._found.rows, RowsElsewhere)
        assert mapped.log_likelihood_ == pytest.approx(memory.log_likelihood_, rel=1e-12)
        np.testing.assert_allclose(mapped.fit_.mass, memory.fit_.mass, rtol=1e-5)
        assert mapped.fit_.entropy == pytest.approx(memory.fit_.entropy, rel=1e-5)
        assert mapped.history_["passes"][-1] <= 10
        for cov in ("observed", "sandwich"):
            mine, other = mapped.covariance_matrix(cov=cov), memory.covariance_matrix(cov=cov)
            np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())

    def test_the_smaller_fit_of_a_sample_is_not_compared_with_all_rows(self, mapped):
        assert mapped.fit_.evidence.smaller is None

    @pytest.mark.parametrize("kind", ["folder", pytest.param("iterator", marks=pytest.mark.slow)])
    def test_blocks_are_the_same_from_anywhere(self, data, folder, mapped, kind):
        other = model(folder if kind == "folder" else batches(data, 999))
        np.testing.assert_array_equal(other.fit_.theta, mapped.fit_.theta)
        assert other.log_likelihood_ == mapped.log_likelihood_
        assert other.status_ == mapped.status_

    def test_rows_that_fit_in_the_sample_are_read_once(self, data, few):
        small = {name: values[:3000] for name, values in data.items()}
        a, b = model(Mapped(small)), model(small)
        assert a.log_likelihood_ == pytest.approx(b.log_likelihood_, rel=1e-12)
        assert a._fitted().sample == b._fitted().sample

    def test_columns_by_name_and_classes(self, data, few):
        labels = np.where(data["y"] > 0, "high", "low").astype(object)
        columns = {"a": data["a"], "c": data["c"], "label": labels}
        X = np.column_stack([data["a"], data["c"]])
        a = MoEClassifier(1, random_state=0).fit(Mapped(columns), "label")
        b = MoEClassifier(1, random_state=0).fit(X, labels)
        assert a.log_likelihood_ == pytest.approx(b.log_likelihood_, rel=1e-12)
        frame = pytest.importorskip("pandas").DataFrame({"a": data["a"][:5], "c": data["c"][:5]})
        np.testing.assert_allclose(a.predict_proba(frame), b.predict_proba(X[:5]), rtol=1e-6)
        assert a.classes_.tolist() == ["high", "low"]

    def test_rows_with_missing_values_are_left_out(self, data, few):
        holed = data | {"a": np.where(np.arange(N) % 7 == 3, np.nan, data["a"])}
        mine, other = (
            MoERegressor.from_formula("y ~ a", source, n_experts=1, missing="drop")
            for source in (Mapped(holed), holed)
        )
        assert mine.log_likelihood_ == pytest.approx(other.log_likelihood_, rel=1e-12)
        assert mine.dropped_ == other.dropped_

    def test_a_block_of_equal_responses_is_no_constant_response(self, data, few):
        ordered = data | {"y": np.sort(np.where(data["y"] > 0, data["y"], 0.0))}
        a, b = (MoERegressor.from_formula("y ~ a", rows, n_experts=1) for rows in (Mapped(ordered), ordered))
        assert a.log_likelihood_ == pytest.approx(b.log_likelihood_, rel=1e-12)
        left = "censored[0:]"  # nothing in a block is between the limits
        MoERegressor.from_formula("y ~ a", Mapped(ordered), n_experts=1, family=left, max_iter=3)
        above = data | {"y": ordered["y"] + 1.0}
        a, b = (
            MoERegressor.from_formula("y ~ a", rows, n_experts=1, family="gamma")
            for rows in (Mapped(above), above)
        )
        assert a.log_likelihood_ == pytest.approx(b.log_likelihood_, rel=1e-12)
        for family in ("gaussian", "gamma"):
            with pytest.raises(DataError, match="constant"):
                MoERegressor.from_formula(
                    "y ~ a", Mapped(data | {"y": np.ones(N)}), n_experts=1, family=family
                )

    def test_a_block_whose_rows_weigh_nothing_is_left_out(self, data, few):
        late = data | {"w": (np.arange(N) >= N // 2).astype(float), "y": np.exp(data["y"])}
        a, b = (
            MoERegressor.from_formula("y ~ a", rows, sample_weight="w", n_experts=1, family="gamma")
            for rows in (Mapped(late), late)
        )
        assert a.log_likelihood_ == pytest.approx(b.log_likelihood_, rel=1e-12)

    def test_weights_are_a_column(self, data, few):
        w = np.random.default_rng(3).integers(0, 3, N).astype(float)
        a = MoERegressor.from_formula("y ~ a", Mapped(data | {"w": w}), sample_weight="w", n_experts=1)
        b = MoERegressor.from_formula("y ~ a", data, sample_weight=w, n_experts=1)
        assert a.log_likelihood_ == pytest.approx(b.log_likelihood_, rel=1e-12)
        assert a.fit_.weight_sum == w.sum()


class TestRefusals:
    def fails(self, source, match, kind=DataError, formula=FORMULA):
        with pytest.raises(kind, match=match):
            MoERegressor.from_formula(formula, source, n_experts=2, random_state=0)

    def test_missing_values_by_file_and_row_group(self, data, tmp_path):
        pq = pytest.importorskip("pyarrow.parquet")
        holed = data | {"a": np.where(np.arange(N) == 8000, np.nan, data["a"])}
        pq.write_table(table(holed), tmp_path / "h.parquet", row_group_size=7_000)
        self.fails(tmp_path, r"h.parquet, row group 2: column 'a' has missing values in row 1001")

    def test_a_column_without_values(self, data, tmp_path):
        pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        pq.write_table(table(data, slice(0, 50)), tmp_path / "a.parquet")
        nothing = table(data, slice(0, 50)).set_column(0, "a", pa.array([np.nan] * 50))
        pq.write_table(nothing, tmp_path / "b.parquet")
        self.fails(tmp_path, "b.parquet: column 'a' has missing values in 50 rows")

    def test_truncated_empty_changed_and_vanished_files(self, data, tmp_path):
        pq = pytest.importorskip("pyarrow.parquet")
        good, bad = tmp_path / "a.parquet", tmp_path / "b.parquet"
        pq.write_table(table(data, slice(0, 500)), good)
        bad.write_bytes(good.read_bytes()[:-200])
        self.fails(tmp_path, "b.parquet: cannot be read", FileError)
        bad.write_bytes(b"")
        self.fails(str(tmp_path / "*.parquet"), "b.parquet: is empty", FileError)
        pq.write_table(table(data, slice(0, 0)), bad)
        self.fails(tmp_path, "b.parquet: has no rows", FileError)
        pq.write_table(table(data, slice(0, 9)).drop_columns(["c"]), bad)
        self.fails(tmp_path, "b.parquet: has no column 'c'", FileError)
        pq.write_table(table(data | {"c": data["b"]}, slice(0, 9)), bad)
        self.fails(tmp_path, "b.parquet: column 'c' is string, and double in the first file", FileError)
        source = Files.at(str(tmp_path))
        bad.unlink()
        self.fails(source, "b.parquet: was there when the fit began, and is gone", FileError)

    def test_rows_that_change_between_passes(self, data, few):
        calls = []

        def made():
            calls.append(1)
            return [data] if len(calls) < 5 else [{n: v[:-1] for n, v in data.items()}]

        self.fails(Iterated(made), f"the iterator has {N - 1} rows now, and had {N} when the fit began")

    def test_what_needs_all_rows_at_once(self, data, few):
        self.fails(Mapped(data), "learns from all rows at once", formula="y ~ center(a)")
        with pytest.raises(DataError, match="partial needs all rows in memory at once"):
            MoERegressor.from_formula("y ~ a", Mapped(data), partial="b")
        fitted = MoERegressor.from_formula("y ~ a", Mapped(data), n_experts=1)
        with pytest.raises(DataError, match="all rows in memory at once"):
            fitted.inference(cov="bootstrap")

    def test_a_column_too_large_for_a_gate_that_does_not_scale_it(self, few):
        r = np.random.default_rng(0)
        large = Mapped({"y": r.normal(size=60), "a": r.normal(size=60) * 1e153})
        with pytest.raises(DataError, match="reads column 'a' in its own units, in which it is too large"):
            MoERegressor(2, gate="laplace").fit(large, "y")

    def test_paths_and_names(self, data, tmp_path):
        self.fails(str(tmp_path / "*.parquet"), "no file matches", FileError)
        self.fails(str(tmp_path / "no.parquet"), "no such file", FileError)
        self.fails(tmp_path, "is a folder without files", FileError)
        self.fails(Mapped({"y": data["y"], "a": data["a"]}), "column 'b' is missing from the data")
        with pytest.raises(DataError, match="is the name of a column"):
            MoERegressor(2).fit(Mapped(data), data["y"])
        with pytest.raises(DataError, match="memory_limit is too small"):
            MoERegressor(2, memory_limit="300MB").fit(Mapped(data), "y")
