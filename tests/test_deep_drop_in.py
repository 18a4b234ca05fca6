"""Sparse layers in place of dense networks, experts of one's own, conversion both ways, callbacks, drift."""

import copy
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

from moestro import DataError  # noqa: E402
from moestro.deep import (  # noqa: E402
    LinearRouter,
    MLPExperts,
    RoutingStats,
    SparseMoE,
    TopKSchedule,
    choose_experts,
    gate_measure,
    lightning_callback,
    quality_vs_k,
    read_experts,
    router_drift,
    set_top_k,
    step_balance,
    sum_losses,
    trainer_callback,
    upcycle,
    write_experts,
)
from moestro.deep.callbacks import Watcher  # noqa: E402


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


def sequential(d=8, hidden=12, bias=True, act=nn.GELU):
    return nn.Sequential(
        nn.Linear(d, hidden, bias=bias), act(), nn.Dropout(0.5), nn.Linear(hidden, d, bias=bias)
    )


class Gated(nn.Module):
    """What `transformers` calls an MLP."""

    def __init__(self, d=8, hidden=12):
        super().__init__()
        self.gate_proj, self.up_proj = nn.Linear(d, hidden, bias=False), nn.Linear(d, hidden, bias=False)
        self.down_proj, self.act_fn = nn.Linear(hidden, d, bias=False), nn.SiLU()

    def forward(self, x):
        return self.down_proj(self.act_fn(self.gate_proj(x)) * self.up_proj(x))


NETWORKS = {
    "sequential": sequential,
    "no bias": lambda: sequential(bias=False, act=nn.ReLU),
    "gated": Gated,
}


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS)
class TestConversion:
    def test_an_upcycled_layer_begins_as_its_network(self, make):
        mlp = make().double().eval()
        layer = upcycle(mlp, 6, 2, router="linear", returns="output")
        x = torch.randn(3, 7, 8, dtype=torch.float64)
        torch.testing.assert_close(layer(x), mlp(x))
        for k in (1, 6):
            with set_top_k(layer, k):
                torch.testing.assert_close(layer(x), mlp(x))
        assert torch.equal(layer.experts.w1[0], layer.experts.w1[5])
        noisy = upcycle(mlp, 6, 2, noise=0.5)
        added = (noisy.experts.w1 - layer.experts.w1).detach()
        assert float(added.std() / layer.experts.w1.detach().std()) == pytest.approx(0.5, rel=0.15)
        assert (added[0] - added[1]).abs().max() > 0.1

    def test_experts_are_read_and_written_back(self, make):
        networks = nn.ModuleList(make() for _ in range(3)).eval()
        experts = read_experts(networks)
        others = [make() for _ in range(3)]
        write_experts(experts, others)
        x = torch.randn(5, 8)
        for one, other in zip(networks, others, strict=True):
            assert torch.equal(one(x), other.eval()(x))
        again = read_experts(others)
        assert all(torch.equal(a, b) for a, b in zip(experts.parameters(), again.parameters(), strict=True))

    def test_training_leaves_the_source_alone(self, make):
        mlp = make()
        before = copy.deepcopy(mlp.state_dict())
        layer = upcycle(mlp, 4, router="linear")
        layer(torch.randn(9, 8))[0].square().sum().backward()
        torch.optim.SGD(layer.parameters(), lr=1.0).step()
        assert all(torch.equal(v, before[n]) for n, v in mlp.state_dict().items())
        assert mlp.training


