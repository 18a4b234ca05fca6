"""Routers, assignments and experts against plain loops, closed forms and the tables of the released code."""

import copy
import io
import math
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from moestro import DataError  # noqa: E402
from moestro.deep import (  # noqa: E402
    ROUTERS,
    HyperRouter,
    LinearRouter,
    LoadBalancer,
    MLPExperts,
    RoutingStats,
    Scoring,
    SparseMoE,
    StableRouter,
    TopKSchedule,
    agreement,
    balance_loss,
    choose_experts,
    choose_tokens,
    effective_rank,
    expert_similarity,
    gate_measure,
    limit,
    linear_router,
    quality_vs_k,
    sequence_balance_loss,
    set_top_k,
    step_balance,
    sum_losses,
    z_loss,
)
from moestro.deep.assignment import SCORES  # noqa: E402
from moestro.deep.experts import BACKENDS, COMPUTE, can_group  # noqa: E402

# One line a router: options of the table of laws.
OPTIONS = {
    "linear": {},
    "frozen": {},
    "hyper": {"hidden": 8},
    "cosine": {},
    "stable": {},
    "hash": {"vocabulary": 50},
    "random": {},
    "expert_choice": {},
}
LEARNS = {"linear", "hyper", "cosine", "stable", "expert_choice"}


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def test_every_router_is_in_the_table():
    assert set(OPTIONS) == set(ROUTERS)


@pytest.mark.parametrize("name", OPTIONS)
class TestEveryRouter:
    def layer(self, name, top_k=2, **more):
        return SparseMoE(12, 6, top_k, hidden=16, router=name, router_options=OPTIONS[name], **more)

    def test_routes_trains_and_is_kept(self, name):
        layer = self.layer(name)
        x, ids = torch.randn(3, 7, 12), torch.randint(50, (3, 7))
        keys = set(layer.state_dict())
        out, info = layer(x, ids=ids)
        assert out.shape == x.shape
        assert info.logits.shape == (21, 6)
        (out.square().sum() + sum(info.losses.values())).backward()
        moving = [p for p in layer.router.parameters() if p.requires_grad]
        assert bool(moving) == (name in LEARNS)
        assert all(p.grad is not None and p.grad.isfinite().all() for p in moving)
        assert set(layer.state_dict()) == keys
        for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
            if name != "random":
                torch.testing.assert_close(again(x, ids=ids)[0], out, rtol=0, atol=0)
        kept = io.BytesIO()
        torch.save(layer.state_dict(), kept)
        kept.seek(0)
        other = self.layer(name)
        other.load_state_dict(torch.load(kept))
        if name != "random":
            torch.testing.assert_close(other(x, ids=ids)[0], out, rtol=0, atol=0)

    def test_padding_counts_nowhere(self, name):
        layer = self.layer(name)
        x, ids = torch.randn(10, 12), torch.randint(50, (10,))
        mask = torch.arange(10) < 7
        if name == "random":
            assert (layer(x, mask=mask)[0][7:] == 0).all()
            return
        out, info = layer(x, mask=mask, ids=ids)
        alone, short = layer(x[:7], ids=ids[:7])
        assert (out[7:] == 0).all()
        torch.testing.assert_close(out[:7], alone)
        for loss in ("balance", "z"):
            torch.testing.assert_close(info.losses[loss], short.losses[loss])


# HyperRouter


def fixed_numbers(router):
    return sum(p.numel() for p in router.parameters() if not p.requires_grad)


def test_sizes_and_entropies_of_the_released_code():
    def frozen(hidden):
        return fixed_numbers(HyperRouter(256, 16, hidden=hidden))

    assert (frozen(256), frozen(64)) == (1_122_576, 283_728)
    assert [p.numel() for p in HyperRouter(256, 16).parameters() if p.requires_grad] == [256]
    small = HyperRouter(8, 4, hidden=5, bias=False, embed_dim=3)
    assert fixed_numbers(small) == 5 * 3 + 5 + 32 * 5 + 32
    assert not list(small.buffers())  # DistributedDataParallel would send them at every step

    def entropy(make, draws=24):
        values = []
        for seed in range(draws):
            torch.manual_seed(seed)
            x = torch.randn(2000, 256)
            x = x / x.square().mean(dim=1, keepdim=True).sqrt()
            p = make()(x).softmax(dim=1)
            values.append(-(p * p.clamp_min(1e-30).log()).sum(dim=1).mean())
        return float(torch.stack(values).mean())

    table = [
        (lambda: LinearRouter(256, 16), 2.727),
        (lambda: LinearRouter(256, 16, init="torch"), 2.624),
        (lambda: HyperRouter(256, 16, hidden=64), 2.617),
        (lambda: HyperRouter(256, 16), 2.260),
    ]
    with torch.no_grad():
        for make, expected in table:
            assert entropy(make) == pytest.approx(expected, rel=0.02)


