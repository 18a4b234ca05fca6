"""What is printed by default: everything that a reader needs, in a hundred columns, whatever the names."""

import numpy as np
import pytest

from conftest import three_classes, two_lines
from moestro import LocatedMoERegressor, MoEClassifier, MoERegressor, load_dataset
from moestro.penalties import L1
from moestro.summary import sweep_text
from moestro.summary.layout import columns, number, wrap
from moestro.tables import WIDTH, Table, p_cell, shortened, width_of

FEW = {"random_state": 0, "n_starts": 2}
LONG = "the_natural_logarithm_of_the_real_income_of_the_household_in_thousands_of_dollars_of_1996_per_head"
HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "two\nlines\ttab",
    "収入の対数" * 12,
    "e\u0301" * 60,
    "",
    "a" * 5000,
    "1:x = 0, [T.b]",
]


def wide(text):
    return [line for line in text.splitlines() if width_of(line) > WIDTH]


def household(names):
    """Columns with these names, and a response."""
    x, y = two_lines(150)
    rng = np.random.default_rng(1)
    data = {name: rng.standard_normal(150) for name in names}
    data[names[0]] = x[:, 0]
    return data, y


def fits():
    x, y = two_lines(150)
    X, c = three_classes()
    two = np.column_stack([y, x[:, 0] ** 2 - y])
    w, ids = np.random.default_rng(0).uniform(0.5, 2, 150), np.repeat(np.arange(50), 3)
    return {
        "gaussian": lambda: MoERegressor(2, **FEW).fit(x, y),
        "one expert": lambda: MoERegressor(1).fit(x, y),
        "weighted": lambda: MoERegressor(2, **FEW).fit(x, y, w),
        "grouped": lambda: MoERegressor(2, gate_features=[], **FEW).fit(x, y, groups=ids),
        "classes": lambda: MoEClassifier(2, **FEW).fit(X, c),
        "temperature": lambda: MoERegressor(2, gate="temperature", **FEW).fit(x, y),
        "sparse": lambda: MoERegressor(3, top_k=2, **FEW).fit(x, y),
        "penalised": lambda: MoERegressor(2, penalty=L1(alpha=0.05), random_state=0).fit(x, y),
        "located": lambda: LocatedMoERegressor(2, **FEW).fit(x, y),
        "two responses": lambda: LocatedMoERegressor(2, student=True, **FEW).fit(x, two),
        "flat": lambda: MoEClassifier(2, expert_features=[], gate_features=[], **FEW).fit(x, y > 0),
    }  # fmt: skip


@pytest.mark.parametrize("name", fits())
@pytest.mark.filterwarnings("ignore::moestro.errors.SearchWarning")
def test_every_fit_says_the_same_things(name):
    moe = fits()[name]()
    text = moe.summary()
    assert not wide(text)
    for label in ("Rows", "Log-likelihood", "Criteria", "Status", "Std. errors", "Experts", "In words"):
        assert any(line.startswith(label) for line in text.splitlines()), label
    assert f"{moe.log_likelihood_:.4f} with {moe.n_parameters_} parameters" in text
    assert f"BIC {moe.bic_:.3f}" in text
    assert "nan" not in text
    assert text.count("Warning") > 0 or str(moe.status_.kind) == "converged"
    if moe.n_experts_ > 1:
        for label in ("Entropy R²", "Shares of the"):
            assert label in text
        assert ("Search" in text) == (moe.search_ is not None)
    assert ("none: a penalised fit" in text) == (name == "penalised")
    assert ("Groups          50 of 3 rows" in text) == (name == "grouped")
    assert ("weights sum to" in text) == (name == "weighted")


@pytest.mark.parametrize("names", [[LONG, LONG + "_squared"], HOSTILE[:4], HOSTILE[4:]], ids=str)
def test_long_and_hostile_names_take_a_hundred_columns(names):
    pandas = pytest.importorskip("pandas")
    data, y = household(names)
    frame, response = pandas.DataFrame(data), pandas.DataFrame({"\n" + LONG * 3: y})
    for moe in (
        MoERegressor(2, **FEW).fit(frame, y),
        MoEClassifier(2, **FEW).fit(frame, np.array(["\x1b[2J" + LONG, "b" * 400])[(y > 0) * 1]),
        LocatedMoERegressor(2, **FEW).fit(frame, response),
    ):
        for text in (moe.summary(), str(moe.inference()), str(moe.selection_), sweep_text(moe.selection_)):
            assert not wide(text)
            assert "\x1b" not in text
            assert all(line.isprintable() for line in text.splitlines())


