"""Paired claims, the corpora with a known floor, and the character model of the router study."""

import numpy as np
import pytest
from scipy import stats

from moestro.datasets import load_text
from moestro.errors import DataError, FileError
from moestro.studies import find_study
from moestro.studies.claims import Claim, claims_table, mean_interval
from moestro.studies.corpora import MarkovSources, mutual_information_share, text_corpus
from moestro.studies.runner import run_plan


def rows_of(arm, column, values):
    return [{"arm": arm, "n": 1, "replicate": i, column: v} for i, v in enumerate(values)]


class TestClaims:
    def test_the_interval_is_the_paired_t_test(self):
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=8), rng.normal(size=8)
        rows = rows_of("a", "x", a) + rows_of("b", "x", b)[::-1]
        table = claims_table([Claim("less", "a", "x", "b", "x")], rows)
        witness = stats.ttest_rel(a, b).confidence_interval(0.95)
        assert table["low"] == pytest.approx([witness.low])
        assert table["high"] == pytest.approx([witness.high])

    @pytest.mark.parametrize(
        ("shift", "margin", "answer"),
        [(-1.0, 0.0, "holds"), (1.0, 0.0, "does not"), (0.0, 0.0, "open"), (0.0, 1.0, "holds")],
    )
    def test_answers(self, shift, margin, answer):
        noise = np.array([-0.1, 0.1, -0.05, 0.05])
        rows = rows_of("a", "x", shift + noise) + rows_of("b", "x", np.zeros(4))
        assert claims_table([Claim("", "a", "x", "b", "x", margin)], rows)["answer"] == [answer]

    def test_one_replicate_answers_nothing_and_none_is_left_out(self):
        rows = rows_of("a", "x", [1.0]) + rows_of("b", "x", [2.0])
        assert claims_table([Claim("", "a", "x", "b", "x")], rows)["answer"] == ["open"]
        assert not claims_table([Claim("", "a", "x", "c", "x")], rows)["answer"]
        assert mean_interval(np.array([3.0]))[1:] == (-np.inf, np.inf)


class TestCorpora:
    def test_entropy_rate_and_floor_agree_where_one_source_speaks(self):
        rng = np.random.default_rng(1)
        sources = MarkovSources.draw(rng, 1, 5, 0.5, 0.1)
        symbols, labels = sources.sample(60_000, rng)
        assert set(labels) == {0}
        assert sources.bits(symbols) == pytest.approx(sources.entropy_rates()[0], abs=0.02)

    def test_entropy_rate_of_two_states_in_closed_form(self):
        p, q = 0.2, 0.3  # of leaving either state
        sources = MarkovSources(np.array([[[1 - p, p], [q, 1 - q]]]), 0.0)
        H = stats.bernoulli(p).entropy() * q / (p + q) + stats.bernoulli(q).entropy() * p / (p + q)
        assert sources.entropy_rates() == pytest.approx([H / np.log(2)])

    def test_the_floor_is_the_sum_over_all_paths_of_sources(self):
        rng = np.random.default_rng(2)
        sources = MarkovSources.draw(rng, 2, 3, 1.0, 0.3)
        symbols = np.array([0, 2, 1, 1, 0])
        stay = 0.7 * np.eye(2) + 0.3 / 2
        total = 0.0
        for path in np.ndindex(*(2,) * 4):
            p = 0.5
            for t, c in enumerate(path):
                p *= sources.transitions[c, symbols[t], symbols[t + 1]] * (stay[path[t - 1], c] if t else 1.0)
            total += p
        assert sources.bits(symbols) == pytest.approx(-np.log2(total) / 4)

    def test_sources_change_as_often_as_they_say(self):
        rng = np.random.default_rng(3)
        _, labels = MarkovSources.draw(rng, 4, 3, 1.0, 0.1).sample(50_000, rng)
        assert np.mean(labels[1:] != labels[:-1]) == pytest.approx(0.1 * 3 / 4, abs=0.005)

    def test_the_text(self):
        corpus = text_corpus()
        assert len(load_text()) == 949_480 == len(corpus.train) + len(corpus.held_out)
        assert corpus.size == 63
        assert corpus.labels is None
        with pytest.raises(DataError, match="unknown text"):
            load_text("hamlet")

    def test_normalised_information(self):
        a = np.array([0, 0, 1, 1, 2, 2])
        assert mutual_information_share(a, (a + 1) % 3) == pytest.approx(1.0)
        assert mutual_information_share(a, np.array([0, 1] * 3)) == pytest.approx(0.0, abs=1e-12)
        assert mutual_information_share(a * 0, a * 0) == 0.0


