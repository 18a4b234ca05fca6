"""Best values of `moestro bench search`, beside those of an optimiser that shares no code with moestro."""

import json

import numpy as np
import pytest

from conftest import two_lines
from moestro import MoERegressor
from moestro.bench import search
from witness.search_known import KINDS, KNOWN, best, random_starts
from witness.search_likelihood import Likelihood

pytest.importorskip("formulaic")
WITNESS, OURS = (json.loads(path.read_text()) for path in (KNOWN, search.BEST))


@pytest.mark.parametrize("name", WITNESS)
def test_the_witness_is_not_above_the_best_value_known(name):
    found = WITNESS[name]
    assert found["starts"] >= 1000
    assert max(found["ten_best"]) == pytest.approx(found["best"], abs=1e-3)
    assert found["best"] <= OURS[name]["value"] + search.SAME


def test_most_sets_have_a_witness():
    assert set(WITNESS) <= set(search.CASES)
    assert len(WITNESS) >= 18  # all with up to 1,500 rows
    equal = [n for n in WITNESS if abs(WITNESS[n]["best"] - OURS[n]["value"]) < search.SAME]
    assert len(equal) >= 12


class TestWitness:
    """On data at hand."""

    @staticmethod
    def frame(family):
        import pandas as pd

        rng = np.random.default_rng(3)
        x, y = two_lines(150)
        data = pd.DataFrame({"x": x[:, 0], "z": rng.standard_normal(len(x)), "y": y})
        if family != "gaussian":
            rate = np.exp(np.clip(data.y, -2, 1.5))
            data["y"] = rng.poisson(rate)
        return data.assign(y=data.y.clip(upper=2)) if family == "multinomial" else data

    @pytest.mark.parametrize("family", ["gaussian", "poisson", "multinomial"])
    def test_derivatives(self, family):
        data = Likelihood("y ~ x | z", self.frame(family), 3, family)
        theta = random_starts(data, np.random.default_rng(0), 2, "parameters")
        _, gradient, information, _ = data.evaluate(theta, 3)
        for i, e in enumerate(1e-5 * np.eye(data.size)):
            up, down = data.evaluate(theta + e, 3), data.evaluate(theta - e, 3)
            scale = 1 + np.abs(gradient).max()
            np.testing.assert_allclose((up[0] - down[0]) / 2e-5, gradient[:, i], atol=1e-5 * scale)
            np.testing.assert_allclose(
                (down[1] - up[1]) / 2e-5, information[:, i], atol=1e-5 * np.abs(information).max()
            )

    def test_it_finds_what_the_library_finds(self):
        frame = self.frame("gaussian")
        found = best(Likelihood("y ~ x | z", frame, 2, "gaussian"), count=10 * len(KINDS))
        model = MoERegressor.from_formula("y ~ x | z", frame, n_experts=2, random_state=0)
        assert found["best"] == pytest.approx(model.log_likelihood_, abs=1e-5)
        assert found["found"] >= 5
