"""Sparse layers in low precision, under autocast, compiled, on no device, without a token: the same numbers,
or an error."""

import copy
import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402
from torch.autograd import forward_ad  # noqa: E402

from moestro import DataError  # noqa: E402
from moestro.deep import (  # noqa: E402
    ROUTERS,
    HyperRouter,
    LinearRouter,
    MLPExperts,
    SparseMoE,
    choose_experts,
)

OPTIONS = {"hyper": {"hidden": 8}, "hash": {"vocabulary": 50}, "stable": {"vocabulary": 50}}
BACKENDS = ("dense", "sorted", "grouped_mm")
KINDS = (torch.float32, torch.bfloat16, torch.float16)


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)
    torch._dynamo.reset()  # what other tests compiled


def layer_of(name, **more):
    return SparseMoE(16, 6, 2, hidden=24, router=name, router_options=OPTIONS.get(name, {}), **more)


@pytest.mark.parametrize("autocast", [False, True], ids=["plain", "autocast"])
@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ROUTERS)
def test_every_router_and_back_end_in_every_precision(name, backend, kind, autocast):
    """Routing is that of float32 to the bit, experts within the rounding of the type."""
    layer = layer_of(name, backend=backend)
    x, ids = torch.randn(21, 16), torch.randint(50, (21,))
    if not autocast:
        layer, x = layer.to(kind), x.to(kind)
    reference = copy.deepcopy(layer).float()
    reference_x = x.detach().float().requires_grad_()
    x.requires_grad_()
    with torch.autocast("cpu", kind, enabled=autocast and kind is not torch.float32):
        torch.manual_seed(1)  # of the random router
        out, info = layer(x, ids=ids)
    torch.manual_seed(1)
    expected, truth = reference(reference_x, ids=ids)
    assert out.dtype == x.dtype
    assert info.logits.dtype == info.assignment.weight.dtype == torch.float32
    assert all(loss.dtype == torch.float32 for loss in info.losses.values())
    assert torch.equal(info.logits, truth.logits)
    assert torch.equal(info.assignment.expert, truth.assignment.expert)
    for loss, value in truth.losses.items():
        torch.testing.assert_close(info.losses[loss], value)
    # A sum of 24 products of rounded numbers, twice, and a mean of two: a few units of the type.
    tolerance = {"rtol": 0.0, "atol": 8 * torch.finfo(kind).eps}
    torch.testing.assert_close(out.float(), expected, **tolerance)
    for pair in ((out, info), (expected, truth)):
        (pair[0].float().square().mean() + sum(pair[1].losses.values())).backward()
    torch.testing.assert_close(x.grad.float(), reference_x.grad, **tolerance)
    for ours, theirs in zip(layer.parameters(), reference.parameters(), strict=True):
        assert (ours.grad is None) == (theirs.grad is None)
        if ours.grad is not None:
            assert ours.grad.dtype == ours.dtype
            torch.testing.assert_close(ours.grad.float(), theirs.grad, rtol=16 * torch.finfo(kind).eps, **{
                "atol": tolerance["atol"]
            })  # fmt: skip


@pytest.mark.parametrize("backend", BACKENDS)
def test_half_precision_trains_under_a_scaler(backend):
    """Scaled losses overflow on purpose at first; the scaler steps back, and no check of ours stops it."""
    layer = layer_of("linear", backend=backend)
    x, target = torch.randn(64, 16), torch.randn(64, 16)
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.5)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    losses = []
    for _ in range(60):
        with torch.autocast("cpu", torch.float16):
            out, _ = layer(x)
            loss = nn.functional.mse_loss(out, target)
        optimiser.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimiser)
        scaler.update()
        losses.append(float(loss.detach()))
    assert scaler.get_scale() < 2.0**40
    assert losses[-1] < 0.9 * losses[0]
    assert all(p.isfinite().all() for p in layer.parameters())


def test_a_router_in_bfloat16_chooses_as_in_float32():
    """The router's weights may be kept in bfloat16; its logits are the float32 products of them."""
    router = LinearRouter(256, 64, init="unit_logit").bfloat16()
    x = torch.randn(500, 256).bfloat16()
    exact = x.double() @ router.weight.double().T + router.bias.double()
    torch.testing.assert_close(router(x).double(), exact, rtol=0, atol=1e-5)
    assert (router(x).topk(2).indices == exact.topk(2).indices).all()


# Double backward, torch.func


