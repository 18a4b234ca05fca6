"""A short run of the fuzzer: more by `make fuzz SEEDS=10000`."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.cases import case
from fuzz.choices import Drawn, Seeded
from fuzz.oracle import judge


def quick(made):
    """The case with one start instead of a search, where its estimator counts starts."""
    if "cv" not in made.words:
        made.words["n_starts"] = 1
    return made


@pytest.mark.parametrize("seed", range(15))
def test_strange_data_are_refused_or_fitted_consistently(seed):
    assert judge(quick(case(Seeded(seed))))


@pytest.mark.parametrize("seed", [1109, 1137, 1174, 1349])
def test_promises_that_were_broken_once(seed):
    assert judge(case(Seeded(seed)))


@pytest.mark.slow
def test_more_cases_with_the_searches_that_they_ask_for():
    for seed in range(2000, 2015):
        assert judge(case(Seeded(seed))), f"seed {seed}"


@pytest.mark.study
@pytest.mark.parametrize("first", range(1000, 1500, 50))
def test_five_hundred_cases_with_the_searches_that_they_ask_for(first):
    for seed in range(first, first + 50):
        assert judge(case(Seeded(seed))), f"seed {seed}"


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.data())
def test_the_same_cases_drawn_by_hypothesis(data):
    assert judge(quick(case(Drawn(data))))
