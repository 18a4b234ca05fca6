"""The table of rates: complete, true to the code's losses and studies, and what the page prints."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from moestro import LocatedMoERegressor, MoEClassifier, MoERegressor
from moestro.errors import DataError
from moestro.gates import GATES
from moestro.studies.registry import STUDIES
from moestro.studies.report import markdown
from moestro.theory import LOSSES, RATES, parameter_errors, rates, voronoi_loss
from test_theory import CLASSES, LOCATED, TRUTH, TYPE_2


def test_the_page_prints_it():
    page = (Path(__file__).parents[1] / "docs" / "theory.md").read_text()
    section = page.split("## Rates")[1].split("\n## ")[0]
    assert markdown(rates()) in section


def test_the_page_of_papers_names_what_exists():
    root = Path(__file__).parents[1]
    page = (root / "docs" / "papers.md").read_text()
    papers = re.findall(r"^## (.*)arXiv \d{4}\.\d{5}", page, re.MULTILINE)
    assert len([p for p in papers if not p.startswith("Beyond the ten")]) == 10
    for name in re.findall(r"test_\w+\.py", page):
        assert (root / "tests" / name).is_file(), name
    assert set(re.findall(r"[Ss]tudy `([\w-]+)`", page)) <= set(STUDIES)


def test_every_gate_loss_and_study_is_named():
    assert set(GATES) <= {r.gate for r in RATES}
    assert {r.loss for r in RATES} - {"none"} == set(LOSSES)
    assert {r.study for r in RATES} - {"not studied"} <= set(STUDIES)
    for r in RATES:
        assert re.fullmatch(r"\d{4}\.\d{5}", r.source) or (r.source == "-" and "not proved" in r.rate)


def test_rates_say_what_the_exponents_of_the_losses_imply():
    """A displacement to the power rho in a loss of order n^(-1/2) has the rate n^(-1 / 2 rho)."""
    compared = 0
    for rate in RATES:
        if rate.loss not in LOSSES or rate.loss.endswith("D2r"):
            continue
        over = LOSSES[rate.loss].at_origin if "Dtilde" in rate.loss else LOSSES[rate.loss].over
        powers = {term.exponent(4.0) for term in over}
        said = {"n^-1/2r": 4.0, "n^-1/r": 2.0, "n^-1/4": 2.0}
        for word, power in said.items():
            if re.search(re.escape(word) + r"(?![\dr])", rate.rate):
                assert power in powers, rate
                compared += 1
        if rate.regime == "exact":
            assert {term.exponent(1.0) for term in LOSSES[rate.loss].exact} == {1.0}
            compared += 1
    assert compared >= len(RATES) // 2


def test_a_true_measure_is_in_its_regime():
    assert not any("without slopes" in regime for regime in rates(CLASSES)["regime"])
    flat = replace(CLASSES, slopes=CLASSES.slopes * [[[1.0], [1.0]], [[0.0], [0.0]]])
    assert [r["loss"] for r in rates(flat)] == ["multinomial-D1", "multinomial-D2r"]
    assert [r["loss"] for r in rates(LOCATED)][-1] == "gaussian-gate-Dbar"
    assert [r["loss"] for r in rates(TYPE_2)][-1] == "gaussian-gate-Dtilde"


def test_estimators():
    assert {r["loss"] for r in rates(MoERegressor())} == {"softmax-D1", "softmax-D2", "none"}
    assert {r["loss"] for r in rates(MoERegressor(top_k=1))} == {"top-k-D1", "top-k-D2", "none"}
    assert {r["gate"] for r in rates(LocatedMoERegressor())} == {"gaussian gate"}
    assert "least squares" not in " ".join(rates(MoEClassifier())["regime"])
    assert rates(MoERegressor(family="gamma"))[0]["rate"] == "not known here"
    assert "not proved" in rates(MoERegressor(family="poisson"))[0]["rate"]
    with pytest.raises(DataError, match="a mixing measure or an estimator"):
        rates(3)


def test_no_loss_is_guessed():
    odd = replace(TRUTH, gate="sigmoid")
    with pytest.raises(DataError, match="no loss is known"):
        voronoi_loss(odd, odd)
    assert voronoi_loss(odd, odd, "softmax-D1") == 0.0
    assert parameter_errors(odd, odd)["weights"] == 0.0
