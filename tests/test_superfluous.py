"""One expert too many: known from the fit of one less, said in the summary, with what to expect of
intervals."""

import numpy as np
import pytest
from scipy.stats import chi2

from conftest import two_lines
from moestro import LocatedMoERegressor, MoEClassifier, MoERegressor, load_model
from moestro.errors import DataError
from moestro.search import Evidence
from moestro.summary.doubts import superfluous


def one_line(n=400, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 1))
    return x, 1 + x[:, 0] + rng.standard_normal(n)


class TestSaid:
    def test_two_experts_on_one(self):
        x, y = one_line()
        fit = MoERegressor(n_experts=2, random_state=0).fit(x, y)
        (said,) = superfluous(fit.fit_)
        assert said.startswith("one expert fits nearly as well by BIC: 5 parameters more gain ")
        assert "56 to 58 % of simulated 95 % intervals" in said
        assert "one expert fits nearly as well" in " ".join(fit.summary().lower().split())
        assert fit.status_.kind == fit.fit_.status.kind
        assert str(fit.status_).endswith("; one expert fits nearly as well by BIC: see the summary")

    def test_its_numbers_are_those_of_both_fits(self):
        x, y = one_line()
        one, two = (MoERegressor(n_experts=k, random_state=0).fit(x, y).fit_ for k in (1, 2))
        assert two.evidence.smaller == pytest.approx(one.log_likelihood, rel=1e-10)
        assert two.evidence.smaller_size == one.n_parameters
        gain = two.log_likelihood - one.log_likelihood
        assert gain < max(2.5 * np.log(400), 0.5 * chi2.ppf(0.95, 5))
        assert (
            f"gain {gain:.1f} in log-likelihood where {2.5 * np.log(400):.1f} are asked for"
            in superfluous(two)[0]
        )

    def test_classes_and_located_experts(self):
        x, y = one_line()
        assert superfluous(MoEClassifier(n_experts=2, random_state=0).fit(x, y > 1).fit_)
        assert superfluous(LocatedMoERegressor(n_experts=2, random_state=0).fit(x, y).fit_)

    def test_not_of_two_lines_nor_of_one_expert(self):
        x, y = two_lines(300)
        two = MoERegressor(n_experts=2, random_state=0).fit(x, y)
        assert not superfluous(two.fit_)
        assert two.status_ == two.fit_.status
        assert not superfluous(MoERegressor(n_experts=1, random_state=0).fit(x, y).fit_)


class TestKept:
    def test_a_file_has_it(self, tmp_path):
        x, y = one_line(200)
        fit = MoERegressor(n_experts=2, random_state=0).fit(x, y)
        fit.save(tmp_path / "m.json")
        again = load_model(tmp_path / "m.json")
        assert superfluous(again.fit_) == superfluous(fit.fit_)

    def test_a_file_from_before_has_not(self):
        x, y = one_line(200)
        data = MoERegressor(n_experts=2, random_state=0).fit(x, y).fit_.evidence.to_dict()
        old = {k: v for k, v in data.items() if not k.startswith("smaller")}
        assert Evidence.from_dict(old).smaller is None
        with pytest.raises(DataError, match="one expert less"):
            Evidence.from_dict({**old, "smaller": -3.0})