@pytest.mark.parametrize("gated", [False, True])
def test_second_derivatives(gated):
    experts = MLPExperts(2, 2, 3, activation="silu", gated=gated).double()
    x = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    logits = torch.randn(3, 3, dtype=torch.float64, requires_grad=True)
    for backend in ("dense", "sorted"):
        assert torch.autograd.gradgradcheck(
            lambda a, b, c, n=backend: (
                torch.func.functional_call(experts, {"w1": c}, (a, choose_experts(b, 2), n))
                if n == "dense"
                else _with(experts, c)(a, choose_experts(b, 2), n)
            ),
            (x, logits, experts.w1.detach().clone().requires_grad_()),
        )


def _with(experts, w1):
    other = copy.copy(experts)
    other._parameters = {**experts._parameters, "w1": w1}
    return other


def test_torch_func():
    layer = layer_of("hyper")
    x = torch.randn(4, 16)
    state = {name: p.detach() for name, p in layer.named_parameters()}

    def loss(weights):
        return torch.func.functional_call(layer, weights, (x,))[0].square().sum()

    found = torch.func.grad(loss)(state)
    layer(x)[0].square().sum().backward()
    for name, parameter in layer.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(found[name], parameter.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # of torch's own rules
def test_derivatives_in_forward_mode_and_per_sample():
    layer, x = layer_of("linear"), torch.randn(4, 16)
    direction = torch.randn_like(x)
    with forward_ad.dual_level():
        forward = forward_ad.unpack_dual(layer(forward_ad.make_dual(x, direction))[0]).tangent
    found = torch.func.jvp(lambda v: layer(v)[0], (x,), (direction,))[1]
    torch.testing.assert_close(forward, found)
    each = torch.func.vmap(lambda v: layer(v[None])[0][0])(x)
    torch.testing.assert_close(each, layer(x)[0])
    with pytest.raises(DataError, match="backend='dense'"):
        torch.func.grad(lambda v: layer_of("linear", backend="sorted")(v)[0].sum())(x)


# No token, padding, k = 1, whole numbers, no device


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ROUTERS)
def test_a_rank_without_tokens_has_zero_losses_and_zero_gradients(name, backend):
    layer = layer_of(name, backend=backend)
    ids = torch.randint(50, (5,))
    for x, mask in ((torch.randn(0, 16), None), (torch.randn(5, 16), torch.zeros(5, dtype=torch.bool))):
        layer.zero_grad()
        out, info = layer(x, mask=mask, ids=ids[: len(x)])
        assert out.shape == x.shape
        assert (out == 0).all()
        assert all(float(v.detach()) == 0 for v in info.losses.values())
        (out.sum() + sum(info.losses.values())).backward()
        for parameter in layer.experts.parameters():
            assert parameter.grad is not None
            assert (parameter.grad == 0).all()
        assert all(p.grad is None or (p.grad == 0).all() for p in layer.router.parameters())


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ROUTERS)
def test_what_stands_in_padding_is_not_looked_at(name, backend):
    if name == "random":
        pytest.skip("draws anew at every call")
    layer = layer_of(name, backend=backend)
    x, ids = torch.randn(10, 16), torch.randint(50, (10,))
    mask = torch.arange(10) < 7
    wild, strange = x.clone(), ids.clone()
    wild[7:], strange[7:] = math.nan, -100
    wild.requires_grad_()
    out, info = layer(wild, mask=mask, ids=strange)
    alone, short = layer(x[:7], ids=ids[:7])
    torch.testing.assert_close(out[:7], alone)
    for loss, value in short.losses.items():
        torch.testing.assert_close(info.losses[loss], value)
    (out.sum() + sum(info.losses.values())).backward()
    assert (wild.grad[7:] == 0).all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in layer.parameters())


def test_one_expert_with_softmax_after_the_top_k_does_not_train_the_router():
    with pytest.warns(RuntimeWarning, match="softmax_topk"):
        layer = SparseMoE(8, 4, 1, router="linear")
    layer(torch.randn(9, 8))[0].square().sum().backward()
    assert (layer.router.weight.grad == 0).all()
    for score in ("softmax_topk", "sigmoid"):  # what the warning says
        layer = SparseMoE(8, 4, 1, router="linear", score=score)
        layer(torch.randn(9, 8))[0].square().sum().backward()
        assert layer.router.weight.grad.abs().sum() > 0
    SparseMoE(8, 4, 1, router="frozen")  # nothing to train, nothing to warn of