def test_levels_of_a_category_stand_together():
    x, y = two_lines(150)
    region = np.array(["north", "south", "west"])[np.arange(150) % 3]
    data = {"y": y, "x": x[:, 0], "region": region, "sex": np.array(["m", "f"])[np.arange(150) % 2]}
    moe = MoERegressor.from_formula("y ~ x + region + sex | 1", data, n_experts=1)
    lines = moe.summary().splitlines()
    at = lines.index("  region")
    assert lines[at + 1].startswith("    south ")
    assert lines[at + 2].startswith("    west ")
    assert lines[at + 3].startswith("  sex[T.m] ")


def test_shares_by_the_delta_method_are_those_of_finite_differences():
    """Of the classification table, whose derivatives are differences."""
    for kind, x, y in ((MoERegressor, *two_lines(200)), (MoEClassifier, *three_classes())):
        moe = kind(2, **FEW).fit(x, y)
        shares = moe._found.covariance("observed", 1).shares
        table = moe.classification().shares
        np.testing.assert_allclose(shares[0], table["share"], rtol=1e-10)
        np.testing.assert_allclose(shares[1], table["std_error"], rtol=1e-5)
        assert f"{table['share'][0]:.4f}      {table['std_error'][0]:.4f}" in moe.summary()


def test_shares_of_temperature_gates_too():
    moe = MoERegressor(2, gate="sigmoid", **FEW).fit(*two_lines(200))
    shares, table = moe._found.covariance("sandwich", 1).shares, moe.classification(cov="sandwich").shares
    np.testing.assert_allclose(shares[1], table["std_error"], rtol=1e-5)


def test_an_enormous_standard_error_is_a_warning():
    """Classes that two rows alone keep from being separated: the fit converges, and its slope is known to no
    more than its sign."""
    x = np.linspace(-1, 1, 40)
    y = x > 0
    y[[19, 20]] = y[[20, 19]]
    moe = MoEClassifier(1).fit(x[:, None], y)
    assert moe.status_.kind == "converged"
    slope = moe.inference().rows()[1]
    assert slope["std_error"] * x.std() > 5
    assert "The standard errors of 1:False:x0 are enormous" in " ".join(moe.summary().split())
    assert "\nStatus          converged, but some standard errors are enormous" in moe.summary()
    assert "enormous" not in moe.summary(cov=None)
    assert "enormous" not in MoERegressor(2, **FEW).fit(*two_lines(200)).summary()


def test_the_sweep_fits_into_a_hundred_columns():
    moe = MoEClassifier.from_formula(
        "party ~ left_right | income + age",
        load_dataset("voters"),
        n_experts="bic",
        max_experts=3,
        random_state=0,
    )
    text = sweep_text(moe.selection_)
    assert not wide(text)
    assert text.count("\n") == 3
    assert [line[0] for line in text.splitlines()[1:]].count("*") == 1


def test_cells():
    assert number(0.0) == "0.0000"
    assert number(1234.5678) == "1234.5678"
    assert number(0.00012) == "1.200e-04"
    assert number(None) == "-"
    assert p_cell(0.0004) == "<0.001"
    assert p_cell(0.0449) == "0.045"
    assert wrap("a " * 60, 20) == ["a a a a a a a a a a"] * 6
    assert wrap("aa bb", 2) == ["aa", "bb"]
    assert wrap("x" * 45, 20) == ["x" * 20, "x" * 20, "x" * 5]
    assert [width_of(s) for s in ("abc", "収入", "e\u0301")] == [3, 4, 1]
    assert width_of(shortened("収" * 100, 48)) <= 48
    assert columns(("n",), [("a", ("1",)), ("long label", ("22",))])[1:] == [
        "a            1",
        "long label  22",
    ]


def test_a_wide_table_goes_on_below():
    numbers = {f"a_column_with_a_name_{i}": [0.5, 1.5] for i in range(8)}
    text = str(Table({"row": [1, 2], "name": ["a", "b"], **numbers}))
    first, second = text.split("\n\n")[:2]
    assert not wide(text)
    assert second.splitlines()[1].startswith("  1  a")
    assert first.splitlines()[2].startswith("  2  b")
