"""What the guard of instructions says; counting itself needs valgrind and minutes."""

import pytest
from click.testing import CliRunner

from moestro.bench import instructions
from moestro.cli import main
from moestro.errors import DataError

NAMES = [f"{family} {kind}" for family in instructions.FAMILIES for kind in instructions.KINDS]


def test_a_pass_that_became_slower_is_named():
    before = {"gaussian value": 100.0, "gaussian gradient": 300.0, "poisson value": 50.0}
    assert instructions.slower({**before, "new pass": 1.0}, before) == []
    assert instructions.slower({**before, "gaussian gradient": 330.0}, before) == []
    now = {"gaussian value": 60.0, "gaussian gradient": 331.0}
    assert instructions.slower(now, before) == [
        "a poisson value pass is recorded and was not counted",
        "a gaussian gradient pass takes 331 instructions a row, +10%",
    ]


def test_counts_stand_in_the_order_of_the_passes():
    counts = instructions.by_pass([i * instructions.N for i in range(len(NAMES))] + [7])  # and one at the end
    assert counts == {name: float(i) for i, name in enumerate(NAMES)}
    with pytest.raises(DataError, match="wrote 3 counts for 12 passes"):
        instructions.by_pass([1, 2, 3])
    assert instructions.TOTAL.findall("events: Ir\nsummary: 12\n\ntotals: 34\n") == ["12", "34"]


def test_the_command_fails_where_a_pass_became_slower(monkeypatch, tmp_path):
    monkeypatch.setattr(instructions, "RECORD", tmp_path / "counts.json")
    monkeypatch.setattr(instructions, "missing", lambda: "")
    monkeypatch.setattr(instructions, "counted", lambda: dict.fromkeys(NAMES, 10.0))
    run = CliRunner().invoke(main, ["bench", "instructions", "--record"])
    assert run.exit_code == 0
    assert instructions.recorded() == dict.fromkeys(NAMES, 10.0)
    monkeypatch.setattr(instructions, "counted", lambda: {**dict.fromkeys(NAMES, 10.0), NAMES[5]: 12.0})
    run = CliRunner().invoke(main, ["bench", "instructions"])
    assert run.exit_code == 1
    assert "a gaussian gradient pass takes 12 instructions a row, +20%" in run.output


def test_without_valgrind_a_line_says_so(monkeypatch):
    monkeypatch.setattr(instructions.shutil, "which", lambda name: None)
    run = CliRunner().invoke(main, ["bench", "instructions"])
    assert run.exit_code == 0
    assert "valgrind and callgrind_control not found: install valgrind" in run.output
    with pytest.raises(DataError, match="install valgrind"):
        instructions.counted()


@pytest.mark.study
@pytest.mark.skipif(bool(instructions.missing()), reason=instructions.missing() or "valgrind is there")
def test_no_pass_became_slower():
    text, kept = instructions.report()
    assert kept, text
