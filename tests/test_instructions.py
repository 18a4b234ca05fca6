"""The guard of the compiled passes' speed: instructions counted by valgrind, which repeat."""

import shutil

import pytest

from moestro.bench import instructions


def test_a_slower_pass_is_named():
    before = {"gaussian gradient": 400.0, "gaussian value": 300.0}
    assert instructions.slower({"gaussian gradient": 439.0, "gaussian value": 200.0}, before) == []
    said = instructions.slower({"gaussian gradient": 480.0, "gaussian value": 300.0}, before)
    assert said == ["a gaussian gradient pass takes 480 instructions a row, +20%"]


@pytest.mark.study
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind counts the instructions")
def test_no_pass_takes_more_instructions_than_recorded():
    assert instructions.slower(instructions.counted(), instructions.recorded()) == []