def test_what_cannot_be_converted_is_refused():
    class Doubled(Gated):
        def forward(self, x):
            return 2.0 * super().forward(x)

    for call, words in (
        (lambda: upcycle(nn.Linear(8, 8), 4), "no network that is known"),
        (lambda: upcycle(nn.Sequential(nn.Linear(8, 9), nn.Tanh(), nn.Linear(9, 8)), 4), "activation"),
        (lambda: upcycle(nn.Sequential(nn.Linear(8, 9), nn.ReLU(), nn.Linear(9, 7)), 4), "keeps the width"),
        (lambda: upcycle(nn.Sequential(nn.Linear(8, 9, bias=False), nn.ReLU(), nn.Linear(9, 8)), 4), "bias"),
        (lambda: upcycle(Doubled(), 4), "more than its weights say"),
        (lambda: upcycle(Gated(), 4, hidden=3), "leave hidden out"),
        (lambda: upcycle(Gated(), 4, noise=-1.0), "noise"),
        (lambda: read_experts([]), "at least one network"),
        (lambda: read_experts([Gated(), sequential()]), "one shape"),
        (lambda: write_experts(MLPExperts(8, 12, 2), [Gated(), Gated()]), "the target is made for"),
        (lambda: read_experts(nn.Linear(3, 3)), "gate_up_proj"),
        (lambda: upcycle(None, 4), "a network must be of class Module, got NoneType"),
        (lambda: read_experts(3), "source must be a sequence, got int"),
        (lambda: write_experts(MLPExperts(8, 12, 2), None), "target must be a sequence, got NoneType"),
        (lambda: write_experts(None, [Gated()]), "experts must be of class MLPExperts, got NoneType"),
    ):
        with pytest.raises(DataError, match=words):
            call()


@pytest.mark.parametrize("family", ["Mixtral", "Olmoe", "Qwen2Moe"])
def test_experts_of_transformers_are_read_and_written_back(family):
    transformers = pytest.importorskip("transformers")
    module = getattr(transformers.models, family.lower().replace("moe", "_moe").replace("ol_moe", "olmoe"))
    config = getattr(transformers, f"{family}Config")(
        hidden_size=16, intermediate_size=24, moe_intermediate_size=24, num_experts=4, num_local_experts=4,
        num_experts_per_tok=2,
    )  # fmt: skip
    cls = getattr(getattr(module, f"modeling_{module.__name__.split('.')[-1]}"), f"{family}Experts")
    theirs, other = cls(config), cls(config)
    with torch.no_grad():
        for p in (*theirs.parameters(), *other.parameters()):
            p.normal_(std=0.2)
    ours = read_experts(theirs)
    # The same experts in a layer of ours: their module as it is, and converted.
    adapter = Reversed(theirs)
    layers = [
        SparseMoE(16, 4, 2, router=LinearRouter(16, 4, init="unit_logit"), expert=e) for e in (adapter, ours)
    ]
    layers[1].router.load_state_dict(layers[0].router.state_dict())
    x = torch.randn(9, 16)
    torch.testing.assert_close(layers[0](x)[0], layers[1](x)[0])
    write_experts(ours, other)
    assert torch.equal(other.gate_up_proj, theirs.gate_up_proj)
    assert torch.equal(other.down_proj, theirs.down_proj)


class Reversed(nn.Module):
    """transformers' order of the arguments."""

    def __init__(self, experts):
        super().__init__()
        self.experts = experts

    def forward(self, x, weights, indices):
        return self.experts(x, indices, weights)


class Loop(nn.Module):
    """The contract, written plainly: a list of networks."""

    def __init__(self, networks):
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, x, weights, indices):
        every = torch.stack([n(x) for n in self.networks], dim=1)
        chosen = every.gather(1, indices[:, :, None].expand(-1, -1, x.shape[1]))
        return (weights[:, :, None] * chosen).sum(dim=1)


@pytest.mark.parametrize("more", [{}, {"capacity": 0.5}, {"score": "sigmoid", "balance_rate": 0.01}])
def test_experts_of_ones_own_give_what_ours_give(more):
    networks = [nn.Sequential(nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 8)) for _ in range(4)]
    own = SparseMoE(8, 4, 2, router="linear", expert=Loop(networks), **more)
    ours = SparseMoE(8, 4, 2, router="linear", expert=read_experts(networks), **more)
    ours.router.load_state_dict(own.router.state_dict())
    x = torch.randn(2, 10, 8)
    mask = torch.ones(2, 10, dtype=torch.bool)
    mask[1, 6:] = False
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    outs = [layer(v, mask=mask)[0] for layer, v in zip((own, ours), inputs, strict=True)]
    torch.testing.assert_close(outs[0], outs[1])
    for out in outs:
        out.square().sum().backward()
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    torch.testing.assert_close(own.router.weight.grad, ours.router.weight.grad)
    torch.testing.assert_close(own.experts.module.networks[1][0].weight.grad, ours.experts.w1.grad[1])
    again = copy.deepcopy(own)
    again.reset_parameters()
    assert not torch.equal(again.experts.module.networks[0][0].weight, networks[0][0].weight)


