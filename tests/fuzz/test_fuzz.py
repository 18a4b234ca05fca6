"""A short run of the fuzzer: more by `make fuzz SEEDS=10000`."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.cases import case
from fuzz.choices import Drawn, Seeded
from fuzz.oracle import judge

MANY = [pytest.param(s, marks=pytest.mark.slow) for s in range(1000, 1500)]


@pytest.mark.parametrize("seed", [*range(30), *MANY])
def test_strange_data_are_refused_or_fitted_consistently(seed):
    assert judge(case(Seeded(seed)))


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.data())
def test_the_same_cases_drawn_by_hypothesis(data):
    assert judge(case(Drawn(data)))