def test_logits_are_the_formula_and_only_the_embedding_learns():
    router = HyperRouter(6, 3, hidden=5, init="torch").double()
    x = torch.randn(4, 6, dtype=torch.float64)
    hidden = torch.clamp(router.w1 @ router.embedding + router.b1, min=0)
    flat = router.w2 @ hidden + router.b2
    table = flat.reshape(3, 7)
    torch.testing.assert_close(router(x), x @ table[:, :6].T + table[:, 6], rtol=1e-12, atol=1e-12)
    before = {name: getattr(router, name).detach().clone() for name in ("w1", "b1", "w2", "b2")}
    router.requires_grad_(True)  # as one does with a whole model: the hypernetwork gets no gradient even so
    start = router.embedding.detach().clone()
    optimiser = torch.optim.AdamW(router.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(5):
        optimiser.zero_grad()
        router(x).square().sum().backward()
        optimiser.step()
    for name, fixed in before.items():
        assert getattr(router, name).grad is None
        assert torch.equal(getattr(router, name), fixed)
    assert not torch.equal(router.embedding, start)
    assert torch.autograd.gradcheck(
        lambda e: torch.func.functional_call(router, {"embedding": e}, (x,)),
        router.embedding.detach().clone().requires_grad_(),
    )
    assert not any(p.requires_grad for p in HyperRouter(6, 3, train_embedding=False).parameters())


def test_baked_logits_are_equal_to_the_bit_and_weights_follow_every_edit():
    x = torch.randn(50, 32)
    for bias in (True, False):
        other = HyperRouter(32, 8, bias=bias).eval()
        with torch.no_grad():
            assert torch.equal(other.bake()(x), other(x))
    router = HyperRouter(32, 8).eval()
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            first = router(x)
            router.embedding.data += 1.0  # no version counter moves
            changed = router(x)
            assert not torch.equal(changed, first)
            assert torch.equal(router.bake()(x), changed)
    router(x).sum().backward()  # what inference mode made is not kept
    router.load_state_dict(HyperRouter(32, 8).state_dict())
    with torch.no_grad():
        assert not torch.equal(router(x), changed)
        torch.testing.assert_close(router.double()(x.double()), router.bake()(x.double()))


def test_a_hypernetwork_begins_with_some_unit_on():
    for seed in range(20):
        torch.manual_seed(seed)
        router = HyperRouter(8, 3, hidden=1, init="unit_logit")
        router(torch.randn(5, 8)).square().sum().backward()
        assert router.embedding.grad.abs().sum() > 0


def test_scales_can_be_matched():
    for make in (lambda **o: HyperRouter(64, 8, **o), lambda **o: LinearRouter(64, 8, **o)):
        for options, expected in (({"init": "unit_logit"}, 1.0), ({"logit_std": 0.7}, 0.7)):
            router = make(bias=False, **options)
            x = torch.randn(20_000, 64)
            assert float(router(x).detach().std()) == pytest.approx(expected, rel=0.15)


def test_routers_survive_compilation_and_export():
    router = HyperRouter(8, 4, hidden=6).eval()
    x = torch.randn(5, 8)
    compiled = torch.compile(router, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), router(x))
    exported = torch.export.export(router, (x,))
    torch.testing.assert_close(exported.module()(x), router(x))