def test_experts_of_ones_own_are_called_as_they_are():
    own = SparseMoE(8, 4, 2, router="linear", expert=Loop([nn.Linear(8, 8) for _ in range(4)]))
    table = quality_vs_k(own, lambda m, x: m(x)[0].square().mean(), [torch.randn(6, 8)], [1, 4])
    assert table["flops_per_token"] == [None, None]
    for call, words in (
        (lambda: SparseMoE(8, 4, 2, expert=nn.Identity(), backend="sorted"), "leave"),
        (lambda: SparseMoE(8, 4, 2, expert=nn.Identity(), router="expert_choice"), "expert_choice"),
        (lambda: SparseMoE(8, 4, 2, expert=Wrong())(torch.randn(3, 8)), "must give a tensor of shape"),
    ):
        with pytest.raises(DataError, match=words):
            call()


class Wrong(nn.Module):
    def forward(self, x, weights, indices):
        return x[:, :2]


def test_scattermoe_is_dropped_in():
    scattermoe = pytest.importorskip("scattermoe")
    if not torch.cuda.is_available():
        pytest.skip("scattermoe needs a GPU")
    theirs = scattermoe.mlp.MLP(input_size=16, hidden_size=24, num_experts=4, top_k=2).cuda()
    layer = SparseMoE(16, 4, 2, router="linear", expert=theirs).cuda()
    out, _ = layer(torch.randn(9, 16, device="cuda"))
    assert out.isfinite().all()


# In place of a feed-forward network


def test_the_output_alone_and_losses_in_training_only():
    layer = SparseMoE(8, 4, 2, router="linear", returns="output")
    both = copy.deepcopy(layer)
    both.returns = "both"
    x = torch.randn(2, 5, 8)
    model = nn.Sequential(nn.LayerNorm(8), layer, nn.Linear(8, 3))
    out, info = both(model[0](x))
    assert torch.equal(model[:2](x), out)
    found = sum_losses(model, balance=0.01, z=0.1)
    torch.testing.assert_close(found, 0.01 * info.losses["balance"] + 0.1 * info.losses["z"])
    found.backward()
    assert layer.router.weight.grad.abs().sum() > 0
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):  # not with a graph
        assert again[1].info_ is None
        torch.testing.assert_close(again(x), model(x))
    model.eval()(x)
    assert layer.info_.losses == {}
    assert both.eval()(x)[1].losses == {}
    for weights in ({"balance": 1.0}, {}):
        with pytest.raises(DataError, match="after a call in training"):
            sum_losses(model, **weights)
    model.train()(x)
    with pytest.raises(DataError, match="no layer's last call has a loss distillation"):
        sum_losses(model, distillation=1.0)
    with pytest.raises(DataError, match="both or output"):
        SparseMoE(8, 4, 2, returns="none")


def test_the_output_alone_is_watched_and_compiled():
    layer = SparseMoE(8, 4, 2, router="linear", returns="output")
    x = torch.randn(10, 8)
    with RoutingStats(layer) as stats:
        plain = layer(x)
    assert stats.table()["tokens"] == [10]
    torch._dynamo.reset()
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), plain)
    sum_losses(layer, balance=1.0).backward()
    assert layer.router.weight.grad.abs().sum() > 0


# Callbacks


class Model(nn.Module):
    """Regression with a sparse layer, as the Trainer wants it: a loss first."""

    def __init__(self):
        super().__init__()
        self.layer = SparseMoE(
            8, 4, 2, router="linear", score="sigmoid", balance_rate=0.01, returns="output", hidden=8
        )
        self.seen = []

    def forward(self, x, labels):
        self.seen.append(self.layer.top_k)
        return {"loss": (self.layer(x) - labels).square().mean()}


