"""Files are written whole or not at all, whatever the disk does, and never over what is no file."""

import ast
import errno
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import moestro
from conftest import two_lines
from moestro import LocatedMoERegressor, MoERegressor, load_dataset, load_model
from moestro import writing as writing_module
from moestro.cli import main
from moestro.datasets import dataset_path
from moestro.errors import FileError
from moestro.studies import find_study
from moestro.studies.report import write_report
from moestro.studies.runner import LINES, read_rows, run_plan
from moestro.writing import Disk, append_line, is_temporary, write, write_figure

TONE = str(dataset_path("tone"))


class Failing(Disk):
    """A disk that takes `most` bytes a call; the n-th call of the kind `what` fails, or is cut short."""

    def __init__(self, what="write", n=1, code=None, most=100):
        self.what, self.n, self.code, self.most, self.calls = what, n, code, most, 0

    def _count(self, what):
        if what == self.what:
            self.calls += 1
            if self.calls == self.n and self.code is not None:
                raise OSError(self.code, os.strerror(self.code))

    def open(self, *arguments):
        self._count("open")
        return os.open(*arguments)

    def write(self, handle, data):
        self._count("write")
        return os.write(handle, data[: self.most])

    def fsync(self, handle):
        self._count("fsync")
        os.fsync(handle)

    def replace(self, half, target):
        self._count("replace")
        os.replace(half, target)


@pytest.fixture
def put(monkeypatch):
    return lambda disk: monkeypatch.setattr(writing_module, "disk", disk)


FAULTS = {
    "full at the first write": Failing(n=1, code=errno.ENOSPC),
    "full at the third write": Failing(n=3, code=errno.ENOSPC),
    "bad at the second write": Failing(n=2, code=errno.EIO),
    "bad when brought to the disk": Failing("fsync", 1, errno.EIO),
    "no room for a name": Failing("open", 1, errno.ENOSPC),
    "bad at the rename": Failing("replace", 1, errno.EIO),
}
SURVIVED = {
    "short writes": Failing(most=7),
    "interrupted": Failing(n=2, code=errno.EINTR),
}


@pytest.fixture(scope="module")
def fitted():
    x, y = two_lines(60)
    one = {"n_starts": 1, "random_state": 0}
    return MoERegressor(1, **one).fit(x, y), LocatedMoERegressor(1, **one).fit(x, y)


@pytest.fixture(scope="module")
def tone(tmp_path_factory):
    pytest.importorskip("formulaic")
    path = tmp_path_factory.mktemp("tone") / "model.json"
    MoERegressor.from_formula("tuned ~ stretchratio", load_dataset("tone"), n_experts=1).save(path)
    return path


def save_model(path, ask):
    ask("fitted")[0].save(path)


def save_located(path, ask):
    ask("fitted")[1].save(path)


def predictions(path, ask):
    _command("predict", ask("tone"), TONE, "--out", path)


def picture(path, ask):
    figure = pytest.importorskip("matplotlib.figure").Figure(figsize=(1, 1))
    figure.subplots().plot([1, 2])
    write_figure(path, figure)


WRITERS = [
    pytest.param(save_model, "json", id="model"),
    pytest.param(save_located, "json", id="located"),
    pytest.param(predictions, "csv", id="csv"),
    pytest.param(predictions, "parquet", id="parquet"),
    pytest.param(picture, "png", id="picture"),
]


def _command(*arguments):
    done = CliRunner().invoke(main, [str(a) for a in arguments])
    if done.exit_code == 2:
        assert "Traceback" not in done.output
        errors = [line for line in done.output.splitlines() if line.startswith("Error")]
        assert len(errors) == 1
        raise FileError(errors[0])
    assert done.exit_code == 0, done.output


@pytest.fixture
def path(kind, tmp_path):
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / f"result.{kind}"