def test_a_stable_router_learns_distils_and_freezes_its_assignment():
    layer = SparseMoE(8, 4, 1, hidden=8, router=StableRouter(8, 4, vocabulary=20))
    ids = torch.randint(20, (400,))
    table = torch.randn(20, 8)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.05)
    for _ in range(60):
        optimiser.zero_grad()
        _, info = layer(table[ids], ids=ids)
        info.losses["distillation"].backward()
        optimiser.step()
    every = torch.arange(20)
    learned = layer(table, ids=every)[1].assignment.expert
    layer.router.freeze()
    out, info = layer(table, ids=every)
    assert (info.assignment.expert == learned).float().mean() > 0.8
    assert "distillation" not in info.losses
    # Only the assignment is fixed: the weight is sigmoid(x . E_a), and E is trained.
    e = info.assignment.expert
    expected = (table * layer.router.centres[e]).sum(1).sigmoid()
    torch.testing.assert_close(info.assignment.weight, expected)
    optimiser.zero_grad()
    out.square().sum().backward()
    assert layer.router.centres.grad.abs().sum() > 0
    assert layer.router.light.weight.grad is None
    assert layer.router.embed.weight.grad is None
    with torch.no_grad():
        layer.router.centres.mul_(-1.0)
    assert torch.equal(layer(table, ids=every)[1].assignment.expert, e)
    with pytest.raises(DataError, match="token ids"):
        layer(table)
    # A checkpoint of stage 2 loads frozen, and one of stage 1 thaws.
    fresh = SparseMoE(8, 4, 1, hidden=8, router=StableRouter(8, 4, vocabulary=20))
    first = copy.deepcopy(fresh.state_dict())
    fresh.load_state_dict(layer.state_dict())
    assert torch.equal(fresh(table, ids=every)[1].assignment.expert, e)
    assert not fresh.router.light.weight.requires_grad
    assert "distillation" not in fresh(table, ids=every)[1].losses
    fresh.load_state_dict(first)
    assert fresh.router.light.weight.requires_grad


def test_a_stable_router_begins_and_distils_as_its_authors():
    router = StableRouter(16, 4, vocabulary=30, low_dim=10)
    for centres in (router.centres, router.light.weight):
        torch.testing.assert_close(centres @ centres.T, 0.01 * torch.eye(4))
    layer = SparseMoE(16, 4, 1, hidden=8, router=router)
    x, ids = torch.randn(12, 16), torch.randint(30, (12,))
    mask = torch.arange(12) < 9
    loss = layer(x, ids=ids, mask=mask)[1].losses["distillation"]
    target = (x[:9] @ router.centres.T).argmax(1)
    torch.testing.assert_close(loss, nn.functional.cross_entropy(router._light(x[:9], ids[:9]), target))
    # Evaluation in stage 1 chooses by the light router, as the released code does.
    chosen = layer.eval()(x, ids=ids)[1].assignment.expert
    assert torch.equal(chosen, router._light(x, ids).argmax(1))


# Assignment


def test_scores():
    logits = torch.randn(9, 5, dtype=torch.float64)
    p = logits.softmax(1)
    for k in range(1, 6):
        found = {s: choose_experts(logits, k, s) for s in SCORES}
        torch.testing.assert_close(found["topk_softmax"].weight, found["softmax_topk_renorm"].weight)
        expert = found["topk_softmax"].expert.view(9, k)
        torch.testing.assert_close(found["softmax_topk"].weight.view(9, k), p.gather(1, expert))
        torch.testing.assert_close(found["sigmoid"].weight.view(9, k), logits.gather(1, expert).sigmoid())
    torch.testing.assert_close(choose_experts(logits, 5).gates(), p)
    assert choose_experts(logits.half(), 2).weight.dtype == torch.float32


def test_losses_are_per_token_means():
    logits = torch.randn(40, 4, dtype=torch.float64)
    for k in (1, 2, 4):
        a = choose_experts(logits, k)
        share = torch.stack([(a.expert == e).double().mean() for e in range(4)])
        torch.testing.assert_close(balance_loss(a), 4 * (share * logits.softmax(1).mean(0)).sum())
    assert float(balance_loss(choose_experts(torch.zeros(8, 4), 4))) == pytest.approx(1.0)
    torch.testing.assert_close(z_loss(logits), logits.exp().sum(1).log().square().mean())


def test_expert_choice_fills_every_expert_alike():
    layer = SparseMoE(12, 6, 2, hidden=8, router="expert_choice")
    info = layer(torch.randn(30, 12))[1]
    assert (info.assignment.counts() == 10).all()
    mask = torch.arange(30) < 6
    padded = layer(torch.randn(30, 12), mask=mask)[1].assignment
    assert (padded.token[padded.kept] < 6).all()
    assert (padded.tally(padded.kept.long()) == 2).all()


# Experts


def hashed(ids):
    layer = SparseMoE(8, 4, 2, router="hash", router_options={"vocabulary": 3})
    return layer(torch.randn(len(ids), 8), ids=ids)