def test_whole_numbers_of_numpy():
    layer = SparseMoE(np.int64(8), np.int32(4), np.int64(2), hidden=np.int64(3))
    assert layer(torch.randn(2, 8), top_k=np.int64(3))[1].top_k == 3
    with pytest.raises(DataError, match="whole number"):
        SparseMoE(8.0, 4, 2)
    with pytest.raises(DataError, match="whole number"):
        SparseMoE(8, 4, 2, hidden=2.5)


@pytest.mark.parametrize("name", ROUTERS)
def test_layers_are_made_on_the_meta_device_and_filled_later(name):
    with torch.device("meta"):
        layer = layer_of(name)
    assert all(t.is_meta for t in layer.state_dict().values())
    layer = layer.to_empty(device="cpu")
    torch.manual_seed(3)
    layer.reset_parameters()
    direct = layer_of(name)
    torch.manual_seed(3)
    direct.reset_parameters()
    for key, value in direct.state_dict().items():
        assert torch.equal(layer.state_dict()[key], value)
    assert layer(torch.randn(4, 16), ids=torch.randint(50, (4,)))[0].isfinite().all()


def test_states_load_both_ways_between_hypernetworks_as_buffers_and_as_parameters():
    """Checkpoints of the first releases kept the same names."""
    router = HyperRouter(8, 4, hidden=5)
    assert list(router.state_dict()) == ["w1", "b1", "w2", "b2", "embedding"]
    old = {name: router.state_dict()[name] for name in ("embedding", "w1", "b1", "w2", "b2")}
    other = HyperRouter(8, 4, hidden=5)
    other.load_state_dict(old)
    x = torch.randn(3, 8)
    assert torch.equal(other(x), router(x))


# torch.compile


@pytest.mark.parametrize(
    ("name", "masked"), [("linear", False), *((n, True) for n in ROUTERS if n not in ("random", "frozen"))]
)
def test_layers_compile_without_a_break(name, masked):
    layer = layer_of(name)
    x, ids = torch.randn(21, 16, requires_grad=True), torch.randint(50, (21,))
    mask = torch.arange(21) < 15 if masked else None
    found = []
    for call in (layer, torch.compile(layer, backend="aot_eager", fullgraph=True)):
        layer.zero_grad()
        x.grad = None
        out, info = call(x, ids=ids, mask=mask)
        (out.square().sum() + sum(info.losses.values())).backward()
        found.append([out.detach(), x.grad, *(p.grad for p in layer.parameters() if p.grad is not None)])
    torch.testing.assert_close(found[1], found[0])


@pytest.mark.slow
@pytest.mark.parametrize("autocast", [False, True], ids=["plain", "autocast"])
@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ROUTERS)
def test_layers_compile_in_every_precision(name, backend, kind, autocast):
    if name == "random":
        pytest.skip("draws anew at every call")
    if backend == "grouped_mm" and kind is not torch.bfloat16:
        pytest.skip("refused: see below")
    layer, x, ids = layer_of(name, backend=backend), torch.randn(21, 16), torch.randint(50, (21,))
    if not autocast:
        layer, x = layer.to(kind), x.to(kind)
    x.requires_grad_()
    found = []
    for call in (layer, torch.compile(layer, backend="aot_eager", fullgraph=True)):
        layer.zero_grad()
        x.grad = None
        with torch.autocast("cpu", kind, enabled=autocast and kind is not torch.float32):
            out, info = call(x, ids=ids)
        (out.float().square().mean() + sum(info.losses.values())).backward()
        found.append([out.detach(), x.grad, *(p.grad for p in layer.parameters() if p.grad is not None)])
    tolerance = 8 * torch.finfo(kind).eps
    torch.testing.assert_close(found[1], found[0], rtol=2 * tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16], ids=str)
def test_an_exported_layer_takes_any_number_of_tokens(kind):
    layer = layer_of("hyper", returns="output").eval().to(kind)
    tokens = torch.export.Dim("tokens", min=2)
    graph = torch.export.export(layer, (torch.randn(6, 16).to(kind),), dynamic_shapes=({0: tokens},)).module()
    for n in (2, 9, 3000):  # few pairs an expert, and many
        x = torch.randn(n, 16).to(kind)
        torch.testing.assert_close(graph(x), layer(x), rtol=0, atol=8 * torch.finfo(kind).eps)


def test_a_layer_compiles_under_autocast():
    layer = layer_of("hyper")
    x = torch.randn(21, 16)
    found = []
    for call in (layer, torch.compile(layer, backend="aot_eager", fullgraph=True)):
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            out, info = call(x)
        assert info.logits.dtype == torch.float32
        (out.square().sum() + info.losses["z"]).backward()
        found.append([out.detach(), layer.router.embedding.grad, layer.experts.w1.grad])
    torch.testing.assert_close(found[1], found[0], rtol=2e-2, atol=2e-2)


