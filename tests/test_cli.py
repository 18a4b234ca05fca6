"""The command line as a person uses it."""

import csv
import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from conftest import two_lines
from moestro import DataError, load_model
from moestro.cli import main
from moestro.cli.progress import Progress
from moestro.datasets import dataset_path, load_dataset

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
        "1 expert: one start", "2 experts: best optimum found", "Number of experts, chosen by BIC", "ICL",
        "Gate (log odds",
        "Experts (log odds against Republican)", "std. error", "In words", "Expert 1 (", "model written",
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


def test_predict_assigns_rows_to_experts(tmp_path):
    path = tmp_path / "m.json"
    call("fit", TONE, "-f", "tuned ~ stretchratio", "-k", "2", "-q", "--out", path)
    rows = list(csv.DictReader(call("predict", path, TONE, "--posterior").output.splitlines()))
    expected = load_model(path).assign(load_dataset("tone"))
    np.testing.assert_array_equal([int(r["expert"]) for r in rows], expected["expert"])
    np.testing.assert_allclose([float(r["posterior(2)"]) for r in rows], expected["posterior(2)"], rtol=1e-8)
    (tmp_path / "x.csv").write_text("stretchratio\n1.5\n2.0\n")
    refuses("predict", path, tmp_path / "x.csv", "--posterior", match="tuned")
    (tmp_path / "far.csv").write_text("stretchratio,tuned\n1.5,2.0\n2.0,1e200\n")  # no expert has a density
    refuses("predict", path, tmp_path / "far.csv", "--posterior", match="no finite responsibilities in row 2")


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
    assert "std. error" in model.summary("observed")  # what the command computed
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
        refuses("fit", tmp_path / "empty.csv", "-f", "y ~ x", match="is empty")
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
        refuses("predict", path, TONE, match="'income' is missing")

    def test_code_in_a_model_file_is_not_run(self, model, tmp_path):
        path, _ = model
        evil = json.loads(path.read_text())
        evil["design"]["experts"]["text"] = f"__import__('os').mkdir('{tmp_path / 'owned'}')"
        bad = tmp_path / "evil.json"
        bad.write_text(json.dumps(evil))
        refuses("predict", bad, VOTERS, match="formula")
        assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("option", ["--out", "--plot"])