def naive(experts, x, assignment):
    """One token at a time."""
    rows = []
    for t in range(len(x)):
        total = torch.zeros(experts.d_model, dtype=x.dtype)
        for i in torch.nonzero(assignment.token == t).ravel():
            e = int(assignment.expert[i])
            h = experts.w1[e] @ x[t] + (0 if experts.b1 is None else experts.b1[e])
            y = experts.w2[e] @ experts.act(h) + (0 if experts.b2 is None else experts.b2[e])
            total = total + assignment.weight[i] * y
        rows.append(total)
    return torch.stack(rows)


def gradients(function, leaves):
    out = function()
    out.square().sum().backward()
    found = [leaf.grad.clone() for leaf in leaves]
    for leaf in leaves:
        leaf.grad = None
    return out.detach(), found


@pytest.mark.parametrize("tokens", [1, 13])
@pytest.mark.parametrize(
    "options", [{}, {"gated": True, "activation": "silu"}, {"bias": False, "activation": "gelu"}]
)
def test_back_ends_agree_with_a_loop_over_tokens(tokens, options):
    E = 5
    experts = MLPExperts(7, 9, E, **options).double()
    x = torch.randn(tokens, 7, dtype=torch.float64, requires_grad=True)
    logits = torch.randn(tokens, E, dtype=torch.float64)
    logits[:, 3] -= 50  # an expert that nobody asks
    logits.requires_grad_()
    leaves = [x, logits, *experts.parameters()]
    for k in range(1, E + 1):
        expected = gradients(lambda k=k: naive(experts, x, choose_experts(logits, k)), leaves)
        for name in ("dense", "sorted"):
            got = gradients(lambda k=k, n=name: experts(x, choose_experts(logits, k), n), leaves)
            torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)


def test_gradients_are_those_of_finite_differences():
    experts = MLPExperts(3, 4, 3, activation="silu").double()
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    logits = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    for name in ("dense", "sorted"):
        assert torch.autograd.gradcheck(lambda a, b, n=name: experts(a, choose_experts(b, 2), n), (x, logits))


def test_grouped_products_agree():
    experts = MLPExperts(16, 24, 4)
    x = torch.randn(33, 16, requires_grad=True)
    if not can_group(experts, x.dtype):
        pytest.skip("this torch has no grouped product")
    logits = torch.randn(33, 4)
    logits[:, 2] = -50
    logits.requires_grad_()
    leaves = [x, logits, *experts.parameters()]
    for k in (1, 2, 4):
        expected = gradients(lambda k=k: experts(x, choose_experts(logits, k), "sorted"), leaves)
        got = gradients(lambda k=k: experts(x, choose_experts(logits, k), "grouped_mm"), leaves)
        torch.testing.assert_close(got, expected, rtol=2e-4, atol=2e-5)
    with pytest.raises(DataError, match="grouped_mm needs"):
        MLPExperts(7, 9, 4)(torch.randn(3, 7), choose_experts(torch.randn(3, 4), 1), "grouped_mm")


def test_all_experts_are_one_dense_network():
    layer = SparseMoE(8, 4, 4, hidden=6)
    x = torch.randn(11, 8)
    out, info = layer(x)
    expected = sum(
        info.logits.softmax(1)[:, e, None]
        * (
            torch.relu(x @ layer.experts.w1[e].T + layer.experts.b1[e]) @ layer.experts.w2[e].T
            + layer.experts.b2[e]
        )
        for e in range(4)
    )
    torch.testing.assert_close(out, expected)
    assert set(COMPUTE) == {"dense", "sorted", "grouped_mm"}
    assert layer.experts.flops(100, 2) == 2 * 100 * 2 * 8 * 12


# The number of experts at work


def test_schedules():
    up = TopKSchedule("linear_increase", 8, 16, 1000)
    assert [up(s) for s in (-5, 0, 500, 1000, 2000)] == [8, 8, 12, 16, 16]
    assert [TopKSchedule("linear_decrease", 8, 16, 10)(s) for s in (0, 5, 10)] == [16, 12, 8]
    assert [TopKSchedule("cosine_increase", 8, 16, 10)(s) for s in (0, 5, 10)] == [8, 12, 16]
    assert [TopKSchedule("exp_increase", 4, 16, 10)(s) for s in (0, 5, 10)] == [4, 8, 16]
    assert [TopKSchedule("multi_step_increase", 1, 16, 5)(s) for s in range(6)] == [1, 2, 4, 8, 16, 16]
    assert TopKSchedule("multi_step_decrease", 1, 16, 5)(0) == 16
    assert TopKSchedule("constant", 2, 2, 1)(0) == 2
    assert TopKSchedule("exp_increase", 2, 2, 3)(2) == 2
    for wrong in (("sideways", 1, 2, 3), ("constant", 0, 2, 3), ("constant", 3, 2, 3), ("constant", 1, 2, 0)):
        with pytest.raises(DataError):
            TopKSchedule(*wrong)


