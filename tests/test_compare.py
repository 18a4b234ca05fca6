"""Fits side by side: every number is the fit's own, and what cannot be compared is refused in one line."""

import numpy as np
import pytest
from click.testing import CliRunner

from conftest import three_classes, two_lines
from moestro import DataError, LocatedMoERegressor, MoEClassifier, MoERegressor, compare, load_model
from moestro.cli.main import main
from moestro.penalties import L1
from moestro.tables import WIDTH, width_of

FEW = {"random_state": 0, "n_starts": 2}


@pytest.fixture(scope="module")
def fits():
    x, y = two_lines(150)
    return [MoERegressor(k, **FEW).fit(x, y) for k in (1, 2)]


def test_every_number_is_the_fits_own(fits):
    side = compare(*fits, names=["one", "two"])
    for name, moe in zip(("one", "two"), fits, strict=True):
        own = {(r["component"], r["part"], r["term"]): r for r in moe.inference().rows()}
        for row in side.coefficients:
            mine = own.get((row["component"], row["part"], row["term"]))
            expected = (None,) * 3 if mine is None else (mine["estimate"], mine["std_error"], mine["p"])
            assert (row[name], row[f"std_error({name})"], row[f"p({name})"]) == expected
        fit = next(r for r in side.fits if r["name"] == name)
        assert (fit["df"], fit["aic"], fit["bic"]) == (moe.n_parameters_, moe.aic_, moe.bic_)
    assert len(side.coefficients) == len(fits[1].tidy())


def test_the_text(fits):
    text = str(compare(*fits))
    first = next(r for r in fits[0].inference() if r["term"] == "x0")
    stars = "***" if first["p"] < 0.001 else "**" if first["p"] < 0.01 else "*" if first["p"] < 0.05 else ""
    assert f"{first['estimate']:.4f}{stars}" in text
    assert f"({first['std_error']:.4f})" in text
    assert f"{fits[1].bic_:.3f}" in text
    assert "(0.0" not in str(compare(*fits, below="none"))
    assert "*" not in str(compare(*fits, cov=None))
    many = str(compare(*[fits[1]] * 7, names=[f"a name that is not short {i}" for i in range(7)]))
    assert max(map(width_of, many.splitlines())) <= WIDTH
    assert many.count("Log-likelihood") > 1


def test_what_cannot_be_compared(fits):
    x, y = two_lines(150)
    w = np.full(150, 2.0)
    located = LocatedMoERegressor(1).fit(x, y)
    counts = np.random.default_rng(0).poisson(2.0, 150)
    X, c = three_classes()
    for words, a, b in (
        ("different rows, responses or weights", fits[0], MoERegressor(1).fit(x, np.exp(y))),
        ("different rows, responses or weights", fits[0], MoERegressor(1).fit(x, y, w)),
        ("different rows, responses or weights", fits[0], MoERegressor(1).fit(x[:149], y[:149])),
        ("different rows", MoEClassifier(1).fit(X, c), MoEClassifier(1).fit(X, c + "!")),
        ("columns and response together", fits[0], located),
        ("different columns", located, LocatedMoERegressor(1).fit(np.column_stack([x, x**2]), y)),
        ("the other a density", *(MoERegressor(1, family=f).fit(x, counts) for f in ("poisson", "gaussian"))),
    ):  # fmt: skip
        with pytest.raises(DataError, match=words) as caught:
            compare(a, b)
        assert "\n" not in str(caught.value)
    for words, given, how in (
        ("at least 2", fits[:1], {}),
        ("different names", fits, {"names": ["a", "a"]}),
        ("below='t'", fits, {"below": "t"}),
    ):
        with pytest.raises(DataError, match=words):
            compare(*given, **how)
    weighted = [MoERegressor(k, **FEW).fit(x, y, w) for k in (1, 2)]
    assert compare(*weighted).fits["n"] == [300.0, 300.0]


def test_penalised_fits_have_no_errors(fits):
    x, y = two_lines(150)
    side = compare(fits[1], MoERegressor(2, penalty=L1(alpha=0.05), random_state=0).fit(x, y))
    assert side.fits["std_errors"] == ["observed", "none"]
    assert "Std. errors" in str(side)


def test_from_files_and_from_the_shell(fits, tmp_path):
    paths = [tmp_path / name for name in ("one.json", "two.json")]
    for moe, path in zip(fits, paths, strict=True):
        moe.save(path)
    names = ["one", "two"]
    again = compare(*map(load_model, paths), names=names)
    assert str(again) == str(compare(*fits, names=names))
    done = CliRunner().invoke(main, ["compare", *map(str, paths)])
    assert done.exit_code == 0, done.output
    assert done.output.rstrip("\n") == str(again)
    other = tmp_path / "other.json"
    MoERegressor(1).fit(*two_lines(149)).save(other)
    done = CliRunner().invoke(main, ["compare", str(paths[0]), str(other)])
    assert done.exit_code == 2
    assert "one and other cannot be compared" in done.output
