"""The command line as a person uses it."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from conftest import two_lines
from moestro import DataError, load_model
from moestro.cli import main
from moestro.datasets import dataset_path

pytest.importorskip("formulaic")
TONE, VOTERS = str(dataset_path("tone")), str(dataset_path("voters"))


def call(*arguments):
    return CliRunner().invoke(main, [str(a) for a in arguments])


def refuses(*arguments, match):
    done = call(*arguments)
    assert done.exit_code == 2, done.output
    lines = [line for line in done.output.splitlines() if line.startswith("Error")]
    assert len(lines) == 1
    assert match in done.output
    assert "Traceback" not in done.output


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "model.json"
    done = call(
        "fit",
        VOTERS,
        "-f",
        "party ~ left_right | income",
        "--family",
        "multinomial",
        "-k",
        "1-2",
        "--out",
        path,
    )
    assert done.exit_code == 0, done.output
    return path, done.output


def test_fit_prints_everything(model):
    path, text = model
    for words in (
        "1 expert: one start", "2 experts: best optimum found", "Number of experts, chosen by BIC", "icl", "Gate (log odds",
        "Experts (log odds against Republican)", "se", "In words", "Expert 1 (", "model written",
    ):  # fmt: skip
        assert words in text
    assert "\r" not in text  # no progress bar in a pipe
    assert json.loads(path.read_text())["format"] == "moestro.model/2"


def test_predict_classes(model, tmp_path):
    path, _ = model
    done = call("predict", path, VOTERS, "--gate")
    rows = list(csv.DictReader(done.output.splitlines()))
    assert len(rows) == 944
    proba = np.array([[float(r[f"p({c})"]) for c in ("Democrat", "Independent", "Republican")] for r in rows])
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-8)
    np.testing.assert_allclose([float(r["gate(1)"]) + float(r["gate(2)"]) for r in rows], 1, atol=1e-8)
    assert rows[0]["predicted"] == "Republican"
    out = tmp_path / "p.csv"
    assert call("predict", path, VOTERS, "--out", out).exit_code == 0
    assert len(out.read_text().splitlines()) == 945


def test_predict_numbers_and_parquet(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    pa = pytest.importorskip("pyarrow")
    x, y = two_lines()
    data, path, out = tmp_path / "d.parquet", tmp_path / "m.json", tmp_path / "p.parquet"
    pq.write_table(pa.table({"x": x[:, 0], "y": y}), data)
    assert call("fit", data, "-f", "y ~ x", "-k", "2", "-q", "--out", path).exit_code == 0
    assert call("predict", path, data, "--out", out, "--level", "0.8").exit_code == 0
    table = pq.read_table(out).to_pydict()
    inside = [a <= b <= c for a, b, c in zip(table["low"], y, table["high"], strict=True)]
    assert 0.7 <= np.mean(inside) <= 0.9


def test_select_marks_the_choice():
    done = call("select", TONE, "-f", "tuned ~ stretchratio", "-k", "1,2,3")
    assert done.exit_code == 0
    assert "chosen by BIC: 3" in done.output


def test_located_models_are_compared():
    ethanol = str(dataset_path("ethanol"))
    done = call(
        "select", ethanol, "-f", "nox ~ equivalence", "--model", "located", "-k", "1-3", "-d", 1, "-d", 2
    )
    assert done.exit_code == 0, done.output
    assert done.output.count("converged") >= 6
    assert "chosen by BIC: 3" in done.output
    refuses(
        "select",
        ethanol,
        "-f",
        "nox ~ equivalence | compression",
        "--model",
        "located",
        match="leave out the gate",
    )
    refuses("select", ethanol, "-f", "nox ~ equivalence", "--criterion", "best", match="dendrogram")


def test_a_picture_is_written(tmp_path):
    pytest.importorskip("matplotlib")
    out = tmp_path / "p.png"
    assert call("fit", TONE, "-f", "tuned ~ stretchratio", "-k", "1-2", "-q", "--plot", out).exit_code == 0
    assert out.read_bytes()[:4] == b"\x89PNG"


def test_saved_models_predict_like_the_fit(tmp_path):
    out = tmp_path / "m.json"
    call("fit", TONE, "-f", "tuned ~ stretchratio", "-k", "2", "-q", "--out", out)
    model = load_model(out)
    assert model.log_likelihood_ == pytest.approx(145.650315, abs=1e-5)
    assert model.starts_["strategy"]
    assert model.get_params()["formula"] == "tuned ~ stretchratio"
    assert "se" in model.summary("observed")  # what the command computed
    with pytest.raises(DataError, match="sandwich standard errors need the training data"):
        model.inference("sandwich")


@pytest.mark.parametrize("command", [[], ["fit"], ["predict"], ["select"], ["bench"]])
def test_help_teaches(command):
    done = call(*command, "--help")
    assert done.exit_code == 0
    assert "moestro" in done.output
    assert any(w in done.output for w in ("Example", "Start here", "Medians"))


class TestBadInput:
    def test_files(self, tmp_path):
        refuses("fit", tmp_path / "no.csv", "-f", "y ~ x", match="no such file")
        refuses("fit", tmp_path, "-f", "y ~ x", match="folder")
        (tmp_path / "empty.csv").write_text("")
        refuses("fit", tmp_path / "empty.csv", "-f", "y ~ x", match="cannot be read")
        (tmp_path / "head.csv").write_text("x,y\n")
        refuses("fit", tmp_path / "head.csv", "-f", "y ~ x", match="no rows")
        (tmp_path / "one.csv").write_text("x,y\n1,2\n")
        refuses("fit", tmp_path / "one.csv", "-f", "y ~ x", match="1 row")
        (tmp_path / "bits.csv").write_bytes(bytes(range(256)) * 9)
        refuses("fit", tmp_path / "bits.csv", "-f", "y ~ x", match="cannot be read")

    def test_truncated_parquet(self, tmp_path):
        pytest.importorskip("pyarrow")
        (tmp_path / "t.parquet").write_bytes(b"PAR1\x00\x00")
        refuses("fit", tmp_path / "t.parquet", "-f", "y ~ x", match="cannot be read")

    def test_options(self, tmp_path):
        refuses("fit", TONE, "-f", "tuned ~ ratio", match="'ratio' is missing")
        refuses("fit", TONE, "-f", "tuned ~ ", match="formula")
        refuses("fit", TONE, "-f", "tuned ~ stretchratio", "-k", "0", match="number of experts")
        refuses("fit", TONE, "-f", "tuned ~ stretchratio", "-k", "five", match="number of experts")
        refuses("fit", TONE, "-f", "tuned ~ stretchratio", "--weights", "w", match="'w' is missing")
        refuses("fit", TONE, "-f", "tuned ~ stretchratio", "--family", "poisson", match="whole numbers")
        refuses("fit", VOTERS, "-f", "party ~ age", match="holds text")
        refuses(
            "fit", TONE, "-f", "tuned ~ stretchratio", "--out", tmp_path / "no" / "m.json", match="folder"
        )
        refuses("fit", TONE, "-f", "tuned ~ stretchratio", "-k", "200", match="distinct rows")

    def test_models(self, model, tmp_path):
        path, _ = model
        whole = path.read_text()
        bad = tmp_path / "bad.json"
        for text in (
            "",
            whole[: len(whole) // 2],
            "[]",
            '{"format": "moestro.model/1"}',
            whole.replace('"theta"', '"beta"'),
        ):
            bad.write_text(text)
            refuses("predict", bad, VOTERS, match="bad.json")
        refuses("predict", tmp_path / "none.json", VOTERS, match="cannot be read")
        refuses("predict", path, TONE, match="'left_right' is missing")

    def test_code_in_a_model_file_is_not_run(self, model, tmp_path):
        path, _ = model
        evil = json.loads(path.read_text())
        evil["design"]["experts"]["text"] = f"__import__('os').mkdir('{tmp_path / 'owned'}')"
        bad = tmp_path / "evil.json"
        bad.write_text(json.dumps(evil))
        refuses("predict", bad, VOTERS, match="formula")
        assert not (tmp_path / "owned").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_leaves_no_half_model(tmp_path, monkeypatch):
    import moestro.design.frames as frames

    out = tmp_path / "m.json"
    out.write_text("the old model")

    def full(path, *how, **more):
        return open("/dev/full", "w")

    monkeypatch.setattr(frames, "open", full, raising=False)
    refuses("fit", TONE, "-f", "tuned ~ stretchratio", "-k", "1", "-q", "--out", out, match="No space left")
    assert out.read_text() == "the old model"
    assert os.listdir(tmp_path) == ["m.json"]


def test_a_closed_pipe_is_quiet():
    code = f"{sys.executable} -m moestro fit {TONE} -f 'tuned ~ stretchratio' -k 1-3 | head -1"
    done = subprocess.run(code, shell=True, capture_output=True, text=True, check=True)
    assert "Traceback" not in done.stderr
