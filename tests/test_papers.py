"""Published slopes at the papers' own sizes: minutes each, run by `make studies`."""

import pytest

pytest.importorskip("pyarrow")

from moestro.studies import find_study
from moestro.studies.report import lines_of
from moestro.studies.runner import run_plan
from moestro.threads import thread_count

pytestmark = pytest.mark.study


def slopes(name, folder, only=None):
    study = find_study(name)
    plan = study.plan("as_published", "paper", only=only)
    rows = run_plan(study, plan, folder, thread_count(None))
    lines = lines_of(study, rows, [a.name for a in plan.arms])
    known = {(line.arm, line.column): line.mean.exponent for line in lines}
    return {key: (known[key], p) for key, p in study.published.items() if key in known}


def test_the_eight_slopes_of_the_gaussian_gate(tmp_path):
    found = slopes("gaussian-gate", tmp_path / "a")
    assert len(found) == 8
    for ours, published in found.values():
        assert ours == pytest.approx(published.exponent, abs=published.tolerance)


def test_the_distinguishable_prompt(tmp_path):
    found = slopes("contaminated", tmp_path / "a", "distinguishable")
    assert len(found) == 4
    for ours, published in found.values():
        assert ours == pytest.approx(published.exponent, abs=published.tolerance)
