"""A short run of the fuzzer: more by `make fuzz SEEDS=10000`."""

import inspect
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import moestro
from fuzz import words
from fuzz.cases import FILES, case
from fuzz.choices import Drawn, Seeded
from fuzz.dress import PLACES
from fuzz.once_more import ONCE
from fuzz.oracle import judge
from moestro import experts, gates, penalties
from moestro.inference.request import KINDS
from moestro.located.spread import STRUCTURES


def quick(made):
    """The case with one start instead of a search, where its estimator counts starts."""
    if "cv" not in made.words:
        made.words["n_starts"] = 1
    return made


class TestGenerator:
    """Whatever is public is drawn."""

    def test_every_family_gate_penalty_and_structure(self):
        mixed = [m for members, _ in words.MIXED for m in _members(members)]
        drawn = {name.partition("[")[0] for name in words.FAMILIES} | set(words.CLASSES)
        assert drawn == set(experts.FAMILIES)
        assert set(experts.POINTS) <= set(mixed)
        assert set(words.GATES) == set(gates.GATES) - {"softmax", "top-k"}  # these by plain() and top_k
        assert set(words.PENALTIES) == set(penalties.PENALTIES)
        assert set(words.STRUCTURES) == set(STRUCTURES)
        assert set(words.COVS) == set(KINDS)

    def test_every_word_of_every_estimator_and_of_fit(self):
        """Seen in cases, for a list that nothing reads would say nothing."""
        cases = [case(Seeded(seed)) for seed in range(500)]
        for name in moestro.__all__:
            kind = getattr(moestro, name)
            if not hasattr(kind, "from_formula"):
                continue
            known = kind().get_params()
            own = [c for c in cases if set(known) <= set(c.estimator().get_params())]
            drawn = [(w, value) for c in own for w, value in c.words.items() if w in known]
            seen = {w for w, value in drawn if not np.array_equal(value, known[w])}
            assert set(known) - seen <= {*words.NOT_DRAWN}, name
        taken = set(inspect.signature(moestro.MoERegressor.fit).parameters) - {"self", "X", "y"}
        assert {word for c in cases for word in c.given} == taken
        there = set(PLACES) - (set() if find_spec("pyarrow") else set(FILES))
        assert {c.place for c in cases} == {"", *there}
        assert {c.words["engine"] for c in cases if "engine" in c.words} == {"auto", *words.ENGINES}
        assert {c.inference["cov"] for c in cases} == set(words.COVS)
        names = [c.words["family"] for c in cases if "family" in c.words]
        assert {*words.FAMILIES, *words.CLASSES} <= {n for n in names if isinstance(n, str)}
        assert {1, 2, 3, 4, 5, 6, 7, 8, 9, 10} <= {len(c.y) for c in cases}


def _members(family):
    return family.split(",") if isinstance(family, str) else family


@pytest.mark.parametrize("seed", range(15))
def test_strange_data_are_refused_or_fitted_consistently(seed):
    assert judge(quick(case(Seeded(seed))))


@pytest.mark.parametrize("name", ONCE)
def test_promises_that_were_broken_once(name):
    assert judge(ONCE[name]())


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 1500, 25))
def test_five_hundred_cases_with_the_searches_that_they_ask_for(first):
    """In twenties and five, which processes share."""
    for seed in range(first, first + 25):
        assert judge(case(Seeded(seed))), f"seed {seed}"


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.data())
def test_the_same_cases_drawn_by_hypothesis(data):
    assert judge(quick(case(Drawn(data))))