def test_top_k_of_a_whole_model():
    model = nn.ModuleList([SparseMoE(8, 4, 2), SparseMoE(8, 6, 3)])
    with set_top_k(model, 1):
        assert [layer.top_k for layer in model] == [1, 1]
        assert model[0](torch.randn(2, 8))[1].top_k == 1
    assert [layer.top_k for layer in model] == [2, 3]
    with pytest.raises(DataError, match="between 1 and 4"), set_top_k(model, 5):
        pass
    assert [layer.top_k for layer in model] == [2, 3]
    with pytest.raises(DataError, match="no top-k router"), set_top_k(nn.Linear(2, 2), 1):
        pass


# Seeing the routing


def test_statistics_by_hand():
    layer = SparseMoE(6, 4, 2, router="linear", router_options={"logit_std": 1.5})
    batches = [torch.randn(30, 6), torch.randn(50, 6)]
    mask = torch.arange(50) < 40
    with RoutingStats(layer) as stats:
        layer(batches[0])
        layer(batches[1], mask=mask)
    layer(torch.randn(9, 6))  # not watched any more
    row = next(iter(stats.table().rows()))
    x = torch.cat([batches[0], batches[1][:40]])
    logits = layer.router(x).detach().double()
    p = logits.softmax(1)
    assert row["tokens"] == 70
    entropy = -(p * p.log()).sum(1).mean()
    mean = p.mean(0)
    assert row["entropy"] == pytest.approx(float(entropy), rel=1e-6)
    assert row["mutual_information"] == pytest.approx(float(-(mean * mean.log()).sum() - entropy), rel=1e-5)
    kept = logits.topk(2).values.softmax(1)
    assert row["kept_entropy"] == pytest.approx(float(-(kept * kept.log()).sum(1).mean()), rel=1e-5)
    load = torch.bincount(logits.topk(2).indices.ravel(), minlength=4).double() / 140
    assert row["max_violation"] == pytest.approx(float(load.max() * 4 - 1))
    assert row["effective_experts"] == pytest.approx(float((-(load * load.log()).sum()).exp()))
    assert row["logit_std"] == pytest.approx(float(logits.std(correction=0)), rel=1e-5)
    top = logits.topk(2).values
    assert row["margin"] == pytest.approx(float((top[:, 0] - top[:, 1]).mean()), rel=1e-5)
    assert row["dead_share"] == 0

    class Writer(list):
        def add_scalar(self, name, value, step):
            self.append((name, value, step))

    writer = Writer()
    stats.log_to(writer, 7)
    assert ("routing/layer/entropy", row["entropy"], 7) in writer
    stats.reset()
    assert len(stats.table()) == 0
    assert not layer._forward_hooks
    with pytest.raises(DataError, match="no top-k router"):
        RoutingStats(nn.Linear(2, 2))
    with RoutingStats(layer) as stats:
        layer(torch.zeros(0, layer.d_model))
    assert np.isnan(stats.loads()).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("router", ["hyper", "stable", "expert_choice"])
def test_shapes_alone_on_the_meta_device(backend, router):
    """Without numbers, with gradients, and without asking whether they are finite."""
    layer = SparseMoE(8, 4, 2, hidden=16, router=router, backend=backend, check_finite=True).to("meta")
    x = torch.randn(3, 5, 8, device="meta", requires_grad=True)
    out, info = layer(x, mask=torch.ones(3, 5, dtype=torch.bool, device="meta"))
    (out.sum() + sum(info.losses.values())).backward()
    assert out.is_meta
    assert out.shape == x.shape == x.grad.shape


def test_losses_refuse_logits_of_other_tokens():
    chosen = choose_experts(torch.randn(8, 4), 2)
    for logits in (torch.randn(6, 4), torch.randn(8, 3), torch.randn(2, 4, 4)):
        with pytest.raises(DataError, match="logits of the assignment's tokens must be of shape"):
            sequence_balance_loss(logits, chosen, 2)
    with pytest.raises(DataError, match=r"logits must be of shape \(t, n_experts\)"):
        z_loss(torch.randn(2, 4, 4))