@pytest.mark.parametrize(("writer", "kind"), WRITERS)
def test_a_disk_that_fails_loses_nothing(writer, path, put, request):
    writer(path, request.getfixturevalue)  # on a good disk, what it needs too
    path.write_bytes(b"the old file")
    for disk in FAULTS.values():
        disk.calls = 0
        put(disk)
        with pytest.raises(FileError, match=r"result.* cannot be written \((No space left|Input/output)"):
            writer(path, request.getfixturevalue)
        assert disk.calls == disk.n
        assert path.read_bytes() == b"the old file"
        assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize(("writer", "kind"), WRITERS)
def test_a_slow_disk_gets_every_byte(writer, path, put, request):
    writer(path, request.getfixturevalue)
    whole = path.read_bytes()
    assert len(whole) > 200
    for disk in SURVIVED.values():
        disk.calls = 0
        put(disk)
        writer(path, request.getfixturevalue)
        assert disk.calls > 2
        assert path.read_bytes() == whole
        assert os.listdir(path.parent) == [path.name]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a kill")
@pytest.mark.parametrize("call", ["write", "fsync", "replace"])
def test_a_kill_leaves_the_old_file(call, tmp_path):
    path = tmp_path / "m.json"
    path.write_text("the old file")
    code = f"""
import os, signal
from moestro import writing
class Killed(writing.Disk):
    @staticmethod
    def {call}(*arguments):
        os.kill(os.getpid(), signal.SIGKILL)
writing.disk = Killed()
writing.write({str(path)!r}, "the new file")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    assert path.read_text() == "the old file"
    rest = [name for name in os.listdir(tmp_path) if name != "m.json"]
    assert len(rest) == 1
    assert is_temporary(rest[0])
    write(path, "the new file")
    assert path.read_text() == "the new file"


def test_nothing_else_writes():
    """Every file of the package that opens a file for writing does so here."""
    calls = {"write_text", "write_bytes", "savefig", "fdopen", "rename", "mkstemp", "NamedTemporaryFile"}
    allowed = {
        ("writing.py", "savefig"),
        ("pictures.py", "savefig"),  # into memory, for a page
        ("base.py", "savefig"),  # into memory, for a notebook
        ("search.py", "to_csv"),  # the bench hands data to R in a folder that it removes
        ("fits.py", "to_csv"),  # and so does this one
    }
    found = set()
    for path in Path(moestro.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if not any(name in text for name in {*calls, "to_csv", "open"}):
            continue
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            modes = [a.value for a in [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "mode")]
                     if isinstance(a, ast.Constant)]  # fmt: skip
            writes = name == "open" and any(set("wax+") & set(str(m)) for m in modes)
            if writes or name in calls | {"to_csv"}:
                found.add((path.name, name))
    assert found <= allowed


class TestPlaces:
    def test_a_link_stays_and_its_file_is_written(self, tmp_path):
        real, link, second = tmp_path / "deep" / "real.json", tmp_path / "link", tmp_path / "second"
        real.parent.mkdir()
        link.symlink_to(real)
        second.symlink_to("link")
        write(second, "made through a dangling link")
        assert real.read_text() == "made through a dangling link"
        write(link, "again")
        assert link.is_symlink()
        assert second.is_symlink()
        assert real.read_text() == "again"
        assert os.listdir(real.parent) == ["real.json"]

    def test_a_circle_of_links_is_refused(self, tmp_path):
        (tmp_path / "a").symlink_to("b")
        (tmp_path / "b").symlink_to("a")
        with pytest.raises(FileError, match="symbolic links"):
            write(tmp_path / "a", "text")

    @pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device")
    @pytest.mark.parametrize("device", ["/dev/full", "/dev/null", "link"])
    def test_a_device_is_refused_and_stays(self, device, tmp_path):
        if device == "link":
            device = tmp_path / "link"
            device.symlink_to("/dev/full")
        with pytest.raises(FileError, match="is a device, not a file"):
            write(device, "text")
        assert stat.S_ISCHR(os.stat(device).st_mode)
        done = CliRunner().invoke(
            main, ["fit", TONE, "-f", "tuned ~ stretchratio", "-k", "1", "-q", "--out", str(device)]
        )
        assert done.exit_code == 2
        assert done.output.splitlines()[-1].endswith("is a device, not a file")
        assert stat.S_ISCHR(os.stat(device).st_mode)

    def test_folders_sockets_and_no_name_are_refused(self, tmp_path, monkeypatch):
        with pytest.raises(FileError, match="is a folder"):
            write(tmp_path, "text")
        with pytest.raises(FileError, match="folder does not exist"):
            write(tmp_path / "nowhere" / "m.json", "text")
        with pytest.raises(FileError, match="without a name"):
            write("", "text")
        with pytest.raises(FileError, match="embedded null byte"):
            write("a\0b", "text")
        with pytest.raises(FileError, match="cannot be written"):
            write(tmp_path / ("n" * 300), "text")
        monkeypatch.chdir(tmp_path)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind("here")
            with pytest.raises(FileError, match="is a socket"):
                write("here", "text")

    def test_mode_is_kept_and_a_new_file_has_the_usual_one(self, tmp_path):
        old, new = tmp_path / "old", tmp_path / "new"
        old.write_text("old")
        old.chmod(0o640)
        write(old, "new")
        assert stat.S_IMODE(old.stat().st_mode) == 0o640
        write(new, "new")
        (tmp_path / "plain").write_text("plain")
        assert new.stat().st_mode == (tmp_path / "plain").stat().st_mode

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")
    def test_owner_is_kept(self, tmp_path):
        path = tmp_path / "theirs"
        path.write_text("old")
        os.chown(path, 1234, 2345)
        write(path, "new")
        assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)

    def test_a_file_of_another_owner_is_left_alone(self, tmp_path, monkeypatch):
        """As it is for a person who is not root: the file may be written, but not given away."""
        path = tmp_path / "theirs"
        path.write_text("old")

        def no(*arguments):
            raise PermissionError(errno.EPERM, "no")

        real = os.stat

        def theirs(name, **how):
            found = real(name, **how)
            return os.stat_result((*found[:4], 1234, *found[5:])) if str(name) == str(path) else found

        monkeypatch.setattr(writing_module.os, "chown", no)
        monkeypatch.setattr(writing_module.os, "stat", theirs)
        with pytest.raises(FileError, match="belongs to another user"):
            write(path, "new")
        assert path.read_text() == "old"
        assert os.listdir(tmp_path) == ["theirs"]

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
    def test_a_file_that_may_not_be_written_is_refused(self, tmp_path):
        path = tmp_path / "closed"
        path.write_text("old")
        path.chmod(0o400)
        with pytest.raises(FileError, match="permission denied"):
            write(path, "new")

    def test_text_that_is_no_text(self, tmp_path):
        with pytest.raises(FileError, match="would hold"):
            write(tmp_path / "m", "a\ud800")
        assert os.listdir(tmp_path) == []


class TestStreams:
    @pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
    def test_standard_output_keeps_the_order(self, name, tmp_path):
        """Also where the shell has sent it to a file, which must not be replaced."""
        code = f"from moestro.writing import write; print('a'); write({name!r}, 'b\\n'); print('c')"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout == "a\nb\nc\n"
        with open(tmp_path / "log", "w") as log:
            subprocess.run([sys.executable, "-c", code], stdout=log, check=True)
        assert (tmp_path / "log").read_text() == "a\nb\nc\n"

    def test_a_named_pipe_is_written_through(self, tmp_path):
        path = tmp_path / "pipe"
        os.mkfifo(path)
        got = []
        reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
        reader.start()
        write(path, "x" * 200_000)
        reader.join()
        assert got == [b"x" * 200_000]
        assert stat.S_ISFIFO(path.stat().st_mode)

    def test_an_open_descriptor_is_written_through(self):
        out, into = os.pipe()
        write(f"/dev/fd/{into}", b"text")
        assert os.read(out, 10) == b"text"
        os.close(into)
        os.close(out)

    def test_predictions_go_to_a_stream_as_csv(self, tone):
        plain = CliRunner().invoke(main, ["predict", str(tone), TONE])
        dash = CliRunner().invoke(main, ["predict", str(tone), TONE, "--out", "-"])
        assert dash.output == plain.output
        assert dash.output.startswith("mean,std")

    def test_a_model_alone_goes_to_standard_output(self, tone, tmp_path):
        """What is said beside it goes to standard error, so that the next program can read it."""
        words = [
            sys.executable,
            "-m",
            "moestro",
            "fit",
            TONE,
            "-f",
            "tuned ~ stretchratio",
            "-k",
            "1",
            "--out",
        ]
        done = subprocess.run([*words, "-"], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)["format"].startswith("moestro.model/")
        assert "Log-likelihood" in done.stderr
        plain = subprocess.run([*words, tmp_path / "m.json"], capture_output=True, text=True, check=True)
        assert "Log-likelihood" in plain.stdout and not plain.stderr.strip()

    @pytest.mark.parametrize("command", ["fit", "report"])
    def test_a_page_goes_through_a_named_pipe(self, command, tone, tmp_path):
        """Whatever its name is; what is said goes to standard output as ever."""
        pytest.importorskip("jinja2")
        path, got = tmp_path / "pipe", []
        os.mkfifo(path)
        of_fit = ["fit", TONE, "-f", "tuned ~ stretchratio", "-k", "1", "--report", str(path)]
        words = of_fit if command == "fit" else ["report", str(tone), TONE, "--out", str(path)]
        reader = threading.Thread(target=lambda: got.append(path.read_bytes()), daemon=True)
        reader.start()
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output
        reader.join(10)
        assert got[0].startswith(b"<!DOCTYPE html>") and got[0].rstrip().endswith(b"</html>")
        assert f"report written to {path}" in done.output
        assert stat.S_ISFIFO(path.stat().st_mode)

    def test_a_page_alone_goes_to_standard_output(self, tone):
        pytest.importorskip("jinja2")
        words = [sys.executable, "-m", "moestro", "report", str(tone), TONE, "--out", "-"]
        done = subprocess.run(words, capture_output=True, check=True)
        assert done.stdout.startswith(b"<!DOCTYPE html>") and done.stdout.rstrip().endswith(b"</html>")
        assert b"report written to -" in done.stderr

    def test_a_reader_that_has_gone_is_no_damaged_file(self):
        code = (
            "from moestro.writing import write\ntry: write('-', 'x' * 10**6)\n"
            "except BrokenPipeError: import os; os._exit(7)"
        )
        running = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        running.stdout.close()
        assert running.wait() == 7


class TestLines:
    def test_a_full_disk_takes_back_what_it_wrote(self, tmp_path, put):
        path = tmp_path / "lines"
        append_line(path, "one")
        for n in (1, 2, 3):
            put(Failing(n=n, code=errno.ENOSPC, most=4))
            with pytest.raises(FileError, match=r"lines: cannot be written \(No space left"):
                append_line(path, "a second one")
            assert path.read_text() == "one\n"
        put(Failing(n=2, code=errno.EINTR, most=4))
        append_line(path, "a second one")
        assert path.read_text() == "one\na second one\n"

    @pytest.mark.parametrize("half", ["", "ha", "h" * 10_000])
    def test_half_a_line_is_cut(self, half, tmp_path):
        path = tmp_path / "lines"
        for whole in ("", "one\n"):
            path.write_text(whole + half)
            append_line(path, "two")
            assert path.read_text() == whole + "two\n"

    def test_processes_never_mix_lines(self, tmp_path):
        """Each writes three bytes a call."""
        path = tmp_path / "lines"
        code = f"""
