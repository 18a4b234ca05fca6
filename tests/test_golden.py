"""The table of golden.py: every kind of fit ends where it ended, or at a better optimum, with the same words."""

import json

import pytest

import golden

KEPT = json.loads(golden.PATH.read_text(encoding="utf-8"))
TABLE = golden.table()


def test_the_table_is_whole():
    assert list(KEPT) == list(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_fit(name):
    kept, now = KEPT[name], golden.fitted(*TABLE[name])
    assert now["log_likelihood"] >= kept["log_likelihood"] - 1e-9 * (1 + abs(kept["log_likelihood"]))
    assert {**now, "log_likelihood": None} == {**kept, "log_likelihood": None}
