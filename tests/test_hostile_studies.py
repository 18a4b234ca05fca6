"""Folders of studies that somebody damaged: one line that names the file, and nothing half written."""

import json
import shutil
import time

import pytest
from click.testing import CliRunner

from moestro.cli import main
from moestro.errors import FileError
from moestro.studies.runner import read_design, read_rows

SECOND = 1.0  # of this process
FOLDERS = {
    "design.json": [b"", b"[", b"[1]", b"[" * 100_000, b"\xff\xfe", b'{"arms": 1}', b"{}", b"null"],
    "fits.jsonl": [b"x\n", b"[1]\n", b"{}\n", b"[" * 50_000 + b"\n", b"\xff\xfe\n", b"\x00\n",
                   b'{"arm_index": "a", "n": 1, "replicate": 0}\n',
                   b'{"arm_index": 0, "n": 1, "replicate": 0}\n'],
}  # fmt: skip
OF_DESIGN = [
    ("arms", None), ("arms", []), ("arms", [{"name": ["a"]}]),
    ("protocol", 7), ("seed", "x"), ("study", None),
]  # fmt: skip
OF_ROW = [("arm", "elsewhere"), ("iterations", "many"), ("loss", "far"), ("replicate", -1)]


@pytest.mark.parametrize(("name", "raw"), [(n, r) for n, rs in FOLDERS.items() for r in rs])
def test_damaged_studies(name, raw, tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(raw)
    start = time.process_time()
    read = read_rows if name == "fits.jsonl" else read_design
    with pytest.raises(FileError, match=r"\A[^\n]{1,1200}\Z") as caught:
        read(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert time.process_time() - start < SECOND


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """The folder of a small study."""
    pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("study") / "smoke"
    words = ["--sizes", "100,200", "--replicates", "2", "--arm", "K=2", "--processes", "1", "--quiet"]
    done = CliRunner().invoke(main, ["study", "run", "softmax-gaussian", *words, "--out", str(folder)])
    assert done.exit_code == 0, done.output
    return folder


@pytest.mark.parametrize(
    ("file", "entry", "value"),
    [("design.json", *own) for own in OF_DESIGN] + [("fits.jsonl", *own) for own in OF_ROW],
)
def test_a_report_of_a_damaged_study_names_the_file_and_writes_nothing(file, entry, value, smoke, tmp_path):
    shutil.copytree(smoke, tmp_path / "s")
    path = tmp_path / "s" / file
    lines = path.read_text().splitlines() if file == "fits.jsonl" else [path.read_text()]
    path.write_text("\n".join([json.dumps({**json.loads(lines[0]), entry: value}), *lines[1:]]) + "\n")
    before = {p.name for p in path.parent.iterdir()}
    done = CliRunner().invoke(main, ["study", "report", "softmax-gaussian", "--out", str(path.parent)])
    assert done.exit_code == 2, done.output
    assert str(path.parent) in done.output and len(done.output.splitlines()) == 1
    assert {p.name for p in path.parent.iterdir()} == before


@pytest.mark.parametrize("file", ["report.md", "figure.png", "summary.csv"])
def test_a_report_over_a_folder_writes_none_of_its_files(file, smoke, tmp_path):
    shutil.copytree(smoke, tmp_path / "s")
    (tmp_path / "s" / file).mkdir()
    before = {p.name for p in (tmp_path / "s").iterdir()}
    done = CliRunner().invoke(main, ["study", "report", "softmax-gaussian", "--out", str(tmp_path / "s")])
    assert done.exit_code == 2 and f"{file}: is a folder" in done.output
    assert {p.name for p in (tmp_path / "s").iterdir()} == before