def test_collapse_and_stability():
    layer = SparseMoE(6, 3, 2, hidden=5)
    x = torch.randn(40, 6)
    same = expert_similarity(layer, x)
    torch.testing.assert_close(same.diag(), torch.ones(3, dtype=torch.float64))
    with torch.no_grad():
        for p in layer.experts.parameters():
            p[1] = p[0]
    assert float(expert_similarity(layer, x)[0, 1]) == pytest.approx(1.0)
    a, b = choose_experts(torch.eye(4), 1), choose_experts(torch.eye(4)[[0, 1, 3, 2]], 1)
    assert agreement(a, a) == 1.0
    assert agreement(a, b) == 0.5
    with pytest.raises(DataError, match="different numbers"):
        agreement(a, choose_experts(torch.eye(3), 1))
    assert effective_rank(torch.eye(5)) == pytest.approx(5.0)
    assert effective_rank(torch.ones(5, 5)) == pytest.approx(1.0, abs=1e-5)


def test_quality_against_the_number_of_experts():
    layer = SparseMoE(6, 4, 2, hidden=5)
    target = torch.randn(20, 6)

    def loss(model, x):
        return (model(x)[0] - target).square().mean()

    x = torch.randn(20, 6)
    table = quality_vs_k(layer, loss, [x], [1, 4])
    assert layer.training
    assert layer.top_k == 2
    assert table["loss"][1] == pytest.approx(float((layer(x, top_k=4)[0] - target).square().mean().detach()))
    assert table["flops_per_token"] == [layer.experts.flops(1, 1), layer.experts.flops(1, 4)]
    with pytest.raises(DataError, match="no batch"):
        quality_vs_k(layer, loss, [], [1])


def test_a_router_is_a_softmax_gate_and_the_theory_applies():
    from moestro.theory import voronoi_loss

    x = torch.randn(10, 5, dtype=torch.float64)
    for router in (LinearRouter(5, 3).double(), HyperRouter(5, 3, hidden=4).double()):
        measure = gate_measure(router)
        expected = router(x).detach().softmax(1).numpy()
        torch.testing.assert_close(torch.as_tensor(measure.gate_proba(x.numpy())), torch.as_tensor(expected))
        back = linear_router(measure)
        torch.testing.assert_close(back(x), router(x))
        assert voronoi_loss(measure.translate(0.3, 0.1), measure) == pytest.approx(0, abs=1e-6)
        assert voronoi_loss(gate_measure(LinearRouter(5, 3)), measure) > 1e-3
    with pytest.raises(DataError, match="not a linear gate"):
        gate_measure(ROUTERS["cosine"](5, 3))


EVEN = torch.zeros(6, 4)


