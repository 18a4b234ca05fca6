"""The bootstrap test of k - 1 experts against k, as a column of a sweep."""

import numpy as np
import pytest
from click.testing import CliRunner

from moestro import MoERegressor, bootstrap_test, select_experts
from moestro.cli.main import main
from moestro.errors import DataError


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x, up = rng.standard_normal(80), rng.random(80) < 0.5
    return {"y": np.where(up, 3 + 2 * x, -3 - x) + 0.5 * rng.standard_normal(80), "x": x}


def test_it_is_the_test_of_the_two_fits(data):
    how = {"random_state": 0}
    found = select_experts("y ~ x | 1", data, n_experts=[1, 2], blrt=9, **how)
    p = found.table["blrt_p"]
    assert p[0] is None and p[1] == 0.1  # none of 9 reaches two separate lines
    one, two = (MoERegressor.from_formula("y ~ x | 1", data, n_experts=k, **how) for k in (1, 2))
    assert bootstrap_test(one, two, n_replicates=9, random_state=0).p == p[1]
    assert "BLRT p" in str(found) and "0.100" in str(found)
    plain = select_experts("y ~ x | 1", data, n_experts=[1, 2], **how).table.columns
    assert "blrt_p" not in plain
    assert {n: v for n, v in found.table.columns.items() if n != "blrt_p"} == plain


@pytest.mark.parametrize("tied", [[False], pytest.param([False, True], marks=pytest.mark.slow)])
def test_located_experts_are_tested_within_a_model(data, tied):
    how = {"model": "located", "n_experts": [1, 2], "random_state": 0, "tied": tied, "n_starts": 2}
    table = select_experts("y ~ x", data, blrt=2, **how).table
    assert table["blrt_p"] == [None, 1 / 3] * len(tied)  # two replicates, neither of which reaches two lines


def test_one_line_needs_no_second_expert():
    rng = np.random.default_rng(2)
    x = rng.standard_normal(80)
    data = {"y": 1 + x + rng.standard_normal(80), "x": x}
    p = select_experts("y ~ x | 1", data, n_experts=[1, 2], blrt=19, random_state=0).table["blrt_p"][1]
    assert p is None or p > 0.05


def test_what_has_no_test_says_so(data):
    for how, text in (
        ({"blrt": 0}, "blrt must be"),
        ({"blrt": 19, "sample_weight": np.ones(80)}, "without weights"),
        ({"blrt": 19, "criterion": "dendrogram"}, "dendrogram makes none"),
        ({"blrt": 19, "fixed": {"2:x": 0.0}}, "alike"),
    ):
        with pytest.raises(DataError, match=text):
            select_experts("y ~ x | 1", data, n_experts=[2], random_state=0, **how)


def test_the_command(data, tmp_path):
    file = tmp_path / "lines.csv"
    rows = zip(data["y"].tolist(), data["x"].tolist(), strict=True)
    file.write_text("y,x\n" + "".join(f"{y!r},{x!r}\n" for y, x in rows))
    words = ["select", str(file), "-f", "y ~ x | 1", "-k", "1-2", "--blrt"]
    out = CliRunner().invoke(main, [*words, "9"])
    assert out.exit_code == 0, out.output
    assert "BLRT p" in out.output and "0.100" in out.output
    out = CliRunner().invoke(main, [*words, "9", "--criterion", "dendrogram"])
    assert out.exit_code == 2 and "--blrt" in out.output and len(out.output.strip().splitlines()) == 1
