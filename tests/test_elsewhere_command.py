"""The command on files that are read block by block, and the memory that a fit of them takes."""

import json

import numpy as np
import pytest

from test_cli import call, refuses

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
FIT = ("-f", "y ~ a + b", "-k", "2", "--starts", "2", "--quiet")


@pytest.fixture
def rides(tmp_path):
    """Two files of a folder."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "rides"
    folder.mkdir()
    for name in ("a", "b"):
        x, zone = rng.normal(size=400), rng.choice(["u", "v"], 400)
        y = np.where(rng.random(400) < 0.5, 1 + 2 * x, -1 - x) + 0.3 * rng.normal(size=400)
        pq.write_table(pa.table({"a": x, "b": zone, "y": y}), folder / f"{name}.parquet", row_group_size=150)
    return folder


def ok(*arguments):
    done = call(*arguments)
    assert done.exit_code == 0, done.output
    return done.output


def test_a_folder_is_fitted_and_predicted(rides, tmp_path):
    model, out = tmp_path / "m.json", tmp_path / "out"
    ok("fit", rides / "*.parquet", *FIT, "--out", model)
    whole = tmp_path / "all.parquet"
    pq.write_table(pq.read_table(rides), whole)
    one = tmp_path / "one.json"
    ok("fit", whole, *FIT, "--out", one)
    values = [json.loads(path.read_text())["fit"]["log_likelihood"] for path in (model, one)]
    assert values[0] == pytest.approx(values[1], rel=1e-12)
    ok("predict", model, rides, "--out", out, "--gate", "--posterior")
    assert sorted(file.name for file in out.iterdir()) == ["00000-a.parquet", "00001-b.parquet"]
    ok("predict", model, whole, "--out", tmp_path / "p.parquet", "--gate", "--posterior")
    mine, other = pq.read_table(out), pq.read_table(tmp_path / "p.parquet")
    assert mine.column_names == other.column_names
    for name in mine.column_names:
        np.testing.assert_allclose(mine[name].to_numpy(), other[name].to_numpy(), rtol=1e-12)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_first_line_of_csv_says_its_separator(separator, rides, tmp_path):
    columns = pq.read_table(rides).to_pydict()
    rows = zip(*columns.values(), strict=True)
    lines = [separator.join(columns), *(separator.join(map(str, row)) for row in rows)]
    (tmp_path / "d.csv").write_text("\n".join(lines))
    for place, limit in (("whole", ()), ("blocks", ("--memory-limit", "2GB"))):
        ok("fit", tmp_path / "d.csv", *FIT, *limit, "--out", tmp_path / f"{place}.json")
    found = [json.loads((tmp_path / f"{place}.json").read_text())["fit"] for place in ("whole", "blocks")]
    assert found[0]["log_likelihood"] == pytest.approx(found[1]["log_likelihood"], rel=1e-12)


def test_what_is_read_is_kept_for_later_passes(rides, tmp_path):
    for name, words in (("plain", ()), ("kept", ("--cache", tmp_path))):
        ok("fit", rides, *FIT, *words, "--out", tmp_path / f"{name}.json")
    plain, kept = (json.loads((tmp_path / f"{name}.json").read_text())["fit"] for name in ("plain", "kept"))
    assert plain == kept
    refuses("fit", rides, *FIT, "--cache", tmp_path / "no", match="no: is no folder for the cache")
    whole = rides / "a.parquet"
    for more in ((), ("--gate", "gaussian"), ("--penalty", "l1")):
        formula = "y ~ a" if more else FIT[1]
        refuses(
            "fit",
            whole,
            "-f",
            formula,
            *more,
            "--cache",
            tmp_path,
            match="--cache keeps rows that are read block",
        )


def test_what_is_refused(rides, tmp_path):
    refuses("fit", rides, *FIT, "--weights", "b", match="column 'b' holds text: weights are numbers")
    model = tmp_path / "m.json"
    ok("fit", rides, *FIT, "--out", model)
    refuses("predict", model, rides, "--out", rides, match="is the folder that is predicted")
    refuses("fit", rides, *FIT, "--report", tmp_path / "r.html", match="--report draws every row")
    refuses("fit", rides, *FIT, "--groups", "b", match="a group of 'b' has come in two pieces")
    refuses("fit", rides, *FIT, "--partial", "b", match="partial needs all rows in memory")
    refuses("fit", rides, *FIT, "--separator", ";", match="--separator is of one CSV file")
    refuses("fit", rides, "-f", "y ~ a", "--gate", "gaussian", match="needs rows in memory")
    refuses("fit", rides, *FIT, "--memory-limit", "two", match="write '2GB'")
    model = tmp_path / "m.json"
    ok("fit", rides, *FIT, "--out", model)
    refuses("predict", model, rides, match="give --out")
    (rides / "c.parquet").write_bytes((rides / "b.parquet").read_bytes()[:-50])
    refuses("predict", model, rides, "--out", tmp_path / "out", match="c.parquet: cannot be read")
    left = [file.name for file in (tmp_path / "out").iterdir()]  # what was done before, whole
    assert "00000-a.parquet" in left
    assert not any(name.endswith(".tmp") or "-c." in name for name in left)


@pytest.mark.study
@pytest.mark.parametrize("way", ["files", "cache"])
def test_memory_stays_under_its_limit(way, tmp_path):
    """Eight million rows in one row group: the columns take as much as the limit."""
    from moestro.bench import scale

    n = 8_000_000
    scale.make(tmp_path, n, file=n, group=n)
    found = scale.fitted(str(tmp_path), "700MB", 1, way)
    assert found["peak"] <= 700
    assert found["value"] == pytest.approx(scale.summed_again(tmp_path, found["measure"]), rel=1e-9)