def test_a_study_says_which_extra_it_needs(tmp_path, monkeypatch):
    from moestro.studies import runner

    study = find_study("hyper-router")
    plan = study.plan("as_defined", "smoke")
    monkeypatch.setattr(runner, "find_spec", lambda name: None if name == "torch" else True)
    with pytest.raises(FileError, match=r"needs torch.*moestro\[deep\]"):
        run_plan(study, plan, tmp_path / "run")
    assert not (tmp_path / "run").exists()


class TestCharacterModel:
    @pytest.fixture
    def cm(self):
        pytest.importorskip("torch")
        from moestro.studies import character_model

        return character_model

    def test_arms_of_a_seed_begin_with_the_same_experts(self, cm):
        import torch

        shape = cm.Shape(10)
        first = cm.CharacterModel(shape, "hyper", {}, 3)
        second = cm.CharacterModel(shape, "linear", {"logit_std": 2.0}, 3)
        body = {n: p for n, p in first.state_dict().items() if "router" not in n}
        other = {n: p for n, p in second.state_dict().items() if "router" not in n}
        assert body.keys() == other.keys()
        assert all(torch.equal(p, other[n]) for n, p in body.items())

    def test_dense_layers_are_the_sum_of_the_experts(self, cm):
        import torch

        shape = cm.Shape(10)
        dense = cm.CharacterModel(shape, None, {}, 3).blocks[0].feed
        sparse = cm.CharacterModel(shape, "linear", {}, 3).blocks[0].feed
        torch.nn.init.zeros_(sparse.router.weight)
        x = torch.randn(7, shape.width)
        assert torch.allclose(dense(x), shape.experts * sparse(x)[0], atol=1e-6)

    def test_no_character_sees_what_follows(self, cm):
        import torch

        model = cm.CharacterModel(cm.Shape(10), "hyper", {}, 0).eval()
        ids = torch.randint(10, (1, 20))
        changed = ids.clone()
        changed[0, 12:] = (ids[0, 12:] + 1) % 10
        with torch.no_grad():
            a, b = model(ids)[0], model(changed)[0]
        assert torch.allclose(a[:, :12], b[:, :12], atol=1e-6)
        assert not torch.allclose(a[:, 12:], b[:, 12:], atol=1e-3)

    def test_frozen_parts_do_not_move_and_training_lowers_the_bits(self, cm):
        import torch

        rng = np.random.default_rng(0)
        corpus = MarkovSources.draw(rng, 2, 6, 0.2, 0.05).corpus(5000, 2000, rng)
        for router, moving in (
            ("frozen", ()),
            ("hyper", ("router.embedding",)),
            ("stable", ("centres", "light", "embed.weight")),
        ):
            options = {"vocabulary": 6} if router == "stable" else {}
            model = cm.CharacterModel(
                cm.Shape(6, width=16, layers=1, hidden=8, experts=4), router, options, 0
            )
            before = {n: p.clone() for n, p in model.state_dict().items()}
            bits = cm.measure(model, corpus, (4,), 20)["bits_4"]
            cm.train(model, corpus, cm.Training(60), np.random.default_rng(1))
            assert cm.measure(model, corpus, (4,), 20)["bits_4"] < bits - 0.3
            for name, value in model.state_dict().items():
                if "router" in name and not any(part in name for part in (*moving, "stage")):
                    assert torch.equal(value, before[name]), name