def pairs(n):
    return [{"x": torch.randn(8), "labels": torch.randn(8)} for _ in range(n)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # these libraries warn about their own
def test_a_callback_of_the_trainer(tmp_path):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    model = Model()
    schedule = TopKSchedule("linear_increase", 1, 3, 6)
    callback = trainer_callback(every=3, schedule=schedule)
    args = transformers.TrainingArguments(
        str(tmp_path), max_steps=6, per_device_train_batch_size=4, gradient_accumulation_steps=2,
        report_to=[], save_strategy="no", use_cpu=True, logging_steps=100, disable_tqdm=True,
    )  # fmt: skip
    trainer = transformers.Trainer(model, args, train_dataset=pairs(48), callbacks=[callback])
    trainer.train()
    assert model.seen == [schedule(step) for step in range(6) for _ in range(2)]
    lines = [line for line in trainer.state.log_history if "routing/layer/entropy" in line]
    assert [line["step"] for line in lines] == [3, 6]
    assert all(0 < line["routing/layer/entropy"] <= np.log(4) for line in lines)
    # Six steps of 0.01, centred: the balance was moved after each step of the optimiser, not at each batch.
    assert 0 < model.layer.balancer.bias.abs().max() <= 0.12
    assert model.layer.balancer.load.sum() == 0
    assert callback.watcher.stats is None
    assert not model.layer._forward_hooks


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # these libraries warn about their own
def test_a_callback_of_lightning():
    lightning = pytest.importorskip("lightning.pytorch")
    model = Model()
    schedule = TopKSchedule("linear_increase", 1, 3, 6)
    logged = []

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = model

        def training_step(self, batch, _):
            return self.model(**batch)["loss"]

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.01)

        def log_dict(self, values, *args, **kwargs):
            logged.append(values)

    trainer = lightning.Trainer(
        max_steps=6, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, accumulate_grad_batches=2,
        callbacks=[lightning_callback(every=3, schedule=schedule)],
    )  # fmt: skip
    trainer.fit(Module(), torch.utils.data.DataLoader(pairs(48), batch_size=4))
    assert model.seen == [schedule(step) for step in range(6) for _ in range(2)]
    assert [bool(values) for values in logged] == [False, False, True] * 2
    assert 0 < logged[-1]["routing/model.layer/entropy"] <= np.log(4)
    assert 0 < model.layer.balancer.bias.abs().max() <= 0.12


def test_callbacks_say_what_they_need(monkeypatch):
    import sys

    for make, name in ((trainer_callback, "transformers"), (lightning_callback, "lightning")):
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setitem(sys.modules, f"{name}.pytorch", None)
        with pytest.raises(DataError, match=f"{make.__name__} is for {name}, which is not installed"):
            make()
    with pytest.raises(DataError, match="schedule must be callable, got int"):
        Watcher(1, 3)
    with pytest.raises(DataError, match="at least 1"):
        Watcher(0, None)


# Drift between checkpoints


def test_drift_is_the_voronoi_loss_of_the_gates():
    before = LinearRouter(6, 16, init="unit_logit").double()
    with torch.no_grad():
        before.bias.normal_()
    after, collapsed = copy.deepcopy(before), copy.deepcopy(before)
    with torch.no_grad():
        after.weight += 0.05 * torch.randn(16, 6).double()
        after.bias += 0.1 * torch.randn(16).double()
        collapsed.weight[:10] = before.weight[0] + 0.01 * torch.randn(10, 6).double()
    table = router_drift([before, after, collapsed], names=["at 100", "at 200", "at 300"])
    assert table["checkpoint"] == ["at 200", "at 300"]
    for i, (new, old) in enumerate(((after, before), (collapsed, after))):
        witness = loss_of(new, old)
        assert table["loss"][i] == pytest.approx(witness, rel=1e-9)
    assert table["from_first"][1] == pytest.approx(loss_of(collapsed, before), rel=1e-9)
    assert table["moved"][0] == 0
    assert table["largest_cell"][0] == 1
    assert table["largest_cell"][1] >= 10
    same = LinearRouter(6, 4).double()
    with torch.no_grad():
        same.weight[1:3] = same.weight[0]
    still = router_drift([same, copy.deepcopy(same)])
    assert (still["loss"], still["moved"], still["largest_cell"]) == ([0.0], [0.0], [1])
    lost = copy.deepcopy(same)
    with torch.no_grad():
        lost.weight[0] = torch.nan
    for routers, words in (
        ([same, lost], "not finite"),
        ([before], "at least two"),
        ([before, LinearRouter(6, 4)], "one shape"),
        (before, "routers must be a sequence, got LinearRouter"),
    ):
        with pytest.raises(DataError, match=words):
            router_drift(routers)
    with pytest.raises(DataError, match="1 names for 2 routers"):
        router_drift([before, after], names=["one"])
    with pytest.raises(DataError, match="names must be a sequence, got str"):
        router_drift([before, after], names="ab")