import os, sys
from moestro import writing
class Short(writing.Disk):
    @staticmethod
    def write(handle, data):
        return os.write(handle, data[:3])
writing.disk = Short()
for i in range(40):
    writing.append_line({str(path)!r}, sys.argv[1] * 50)
"""
        running = [subprocess.Popen([sys.executable, "-c", code, letter]) for letter in "abc"]
        assert [one.wait() for one in running] == [0, 0, 0]
        lines = path.read_text().splitlines()
        assert sorted(lines) == sorted([letter * 50 for letter in "abc" for _ in range(40)])


class TestStudies:
    @pytest.fixture
    def plan(self):
        for module in ("pyarrow", "matplotlib"):
            pytest.importorskip(module)
        study = find_study("gaussian-gate")
        return study, study.plan("as_published", "smoke", only="model 1, K=4", sizes=(100,), replicates=2)

    @pytest.mark.parametrize("fault", FAULTS)
    def test_a_run_on_a_full_disk_goes_on_where_it_stopped(self, fault, plan, tmp_path, put):
        disk = FAULTS[fault]
        disk.calls = 0
        put(disk)
        with pytest.raises(FileError, match="cannot be written"):
            run_plan(*plan, tmp_path / "cut", 1)
        put(Disk())
        rows = run_plan(*plan, tmp_path / "cut", 1)
        assert [r["replicate"] for r in rows] == [0, 1]
        assert not any(is_temporary(name) for name in os.listdir(tmp_path / "cut"))

    def test_a_full_disk_later_on(self, plan, tmp_path, put):
        done = run_plan(*plan, tmp_path / "whole", 1)
        count = Failing(most=10**9)
        put(count)
        run_plan(*plan, tmp_path / "counted", 1)
        for n in range(1, count.calls + 1):
            folder = tmp_path / str(n)
            put(Failing(n=n, code=errno.ENOSPC, most=10**9))
            with pytest.raises(FileError, match="cannot be written"):
                run_plan(*plan, folder, 1)
            put(Disk())
            rows = run_plan(*plan, folder, 1)
            assert [{**r, "seconds": 0} for r in rows] == [{**r, "seconds": 0} for r in done]

    def test_a_report_on_a_full_disk_keeps_the_old_one(self, plan, tmp_path, put):
        run_plan(*plan, tmp_path / "run", 1)
        write_report("gaussian-gate", tmp_path / "run")
        before = {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()}
        for n in (1, 2):
            put(Failing("replace", n, errno.ENOSPC))
            with pytest.raises(FileError, match="cannot be written"):
                write_report("gaussian-gate", tmp_path / "run")
            assert {p.name: p.read_bytes() for p in (tmp_path / "run").iterdir()} == before

    def test_a_command_says_it_in_one_line(self, plan, tmp_path, put):
        put(Failing(n=2, code=errno.ENOSPC))
        with pytest.raises(FileError, match="No space left"):
            _command(
                "study", "run", "gaussian-gate", "--protocol", "as_published", "--arm", "model 1, K=4",
                "--sizes", "100", "--replicates", "1", "--processes", "1", "--quiet", "--out", tmp_path / "a",
            )  # fmt: skip

    def test_a_kill_before_the_first_file_does_not_close_the_folder(self, plan, tmp_path):
        folder = tmp_path / "run"
        folder.mkdir()
        (folder / ".moestro-0123456789abcdef.tmp").write_text("half")
        assert len(run_plan(*plan, folder, 1)) == 2
        assert len(read_rows(folder)) == len((folder / LINES).read_text().splitlines()) == 2


def test_a_saved_model_is_read_through_a_link(fitted, tmp_path):
    link = tmp_path / "latest.json"
    link.symlink_to("one.json")
    fitted[0].save(link)
    x, _ = two_lines(60)
    np.testing.assert_array_equal(load_model(tmp_path / "one.json").predict(x), fitted[0].predict(x))
