"""Paired claims, the corpora with a known floor, and the character model of the router study."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from moestro.datasets import load_text
from moestro.errors import DataError, FileError
from moestro.studies import find_study, hyper_router
from moestro.studies.claims import Claim, claims_table, holm, mean_interval, p_value
from moestro.studies.corpora import MarkovSources, file_corpus, mutual_information_share, text_corpus
from moestro.studies.report import command_of, write_report
from moestro.studies.router_claims import lead
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

    def test_p_is_that_of_the_paired_t_test(self):
        rng = np.random.default_rng(3)
        d = rng.normal(size=9)
        assert p_value(d, 0.4) == pytest.approx(stats.ttest_1samp(d, 0.4).pvalue)
        assert p_value(d[:1], 0.4) == p_value(np.full(3, 0.4), 0.4) == 1.0
        assert p_value(np.full(3, 0.5), 0.4) == 0.0

    def test_holm_by_hand(self):
        """Holm (1979): 0.01, 0.03, 0.04 of three, times 3, 2 and 1, never below the one before."""
        assert holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
        assert holm([0.6, 0.9]) == [1.0, 1.0]
        assert holm([]) == []

    def test_primary_claims_are_answered_alone_and_the_others_together(self):
        d = np.array([-1.0, -0.2, -0.6, -0.5, -0.1])  # p = 0.037
        rows = rows_of("a", "x", d) + rows_of("b", "x", np.zeros(5))
        same = Claim("", "a", "x", "b", "x")
        table = claims_table([same, same, Claim("named", "a", "x", "b", "x", primary=True)], rows)
        assert table["claim"] == ["named", "", ""]
        assert table["by"] == ["primary", "Holm", "Holm"]
        assert table["adjusted p"] == pytest.approx(np.array([1, 2, 2]) * p_value(d, 0.0))
        assert table["answer"] == ["holds", "open", "open"]

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

    def test_a_file_is_cut_as_enwik8_is(self, tmp_path):
        data = (b"the cat sat on the mat " * 1000)[:20_000]
        path = tmp_path / "enwik"
        path.write_bytes(data)
        corpus = file_corpus(path)
        assert len(corpus.train) == 18_000
        assert len(corpus.held_out) == 1_000
        names = np.unique(np.frombuffer(data, np.uint8))
        assert corpus.size == len(names)
        assert names[corpus.held_out].tobytes() == data[-1000:]
        assert names[corpus.train].tobytes() == data[:18_000]
        assert corpus.per_word == pytest.approx(1000 / len(data[-1000:].split()))
        path.write_bytes(b"short")
        with pytest.raises(FileError, match="at least"):
            file_corpus(path)
        with pytest.raises(FileError, match="cannot be read"):
            file_corpus(tmp_path / "none")

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

    def test_training_at_k_has_k_throughout(self, cm):
        rng = np.random.default_rng(0)
        corpus = MarkovSources.draw(rng, 2, 6, 0.2, 0.05).corpus(3000, 600, rng)
        for k, seen in ((2, {2}), (None, {2, 3, 4})):
            model = cm.CharacterModel(cm.Shape(6, width=16, layers=1, hidden=8, experts=4), "linear", {}, 0)
            found = set()
            model.blocks[0].feed.register_forward_hook(lambda _m, _x, out, f=found: f.add(out[1].top_k))
            cm.train(model, corpus, cm.Training(8, train_k=k), np.random.default_rng(1))
            assert found == seen

    def test_dropout_is_of_training_alone(self, cm):
        import torch

        dense = cm.CharacterModel(cm.Shape(10), None, {"dropout": 0.25}, 3).blocks[0].feed
        x = torch.randn(7, 64)
        assert not torch.equal(dense(x), dense(x))
        assert torch.equal(dense.eval()(x), dense(x))

    def test_perplexity_of_a_word(self, cm):
        rng = np.random.default_rng(0)
        corpus = MarkovSources.draw(rng, 1, 6, 0.2, 0.05).corpus(500, 700, rng)
        model = cm.CharacterModel(cm.Shape(6, width=16, layers=1, hidden=8, experts=4), None, {}, 0)
        assert "word_perplexity_4" not in cm.measure(model, corpus, (4,), 5)
        row = cm.measure(model, replace(corpus, per_word=4.5), (4,), 5)
        assert row["word_perplexity_4"] == pytest.approx(2 ** (4.5 * row["bits_4"]))


TOY = {"width": 16, "layers": 1, "heads": 2, "context": 16, "hidden": 8, "batch": 2, "windows": 4}


def toy(arms):
    """The arms of a scale with a model of a few thousand numbers."""
    return [replace(arm, sizes=(2,), replicates=2, options={**arm.options, **TOY}) for arm in arms]


@pytest.mark.parametrize(("scale", "arms"), [("gpu", 6), ("paper", 14)])
def test_scales_run_at_toy_size_and_the_page_begins_with_its_answer(scale, arms, tmp_path):
    for module in ("torch", "pyarrow", "matplotlib"):
        pytest.importorskip(module)
    study = find_study("hyper-router")
    given = study.arms("as_defined", scale)
    plan = study.plan("as_defined", scale, arms=toy(given), only="text")
    assert len(plan.arms) == arms
    rows = run_plan(study, plan, tmp_path)
    assert len(rows) == 2 * arms
    assert all(np.isfinite(r["bits_16"]) for r in rows)
    page = write_report("hyper-router", tmp_path).split("\n\n")
    assert page[1] == lead(rows)
    assert page[1].count("two primary claims") == 1
    assert page[2].startswith("![")


def test_the_first_sentence_says_the_primary_claims():
    bits = {"HyperRouter": (2.0, 1.8), "SMoE-Dropout, matched": (2.1, 1.8), "dense": (1.5, 1.5)}
    rows = [
        {
            "arm": f"text: {name}",
            "n": 9,
            "replicate": i,
            "bits_1": a + 0.01 * i,
            "bits_2": b + 0.001 * i * (a > 2),
        }
        for name, (a, b) in bits.items()
        for i in range(3)
    ]
    text = lead(rows)
    assert "differs by -0.100 [-0.100, -0.100] and -0.001 [-0.003, 0.001] bits" in text
    assert "over 3 paired seeds): that it needs fewer" in text
    assert "the two primary claims, holds at k = 1 and is open at k = 2." in text
    assert "At k = 2 it needs 1.8 bits; trained routers and a dense layer, dense 1.5." in text
    assert lead([]) == ""
    one = lead([row for row in rows if row["replicate"] == 0])
    assert "differs by -0.100 and +0.000 bits" in one
    assert "(of one seed): that it needs fewer" in one


def test_the_stored_page_says_what_the_study_says_today():
    page = (Path(__file__).parents[1] / "docs/studies/hyper-router-as_defined/report.md").read_text()
    study = find_study("hyper-router")
    assert f"\n\n{study.differences}\n\n{study.note([], 'as_defined')}\n\n" in page


def test_a_study_on_a_file(tmp_path):
    for module in ("torch", "pyarrow"):
        pytest.importorskip(module)
    path = tmp_path / "corpus"
    path.write_bytes(b"In the beginning was the Word. " * 400)
    study = find_study("hyper-router")
    plan = study.plan("as_defined", "smoke", corpus=path, only="file: dense", replicates=1)
    assert [arm.name for arm in plan.arms] == ["file: dense", "file: dense, dropout"]
    small = study.plan("as_defined", "smoke", arms=toy(plan.arms[:1]))
    rows = run_plan(study, small, tmp_path / "run")
    assert {r["arm"] for r in rows} == {"file: dense"}
    assert rows[0]["word_perplexity_2"] > 1
    design = {**plan.to_dict(), "seed": 0}
    assert f'--scale smoke --corpus "{path}" --arm "file: dense" --replicates 1' in command_of(study, design)
    path.write_bytes(b"In the beginning was the word. " * 400)
    hyper_router.corpus_of.cache_clear()  # read once a process
    with pytest.raises(FileError, match="has changed"):
        study.fit(small.arms[0], "as_defined", 2, np.random.default_rng(0))
    with pytest.raises(DataError, match="learns from no corpus"):
        find_study("oracle").plan("as_defined", "smoke", corpus=path)
    with pytest.raises(DataError, match="no scale 'gpu'"):
        find_study("oracle").plan("as_defined", "gpu")
    for options, words in (({"precision": "half"}, "precision"), ({"train_k": 17}, "train_k")):
        with pytest.raises(DataError, match=words):
            study.plan(
                "as_defined", "smoke", arms=[replace(small.arms[0], options={"router": "dense", **options})]
            )