def loss_of(new, old):
    from moestro.theory import voronoi_loss

    # `unknown` is asked for and not used: all powers of this loss are 1.
    return voronoi_loss(centred(new), centred(old), "softmax-D1", gauge="none", unknown=7)


def centred(router):
    """The gate as a measure of total weight one whose slopes have mean zero."""
    measure = gate_measure(router)
    b = np.array(measure.log_weights)
    total = b.max() + np.log(np.exp(b - b.max()).sum())
    return measure.translate(-total, -np.array(measure.gate_slopes).mean(axis=0))


def test_balance_moves_in_a_layer_with_the_output_alone():
    layer = SparseMoE(
        8, 4, 1, router="linear", score="sigmoid", balance_rate=0.01, returns="output", hidden=8
    )
    layer(torch.randn(50, 8))
    step_balance(layer)
    assert layer.balancer.bias.abs().max() > 0


def test_the_benchmark_of_layers_goes_on_where_it_was_stopped(tmp_path, monkeypatch):
    from click.testing import CliRunner

    from moestro.bench import deep
    from moestro.cli import main

    measured = []

    def contestants(case):
        measured.append(case.name)
        if len(measured) == 3:
            raise KeyboardInterrupt
        return dict.fromkeys(("sorted", "auto", "bare"), lambda: None)

    monkeypatch.setattr(deep, "contestants", contestants)
    monkeypatch.setattr(deep, "LONG", 0.0)
    path = tmp_path / "cases.jsonl"
    how = ["bench", "deep", "--quick", "--only", "t=1 ", "--out", str(path)]
    assert CliRunner().invoke(main, how).exit_code != 0
    assert path.read_text().count("\n") == 2
    path.write_text(path.read_text() + '{"case": "half of a l')
    done = CliRunner().invoke(main, how)
    assert done.exit_code == 0, done.output
    names = [case.name for case in deep.grid(quick=True) if case.tokens == 1]
    assert measured == [*names[:3], *names[2:]]
    rows = [line.split()[:4] for line in done.output.splitlines() if "float" in line.split("=")[0]]
    assert [" ".join(row) for row in rows[:4]] == [
        f"{kind} 1 16 {k}" for kind in ("float32", "bfloat16") for k in (1, 2)
    ]
    assert "at worst, in " in done.output
    assert CliRunner().invoke(main, how).output == done.output
    assert len(measured) == 5
    for wrong, words in (
        (["bench", "deep", "--only", "t=1 ", "--out", str(path)], "was measured with"),
        (["bench", "deep", "--only", "t=2 "], "no case has"),
    ):
        done = CliRunner().invoke(main, wrong)
        assert done.exit_code == 2
        assert words in done.output
    path.write_text("[1]\n")
    assert "holds no measured cases" in CliRunner().invoke(main, how).output


def test_the_benchmark_of_layers_compares_equal_experts():
    """Those of transformers give what ours give, and the grid is the one that is told."""
    from moestro.bench import deep

    assert len(deep.grid(quick=False)) == 2 * 3 * 2 * 3
    assert "dense" not in deep.contestants(deep.Case("float32", 1, 8, 1))
    case = deep.Case("float32", 8, 4, 2)
    runs = deep.contestants(case)
    assert {"dense", "sorted", "grouped_mm", "auto", "bare"} <= set(runs)
    ms = deep.medians({name: run for name, run in runs.items() if name in ("auto", "bare", "sorted")}, 1)
    assert all(value > 0 for value in ms.values())
    assert deep.row_of(case, ms)["auto_vs_best"] >= 1
    pytest.importorskip("transformers")
    for theirs in deep.transformers_experts(case).values():
        with torch.no_grad():
            for p in theirs.parameters():
                p.normal_(std=0.05)
        x, logits = torch.randn(8, deep.WIDTH), torch.randn(8, 4)
        out = deep.of_transformers(theirs, x, logits, 2)
        ours = read_experts(theirs)(x, choose_experts(logits, 2))
        torch.testing.assert_close(out, ours, rtol=1e-4, atol=1e-5)