def test_a_full_disk_leaves_no_half_file(option, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    from moestro import writing

    class Full(writing.Disk):
        @staticmethod
        def write(handle, data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    out = tmp_path / ("m.json" if option == "--out" else "p.png")
    out.write_text("the old file")
    monkeypatch.setattr(writing, "disk", Full())
    refuses("fit", TONE, "-f", "tuned ~ stretchratio", "-k", "1", "-q", option, out, match="No space left")
    assert out.read_text() == "the old file"
    assert os.listdir(tmp_path) == [out.name]


@pytest.mark.parametrize("reader", ["head -1", "true"])
def test_files_are_written_though_the_reader_of_a_pipe_has_gone(reader, tmp_path):
    pytest.importorskip("matplotlib")
    model, picture = tmp_path / "m.json", tmp_path / "p.png"
    fit = f"{sys.executable} -m moestro fit {TONE} -f 'tuned ~ stretchratio' -k 1"
    code = f"{fit} --out {model} --plot {picture} | {reader}; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "141"  # 128 + SIGPIPE
    assert load_model(model).n_experts_ == 1
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_a_closed_pipe_ends_a_command_without_files():
    code = (
        f"{sys.executable} -m moestro fit {TONE} -f 'tuned ~ stretchratio' -k 1 | true; echo "
        f"${{PIPESTATUS[0]}}"
    )
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stderr, done.stdout) == ("", "141\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_what_is_printed_may_find_no_space(tmp_path):
    """One line instead of a traceback, and the files are written all the same."""
    fit = f"{sys.executable} -m moestro fit {TONE} -f 'tuned ~ stretchratio' -k 1"
    for files in ("", f" --out {tmp_path / 'm.json'}"):
        done = subprocess.run(
            ["bash", "-c", f"{fit}{files} > /dev/full"], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (2, "Error: standard output: No space left on device\n")
    assert load_model(tmp_path / "m.json").n_experts_ == 1


def test_no_file_takes_the_place_of_another(tmp_path):
    pytest.importorskip("matplotlib")
    data, model = tmp_path / "d.csv", tmp_path / "m.json"
    data.write_bytes(Path(TONE).read_bytes())
    fit = ("fit", data, "-f", "tuned ~ stretchratio", "-k", 1, "-q")
    (tmp_path / "link.svg").symlink_to(tmp_path / "p.svg")
    refuses(
        *fit, "--plot", tmp_path / "p.svg", "--out", tmp_path / "link.svg", match="is given for two files"
    )
    refuses(*fit, "--out", "-", "--plot", "-", match="is given for two files")
    refuses(*fit, "--out", data, match="d.csv: is a file that the command reads: write to another")
    for name in ("m.xlsx", "m.csv", "m"):
        refuses(*fit, "--out", tmp_path / name, match=f"{name}: the name must end in .json")
    assert call(*fit, "--out", model).exit_code == 0
    refuses("predict", model, data, "--out", data, match="is a file that the command reads")
    refuses(
        "predict", model, TONE, "--history", data, "--groups", "id", "--out", data,
        match="is a file that the command reads",
    )  # fmt: skip
    assert data.read_bytes() == Path(TONE).read_bytes()


FIT = ("fit", TONE, "-f", "tuned ~ stretchratio", "-k", "1-2")


class TestOptionsDoWhatTheySay:
    @pytest.mark.parametrize("criterion", [None, "ebic", "bic", "aic", "cv"])
    def test_criteria_of_penalised_fits(self, criterion):
        given = () if criterion is None else ("--criterion", criterion)
        done = call(*FIT[:4], "-k", 1, "--penalty", "l1", "--alpha", "0.01", *given)
        assert done.exit_code == 0, done.output
        said = "held-out likelihood" if criterion == "cv" else (criterion or "ebic").upper()
        assert f"chosen by {said}\n" in done.output

    @pytest.mark.parametrize("criterion", ["icl", "slope", "djump", "ddse", "dendrogram"])
    def test_criteria_that_penalised_fits_have_not(self, criterion):
        refuses(*FIT, "--penalty", "l1", "--criterion", criterion, match="choose one of ebic, bic, aic, cv")

    def test_ebic_needs_a_penalty(self):
        refuses(*FIT, "--criterion", "ebic", match="give --penalty")
        refuses("select", *FIT[1:], "--criterion", "ebic", match="'ebic' is not one of")

    @pytest.mark.parametrize(
        "given",
        [
            ("--starts", 3), ("--solver", "em"), ("--engine", "array"), ("--cov", "sandwich"), ("--top-k", 1),
            ("--rank-on", "logit"), ("--gate", "sigmoid"), ("--family", "poisson", "--shared-variance"),
        ],
    )  # fmt: skip
    def test_options_that_a_penalty_does_not_read(self, given):
        refuses(*FIT, "--penalty", "l1", *given, match="leave")

    @pytest.mark.parametrize(
        "given",
        [
            ("--gate", "softmax"), ("--top-k", 1), ("--rank-on", "score"), ("--solver", "newton"),
            ("--engine", "native"),
            ("--shared-variance",), ("--family", "poisson"),
        ],
    )  # fmt: skip
    def test_options_that_located_models_do_not_read(self, given):
        if given[0] != "--gate":
            for command in ("fit", "select"):
                refuses(command, *FIT[1:], "--gate", "gaussian", *given, match="no meaning for --gate")
        refuses("select", *FIT[1:], "--model", "located", *given, match="--gate gaussian")

    def test_fit_and_select_compare_the_same_located_models(self):
        words = ("--starts", 2, "-c", "full", "-c", "diagonal", "-d", 1, "-d", 2, "--gate-tied")
        given = (TONE, "-f", "tuned ~ stretchratio", "-k", "1-2", *words)
        gate = ("--gate", "gaussian")
        commands = (("fit", "-q", *gate), ("select", *gate), ("select", "--model", "located"))
        outputs = [call(*command, *given).output for command in commands]
        assert outputs[1] == outputs[2]
        assert outputs[1].count("\n") > 20  # two tables of 2 x 2 x 2 models
        assert outputs[1].partition("\n\nchosen")[0] in outputs[0]

    def test_options_that_softmax_models_do_not_read(self, model):
        for option in (("--degree", 2), ("-c", "full"), ("--direction", "direct"), ("--tied",)):
            refuses("select", *FIT[1:], *option, match="needs --gate gaussian")
        refuses(*FIT, "--rank-on", "logit", match="--top-k")
        refuses(*FIT, "--family", "poisson", "--shared-variance", match="--family gaussian")
        refuses(*FIT, "--alpha", 1, match="give --penalty")
        refuses("predict", model[0], VOTERS, "--level", 0.5, match="predicts classes")

    def test_slope_is_another_name_of_djump(self):
        rows = [call("select", *FIT[1:4], "-k", "1-4", "--criterion", name) for name in ("djump", "slope")]
        assert rows[0].output == rows[1].output
        assert "chosen by the dimension jump" in rows[0].output


class TestFiles:
    def test_kinds_are_checked_before_the_work(self, tmp_path, model):
        pytest.importorskip("matplotlib")
        missing = tmp_path / "none.csv"  # is not looked for
        refuses("fit", missing, "-f", "y ~ x", "--plot", tmp_path / "p.xyz", match=".png")
        refuses("fit", missing, "-f", "y ~ x", "--penalty", "l1", "--plot", tmp_path / "p.xyz", match=".png")
        refuses("predict", model[0], missing, "--out", tmp_path / "p.xlsx", match=".csv, .parquet, .pq")
        refuses("fit", tmp_path / "d.xlsx", "-f", "y ~ x", match="no such file")

    @pytest.mark.parametrize(("separator", "given"), [(";", ()), ("\t", ()), ("|", ("--separator", "|"))])
    def test_separators(self, separator, given, tmp_path):
        text = Path(TONE).read_text()
        path = tmp_path / "d.csv"
        path.write_text(text.replace(",", separator))
        how = (*FIT[2:4], "-k", 1)
        assert call("fit", path, *how, *given).output == call("fit", TONE, *how).output
        refuses(
            "fit", path, *how, "--separator", "," if given == () else ";", match="seems to be separated by"
        )

    def test_decimal_commas(self, tmp_path):
        path = tmp_path / "d.csv"
        path.write_text(Path(TONE).read_text().replace(",", ";").replace(".", ","))
        how = (*FIT[2:4], "-k", 1)
        refuses("fit", path, *how, match="decimal commas")
        assert call("fit", path, *how, "--decimal", ",").output == call("fit", TONE, *how).output

    @pytest.mark.parametrize("name", ["heart rate", "a,b"])
    def test_a_file_of_one_column(self, name, tmp_path):
        path = tmp_path / "d.csv"
        path.write_text(f'"{name}"\n72\n75\n80\n71\n')
        done = call("fit", path, "-f", f"`{name}` ~ 1", "-k", 1)
        assert f"{name}` is about 74.5" in done.output

    def test_standard_input(self):
        done = CliRunner().invoke(
            main, ["fit", "-", *map(str, FIT[2:4]), "-k", "1"], input=Path(TONE).read_text()
        )
        assert done.output == call("fit", TONE, *FIT[2:4], "-k", 1).output

    @pytest.mark.parametrize(
        ("text", "match"),
        [
            ("x,y,x\n1,2,3\n2,3,4\n", "two columns named 'x'"),
            ("y x\n1 2\n2 3\n", "separated by spaces: give separator=' '"),
            ('"y" "x"\n"1" 1 2\n"2" 2 3\n', "separated by spaces"),  # with the names of rows
            ("y,x\n1,5,2\n1,6,3\n", "rows have 3 fields, but the first line names 2"),
            ("y,x\n1,\n2,3\n,4\n", (
                "'x' has missing values in row 1, "
                "column 'y' has missing values in row 3"
            )),
            ("y,x\n" + "".join(f"{i},{i}\n" for i in range(30)) + "3,?\n", (
                "holds numbers, but text in row 31: '?'"
            )),
            ("y,x\n" + "".join(f"{i},2020-01-{i:02}\n" for i in range(1, 31)), (
                "'x' holds dates, such as '2020-01-01': turn it into a number"
            )),
            ("y,x\n" + "".join(f"{i},{10**30 + i}\n" for i in range(30)), "different numbers as text"),
        ],
    )  # fmt: skip
    def test_what_a_reader_would_guess_silently(self, text, match, tmp_path):
        (tmp_path / "d.csv").write_text(text)
        refuses("fit", tmp_path / "d.csv", "-f", "y ~ x", match=match)

    def test_encodings(self, tmp_path):
        (tmp_path / "latin.csv").write_bytes("y,prénom\n1,2\n".encode("latin-1"))
        refuses("fit", tmp_path / "latin.csv", "-f", "y ~ x", match="UTF-8")
        (tmp_path / "bom.csv").write_bytes(b"\xef\xbb\xbf" + Path(TONE).read_bytes())
        how = (*FIT[2:4], "-k", 1)
        assert call("fit", tmp_path / "bom.csv", *how).output == call("fit", TONE, *how).output

    def test_weights(self, tmp_path):
        path = tmp_path / "d.csv"
        path.write_text("y,x,t,n\n1,2,a,1\n2,3,b,-1\n3,4,b,1\n")
        refuses("fit", path, "-f", "y ~ x", "--weights", "t", match="column 't' (--weights) holds text")
        refuses(
            "fit", path, "-f", "y ~ x", "--weights", "n", match="column 'n' (--weights) is negative in row 2"
        )


def test_progress_on_a_terminal_has_the_best_so_far(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for kind, shown in ((Terminal, True), (io.StringIO, False)):
        monkeypatch.setattr("sys.stderr", kind())
        with Progress() as progress:
            progress.begin(2)
            progress.show("search", 3, 10, "best log-likelihood -7.25, found 2 times")
            progress.show("polish", 1, 2, "")
        said = sys.stderr.getvalue()
        assert ("2 experts, search:  30%" in said and "-7.25, found 2 times]" in said) == shown
        assert ("2 experts, polish" in said) == shown
