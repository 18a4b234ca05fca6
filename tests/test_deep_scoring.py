"""Weights, capacities and losses against plain loops and against the definitions of other frameworks, in
value and in gradient."""

import math

import pytest

torch = pytest.importorskip("torch")

from moestro import DataError  # noqa: E402
from moestro.deep import (  # noqa: E402
    Scoring,
    SparseMoE,
    balance_loss,
    choose_experts,
    limit,
    sequence_balance_loss,
    step_balance,
    z_loss,
)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def by_hand(rule, logits, k, bias):
    """One token at a time."""
    chosen, weights = [], []
    for row in logits.double():
        score = row.sigmoid() if rule.kind == "sigmoid" else row.softmax(0)
        wanted = score + bias
        size = len(row) // rule.groups
        groups = []
        for g in range(rule.groups):
            best = sorted(wanted[g * size : (g + 1) * size].tolist(), reverse=True)
            groups.append(best[0] if rule.group_by == "max" else sum(best[:2]))
        allowed = sorted(range(rule.groups), key=lambda g: -groups[g])[: rule.top_groups]
        experts = sorted(
            (e for e in range(len(row)) if e // size in allowed), key=lambda e: -float(wanted[e])
        )[:k]
        w = row[experts].softmax(0) if rule.kind == "topk_softmax" else score[experts]
        chosen.append(experts)
        weights.append(rule.scale * (w / w.sum() if rule.normalise else w))
    return torch.tensor(chosen), torch.stack(weights)


@pytest.mark.parametrize(
    "rule",
    [
        Scoring(),
        Scoring("softmax_topk", normalise=True),
        Scoring("softmax_topk", scale=16.0, groups=4, top_groups=2, group_by="max"),
        Scoring("sigmoid"),
        Scoring("sigmoid", normalise=True, scale=2.5, groups=4, top_groups=2),
        Scoring("topk_softmax", groups=2),
    ],
    ids=str,
)
@pytest.mark.parametrize("biased", [False, True])
def test_weights_by_hand(rule, biased):
    logits = torch.randn(40, 12)
    bias = 0.2 * torch.randn(12) if biased else None
    found = choose_experts(logits, 3, rule, bias=bias)
    expert, weight = by_hand(rule, logits, 3, bias.double() if biased else torch.zeros(12))
    assert torch.equal(found.expert.view(40, 3), expert)
    torch.testing.assert_close(found.weight.view(40, 3).double(), weight, rtol=1e-5, atol=1e-6)


def test_rules_that_make_no_sense_are_refused():
    for options, words in (
        ({"kind": "argmax"}, "unknown"),
        ({"normalise": True}, "as they are"),
        ({"scale": 0.0}, "positive"),
        ({"scale": math.inf}, "finite"),
        ({"groups": 2.0}, "groups must be a whole number"),
        ({"groups": 2, "top_groups": 3}, "between 1 and 2"),
        ({"group_by": "mean"}, "top2 or max"),
    ):
        with pytest.raises(DataError, match=words):
            Scoring(**options)
    with pytest.raises(DataError, match="equal size"):
        SparseMoE(8, 6, 2, score=Scoring(groups=4))
    with pytest.raises(DataError, match="fewer than the 3"):
        SparseMoE(8, 6, 3, score=Scoring(groups=3))
    with pytest.warns(RuntimeWarning, match="never trains"):
        SparseMoE(8, 6, 1, score=Scoring("sigmoid", normalise=True))


def test_deepseek_own_router_gives_the_same_weights():
    """Its module in `transformers`, with a correction bias that changes the choice."""
    transformers = pytest.importorskip("transformers")
    from transformers.models.deepseek_v3.modeling_deepseek_v3 import DeepseekV3TopkRouter

    config = transformers.DeepseekV3Config(
        hidden_size=16, n_routed_experts=8, num_experts_per_tok=3, n_group=4, topk_group=2,
        routed_scaling_factor=2.5, norm_topk_prob=True,
    )  # fmt: skip
    router = DeepseekV3TopkRouter(config)
    torch.nn.init.normal_(router.weight)
    router.e_score_correction_bias.copy_(torch.linspace(-0.4, 0.4, 8))
    logits, weights, indices = router(torch.randn(50, 16))
    rule = Scoring("sigmoid", normalise=True, scale=2.5, groups=4, top_groups=2)
    ours = choose_experts(logits, 3, rule, bias=router.e_score_correction_bias)
    theirs = torch.zeros(50, 8).scatter(1, indices, weights)
    torch.testing.assert_close(ours.gates(), theirs)
    plain = choose_experts(logits, 3, rule)
    assert not torch.equal(plain.expert, ours.expert)


# Capacity


@pytest.mark.parametrize("drop", ["position", "weight"])
@pytest.mark.parametrize("masked", [False, True])
def test_a_capacity_by_hand(drop, masked):
    k, E, t, factor = 2, 4, 30, 0.8
    logits = torch.randn(t, E) + torch.tensor([1.0, 0.5, 0.0, 0.0])
    mask = torch.arange(t) % 5 != 2 if masked else None
    full = choose_experts(logits, k, "softmax_topk", mask=mask)
    found = limit(full, factor, drop)
    room = {e: math.ceil(factor * t * k / E) for e in range(E)}
    pairs = range(t * k)
    if drop == "position":
        pairs = sorted(pairs, key=lambda i: (i % k, i // k))
    else:
        pairs = sorted(pairs, key=lambda i: -float(full.weight[i]))
    kept = set()
    for i in pairs:
        e = int(full.expert[i])
        if room[e] and (mask is None or mask[i // k]):
            room[e] -= 1
            kept.add(i)
    assert set(torch.nonzero(found.kept).ravel().tolist()) == kept
    assert len(kept) < t * k
    assert torch.equal(found.weight, full.weight * found.kept)
    assert torch.equal(limit(full, float(E), drop).weight, full.weight)  # room for all
    for wrong, words in (((0.0, drop), "positive"), ((1.0, "random"), "unknown")):
        with pytest.raises(DataError, match=words):
            limit(full, *wrong)


def test_dropped_pairs_count_for_nothing():
    layer = SparseMoE(8, 4, 2, hidden=16, router="linear", router_options={"init": "unit_logit"})
    x = torch.randn(20, 8)
    assignment = limit(choose_experts(layer.router(x), 2), 0.6)
    outputs = [layer.experts(x, assignment, backend) for backend in ("dense", "sorted", "grouped_mm")]
    for other in outputs[1:]:
        torch.testing.assert_close(other, outputs[0], rtol=1e-4, atol=1e-6)
    counted = torch.bincount(assignment.expert[assignment.kept], minlength=4)
    assert torch.equal(assignment.tally(assignment.counted()).long(), counted)


# Losses


def gradient(loss, logits):
    leaf = logits.clone().requires_grad_()
    value = loss(leaf)
    value.backward()
    return value.detach(), leaf.grad


def same(ours, theirs, logits):
    for a, b in zip(gradient(ours, logits), gradient(theirs, logits), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("masked", [False, True])
def test_balance_of_mixtral_and_olmoe_has_a_factor_k(k, masked):
    """`transformers` counts assignments a token: the value of Mixtral, Qwen, OLMoE, ..."""
    mixtral = pytest.importorskip("transformers.models.mixtral.modeling_mixtral")
    logits = torch.randn(24, 6)
    mask = torch.ones(2, 12, dtype=torch.bool)
    if masked:
        mask[1, 7:] = False
    same(
        lambda z: balance_loss(choose_experts(z, k), mask.reshape(-1) if masked else None, per="token"),
        lambda z: mixtral.load_balancing_loss_func((z,), 6, k, mask.long() if masked else None),
        logits,
    )
    once = balance_loss(choose_experts(logits, k))
    torch.testing.assert_close(k * once, balance_loss(choose_experts(logits, k), per="token"))
    with pytest.raises(DataError, match="assignment or token"):
        balance_loss(choose_experts(logits, k), per="layer")


def test_balance_and_z_of_switch():
    switch = pytest.importorskip("transformers.models.switch_transformers.modeling_switch_transformers")
    logits = torch.randn(1, 24, 6)
    same(
        lambda z: balance_loss(choose_experts(z[0], 1, "softmax_topk")),
        lambda z: switch.load_balancing_loss_func(z.softmax(-1), z.argmax(-1)),
        logits,
    )
    same(lambda z: z_loss(z[0]), switch.router_z_loss_func, logits)


@pytest.mark.parametrize("masked", [False, True])
def test_balance_within_sequences_by_hand(masked):
    """Equations 17 to 20 of DeepSeek-V3, one sequence at a time."""
    S, T, E, k = 3, 8, 5, 2
    lengths = [8, 5, 0] if masked else [8, 8, 8]
    mask = torch.cat([torch.arange(T) < n for n in lengths]) if masked else None
    logits = torch.randn(S * T, E)
    rule = Scoring("sigmoid", normalise=True)

    def by_sequence(z):
        parts = []
        for s, n in enumerate(lengths):
            rows = z[s * T : s * T + n]
            if not n:
                continue
            score = rows.sigmoid()
            chosen = torch.zeros(n, E).scatter(1, rows.topk(k).indices, 1.0)
            f = E / (k * n) * chosen.sum(0)
            p = (score / score.sum(1, keepdim=True)).mean(0)
            parts.append((f * p).sum())
        return torch.stack(parts).mean()

    same(
        lambda z: sequence_balance_loss(z, choose_experts(z, k, rule, mask=mask), S, mask),
        by_sequence,
        logits,
    )
    even = choose_experts(torch.zeros(6, 3), 3, "sigmoid")
    assert float(sequence_balance_loss(torch.zeros(6, 3), even, 2)) == pytest.approx(1.0)
    with pytest.raises(DataError, match="equal length"):
        sequence_balance_loss(logits, choose_experts(logits, k), 7)


# Balance without a loss


def balanced(**more):
    return SparseMoE(8, 4, 1, hidden=8, router="linear", score="sigmoid", balance_rate=0.01, **more)


def test_biases_even_the_load_and_leave_the_weights_alone():
    layer = balanced(router_options={"logit_std": 0.5})
    with torch.no_grad():
        layer.router.bias.copy_(torch.tensor([1.0, 0.0, 0.0, -1.0]))
    x = torch.randn(400, 8)
    first = layer(x)[1].assignment.counts()
    step_balance(layer)
    for _ in range(150):
        layer(x[:200])  # two batches a step: their loads are added
        layer(x[200:])
        assert float(layer.balancer.load.sum()) == 400
        step_balance(layer)
        assert abs(float(layer.balancer.bias.mean())) < 1e-6
    info = layer.eval()(x)[1]
    assert first.max() > 250
    assert info.assignment.counts().max() < 130
    expected = info.logits.gather(1, info.assignment.expert[:, None]).sigmoid().ravel()
    torch.testing.assert_close(info.assignment.weight, expected)
    assert layer.balancer.load.sum() == 0  # evaluation is not counted


def test_biases_move_by_the_sign_of_the_load_of_all_ranks(monkeypatch):
    layer = balanced()
    mask = torch.arange(30) < 20
    info = layer(torch.randn(30, 8), mask=mask)[1]
    mine = layer.balancer.load.clone()
    assert torch.equal(mine, info.assignment.tally(info.assignment.counted()))
    assert mine.sum() == 20
    other = torch.tensor([0.0, 50.0, 0.0, 3.0])
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda load: load.add_(other))
    step_balance(layer)
    moved = 0.01 * torch.sign((mine + other).mean() - (mine + other))
    torch.testing.assert_close(layer.balancer.bias, moved - moved.mean())


def test_biases_are_kept_in_float32_and_in_the_state():
    layer = balanced()
    layer(torch.randn(30, 8))
    step_balance(layer)
    bias = layer.balancer.bias.clone()
    low = layer.bfloat16()
    assert torch.equal(low.balancer.bias, bias)
    assert set(layer.balancer.state_dict()) == {"bias"}
    fresh = balanced()
    fresh.load_state_dict(layer.float().state_dict())
    assert torch.equal(fresh.balancer.bias, bias)
    with pytest.raises(DataError, match="no layer with balance_rate"):
        step_balance(SparseMoE(8, 4, 2))
    with pytest.raises(DataError, match="positive"):
        SparseMoE(8, 4, 2, balance_rate=-1.0)


def test_a_shared_expert_and_a_capacity_in_a_layer():
    shared = torch.nn.Linear(8, 8)
    layer = SparseMoE(8, 4, 2, hidden=8, router="linear", shared=shared, capacity=0.5)
    x = torch.randn(20, 8)
    mask = torch.arange(20) < 15
    out, info = layer(x, mask=mask)
    assert info.assignment.tally(info.assignment.kept.long()).max() <= 5
    routed = layer.experts(x, info.assignment)
    torch.testing.assert_close(out, routed + shared(x) * mask[:, None])
    for option in ({"capacity": 1.0}, {"balance_rate": 0.1}, {"score": "sigmoid"}):
        with pytest.raises(DataError, match=f"leave {next(iter(option))} out"):
            SparseMoE(8, 4, 2, router="expert_choice", **option)
    with pytest.raises(DataError, match="capacity must be positive"):
        SparseMoE(8, 4, 2, capacity=0.0)