def lost_router():
    router = LinearRouter(4, 3)
    router.weight.data.fill_(math.nan)
    return router


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: SparseMoE(8, 4, 5), "between 1 and 4 experts, got 5"),
        (lambda: SparseMoE(8, 4, 0), "got 0"),
        (lambda: SparseMoE(8, 4, 2)(torch.randn(3, 8), top_k=9), "got 9"),
        (lambda: SparseMoE(8, 4, 2, check_finite=True)(torch.full((3, 8), math.nan)), "not finite"),
        (lambda: SparseMoE(8, 4, 2)(torch.randn(3, 8).double()), "float64"),
        (lambda: SparseMoE(8, 4, 2)(torch.ones(3, 8, dtype=torch.long)), "int64"),
        (lambda: SparseMoE(8, 4, 2)(torch.randn(3, 8, device="meta")), "on meta"),
        (lambda: SparseMoE(8, 4, 2, router=LinearRouter(8, 4), router_options={"bias": 1}), "cannot change"),
        (lambda: SparseMoE(8, 4, 2, router="expert_choice", score="sigmoid"), "leave score out"),
        (lambda: HyperRouter(8, 4, init="unit_logit", logit_std=0.5), "one of them"),
        (lambda: SparseMoE(8, 4, 2)(torch.randn(2, 8), ids=torch.arange(3)), "ids must have"),
        (lambda: hashed(torch.tensor([0, 3])), "go from 0 to 3"),
        (lambda: hashed(torch.tensor([-1, 0])), "go from -1"),
        (lambda: hashed(torch.tensor([0.0, 1.0])), "int64 or int32"),
        (lambda: SparseMoE(8, 4, 2)(torch.randn(2, 8), mask=torch.ones(2)), "mask must be bool"),
        (lambda: SparseMoE(8, 4, 2)(torch.randn(2, 7)), "shape"),
        (lambda: SparseMoE(8, 4, 2)(torch.randn(2, 8).numpy()), "x must be a tensor, got ndarray"),
        (lambda: SparseMoE(8, 4, 2)(torch.randn(2, 8), mask=[True, True]), "mask must be a tensor, got list"),
        (lambda: SparseMoE(8, 4, 2, capacity=math.inf), "capacity must be positive and finite, got inf"),
        (lambda: SparseMoE(8, 4, 2, capacity="1"), "capacity must be positive and finite"),
        (lambda: SparseMoE(8, 4, 2, balance_rate=math.inf), "balance_rate must be positive and finite"),
        (lambda: LinearRouter(8, 4, logit_std=math.inf), "logit_std must be positive and finite"),
        (lambda: SparseMoE(8, 4, 2, shared=nn.Linear(8, 1))(torch.randn(2, 8)), "shared expert must give"),
        (lambda: TopKSchedule("constant", 1, 2.5, 3), "high must be a whole number"),
        (lambda: SparseMoE(8, 4, 2, router="oracle"), "unknown"),
        (lambda: SparseMoE(8, 4, 2, router_options={"tempo": 1}), "tempo"),
        (lambda: SparseMoE(8, 4, 2, router=HyperRouter(9, 4)), "made for d_model=9"),
        (lambda: SparseMoE(8, 4, 2, expert=MLPExperts(8, 4, 3)), "3 of width 8"),
        (lambda: SparseMoE(8, 4, 2, expert=MLPExperts(8, 4, 4), hidden=3), "new experts"),
        (lambda: SparseMoE(8, 4, 2, score="argmax"), "unknown"),
        (lambda: SparseMoE(8, 4, 2, backend="gpu"), "unknown"),
        (lambda: HyperRouter(8, 4, init="zeros"), "unknown"),
        (lambda: HyperRouter(8, 4, logit_std=0.0), "positive"),
        (lambda: HyperRouter(0, 4), "d_model"),
        (lambda: HyperRouter(8, 4, hidden=0), "at least 1"),
        (lambda: MLPExperts(8, 4, 2, activation="step"), "unknown"),
        (
            lambda: SparseMoE(8, 4, 2, router="hash", router_options={"vocabulary": 3})(torch.randn(2, 8)),
            "token ids",
        ),
        (lambda: SparseMoE(8, 4, 2)(None), "x must be a tensor, got NoneType"),
        (lambda: SparseMoE(8, 4, 2)(torch.randn(3, 8).to_sparse()), r"make it dense by x.to_dense\(\)"),
        (lambda: SparseMoE(8, 4, 2, router=["hyper"]), "unknown"),
        (lambda: SparseMoE(8, 4, 2, shared=3), "shared must be of class Module, got int"),
        (lambda: SparseMoE(8, 4, 2, expert="mlp"), "expert must be of class Module, got str"),
        (lambda: SparseMoE(8, 4, 2, router_options=[1]), "router_options must be of class Mapping"),
        (lambda: SparseMoE(8, 4, 2, expert_options="ab"), "expert_options must be of class Mapping"),
        (lambda: SparseMoE(8, 4, 2, expert_options={"tempo": 1}), "the experts: .*tempo"),
        (lambda: SparseMoE(8, 4, 2, check_finite="no"), "check_finite must be True or False, got 'no'"),
        (lambda: MLPExperts(8, 4, 2, gated="no"), "gated must be True or False"),
        (lambda: MLPExperts(8, 4, 2, bias=None), "bias must be True or False"),
        (lambda: MLPExperts(8, 4, 2, activation=["relu"]), "unknown"),
        (lambda: LinearRouter(8, 4, trainable="no"), "trainable must be True or False"),
        (lambda: LinearRouter(8, 4, bias="yes"), "bias must be True or False"),
        (lambda: HyperRouter(8, 4, train_embedding=0), "train_embedding must be True or False"),
        (lambda: Scoring("sigmoid", normalise="no"), "normalise must be True or False"),
        (lambda: ROUTERS["stable"](8, 4, low_dim=0), "low_dim must be a whole number of at least 1"),
        (lambda: ROUTERS["hash"](8, 4, vocabulary=5, seed="a"), "seed must be a whole number, got 'a'"),
        (lambda: LoadBalancer(0, 0.1), "n_experts must be a whole number of at least 1, got 0"),
        (lambda: step_balance(None), "model must be of class Module"),
        (lambda: RoutingStats(None), "model must be of class Module"),
        (lambda: sum_losses(None, balance=1.0), "model must be of class Module"),
        (lambda: sum_losses(SparseMoE(8, 4, 2), balance="a"), "weight of balance must be a finite number"),
        (lambda: sum_losses(SparseMoE(8, 4, 2), z=math.nan), "weight of z must be a finite number"),
        (lambda: TopKSchedule("constant", 1, 2, 3)("3"), "step must be a number"),
        (lambda: TopKSchedule("linear_increase", 1, 2, 3)(math.nan), "step must be a number"),
        (lambda: choose_experts([[1.0, 2.0]], 1), r"logits must be of shape \(t, n_experts\), got list"),
        (lambda: choose_experts(torch.randn(4), 1), r"logits must be of shape \(t, n_experts\)"),
        (lambda: choose_experts(EVEN, 1, bias=torch.zeros(3)), r"bias must be of shape \(4,\)"),
        (lambda: choose_experts(EVEN, 1, select=EVEN[1:]), r"select must be of shape \(6, 4\)"),
        (lambda: choose_experts(EVEN, 1, mask=torch.ones(6)), r"mask must be bool of shape \(6,\)"),
        (lambda: choose_tokens(EVEN, 1, torch.ones(3).bool()), r"mask must be bool of shape \(6,\)"),
        (lambda: choose_tokens(torch.randn(2, 3, 4), 1), r"logits must be of shape \(t, n_experts\)"),
        (lambda: limit(None, 1.0), "assignment must be of class Assignment, got NoneType"),
        (lambda: balance_loss(EVEN), "assignment must be of class Assignment, got Tensor"),
        (lambda: balance_loss(choose_experts(EVEN, 1), torch.ones(6).long()), "mask must be bool"),
        (lambda: balance_loss(choose_experts(EVEN, 1), over_ranks="no"), "over_ranks must be True or False"),
        (lambda: z_loss(EVEN, torch.ones(3).bool()), r"mask must be bool of shape \(6,\)"),
        (lambda: z_loss([[1.0, 2.0]]), r"logits must be of shape \(t, n_experts\), got list"),
        (lambda: sequence_balance_loss(EVEN, EVEN, 2), "assignment must be of class Assignment"),
        (lambda: agreement(choose_experts(EVEN[:0], 1), choose_experts(EVEN[:0], 1)), "there is no token"),
        (lambda: agreement(choose_experts(EVEN, 1), choose_experts(EVEN[:, :3], 1)), "or of experts"),
        (lambda: LinearRouter(8, 4)(None), r"x must be of shape \(..., 8\), got NoneType"),
        (lambda: LinearRouter(8, 4)(EVEN), r"x must be of shape \(..., 8\), got \(6, 4\)"),
        (lambda: hashed([0, 1]), "ids must be a tensor, got list"),
        (lambda: ROUTERS["hash"](8, 4, vocabulary=3)(torch.randn(2, 8), [0]), "ids must be of class"),
        (lambda: MLPExperts(4, 4, 4)(None, choose_experts(EVEN, 1)), "x must be of shape"),
        (lambda: MLPExperts(4, 4, 4)(EVEN, None), "assignment must be of class Assignment"),
        (lambda: MLPExperts(4, 4, 4)(EVEN[1:], choose_experts(EVEN, 1)), r"must be of shape \(5, 4\)"),
        (lambda: MLPExperts(4, 4, 3)(EVEN, choose_experts(EVEN, 1)), r"must be of shape \(6, 3\)"),
        (lambda: agreement(EVEN, EVEN), "first must be of class Assignment"),
        (lambda: expert_similarity(SparseMoE(8, 4, 2), torch.randn(0, 8)), "at least one token"),
        (lambda: expert_similarity(SparseMoE(8, 4, 2), torch.randn(3, 7)), r"x must be of shape \(t, 8\)"),
        (lambda: expert_similarity(None, torch.randn(3, 8)), "layer must be of class SparseMoE"),
        (lambda: effective_rank(torch.zeros(3, 3)), "finite, and not zero alone"),
        (lambda: effective_rank(torch.full((3, 3), math.nan)), "finite, and not zero alone"),
        (lambda: effective_rank([[1.0, 0.0]]), "weight must be of shape"),
        (lambda: quality_vs_k(SparseMoE(8, 4, 2), len, [1], 2), "ks must be a sequence, got int"),
        (lambda: gate_measure(lost_router()), "not finite"),
        (lambda: linear_router(None), "measure must be of class MixingMeasure"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_clear_error(call, words):
    with pytest.raises(DataError, match=words):
        call()