def test_compiled_layers_compute_the_chosen_experts_alone():
    """The graph holds one product, the router's, and the operator of the chosen experts."""
    called = []

    def look(graph, _inputs):
        called.extend(node.target for node in graph.graph.nodes if node.op == "call_function")
        return graph

    layer = SparseMoE(16, 32, 2, hidden=24, router="linear")
    torch.compile(layer, backend=look, fullgraph=True)(torch.randn(64, 16))
    names = [str(target) for target in called]
    assert sum("chosen_experts" in n for n in names) == 1
    assert sum("linear" in n or "matmul" in n or "mm" in n for n in names) == 1


def test_the_grouped_product_is_refused_where_the_compiler_cannot_take_it():
    layer = layer_of("linear", backend="grouped_mm")
    with pytest.raises((DataError, torch._dynamo.exc.Unsupported), match="grouped_mm needs"):
        torch.compile(layer, backend="aot_eager", fullgraph=True)(torch.randn(8, 16))
    low = layer_of("linear", backend="grouped_mm").bfloat16()
    x = torch.randn(8, 16).bfloat16()
    out = torch.compile(low, backend="aot_eager", fullgraph=True)(x)[0]
    torch.testing.assert_close(out, low(x)[0])


def test_auto_takes_the_grouped_product_for_few_pairs_an_expert():
    single, half = torch.float32, torch.bfloat16
    for tokens, E, k, kind, expected in (
        (1, 4, 1, single, "sorted"),
        (1, 4, 2, single, "grouped_mm"),
        (512, 4, 2, single, "grouped_mm"),
        (513, 4, 2, single, "sorted"),
        (1024, 4, 2, half, "grouped_mm"),  # half the bytes, twice the pairs
        (1025, 4, 2, half, "sorted"),
        (1, 64, 4, single, "sorted"),  # the product walks through the sixty experts without a pair
        (1, 64, 5, single, "grouped_mm"),
    ):
        experts, x = MLPExperts(16, 24, E), torch.randn(tokens, 16).to(kind)
        assert experts._backend(x, x.dtype, choose_experts(torch.randn(tokens, E), k), "auto") == expected
    odd = MLPExperts(7, 24, 4)
    x = torch.randn(9, 7)
    assert odd._backend(x, x.dtype, choose_experts(torch.randn(9, 4), 2), "auto") == "sorted"


# On an accelerator


@pytest.mark.parametrize("backend", ["dense", "grouped_mm"])
@pytest.mark.parametrize("name", ROUTERS)
def test_nothing_is_read_back_from_the_device(name, backend):
    """A tensor of the meta device has no numbers: whatever asks for one raises."""
    more = {} if name == "expert_choice" else {"capacity": 1.0, "balance_rate": 0.01}
    with torch.device("meta"):
        layer = layer_of(name, backend=backend, **more)
        x, ids = torch.randn(3, 7, 16), torch.zeros(3, 7, dtype=torch.int64)
        mask = torch.ones(3, 7, dtype=torch.bool)
    layer, x = layer.bfloat16(), x.bfloat16()
    out, info = layer(x, mask=mask, ids=ids)
    assert out.shape == x.shape
    assert set(info.losses) >= {"balance", "z"}
    (out.sum() + sum(info.losses.values())).backward()
    if layer.balancer is not None:
        layer.balancer.step()


@pytest.mark.parametrize("autocast", [False, True])
def test_the_grouped_product_gets_bfloat16(monkeypatch, autocast):
    """Of that type alone there is a kernel that does not loop over experts."""
    taken = []
    true = nn.functional.grouped_mm

    def product(a, b, **more):
        taken.append((a.dtype, b.dtype))
        return true(a, b, **more)

    monkeypatch.setattr(nn.functional, "grouped_mm", product)
    layer, x = layer_of("linear"), torch.randn(9, 16)
    if not autocast:
        layer, x = layer.bfloat16(), x.bfloat16()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        layer(x)
    assert taken == [(torch.bfloat16, torch.bfloat16)] * 2


@pytest.mark.parametrize("name", ["linear", "hyper", "cosine"])
def test_one_token_is_the_row_of_a_batch(name):
    layer = layer_of(name).eval()
    x = torch.randn(5, 16)
    with torch.no_grad():
        batch = layer(x)[0]
        for i in range(5):
            torch.testing.assert_close(layer(x[i : i + 1])[0], batch[i : i + 1])
