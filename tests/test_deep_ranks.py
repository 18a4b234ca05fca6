"""Sparse layers on two ranks that have different numbers of tokens: gradients, losses and biases are those of
one batch of all tokens."""

import copy
import sys

import pytest

torch = pytest.importorskip("torch")
import torch.distributed as dist  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

from moestro import DataError  # noqa: E402
from moestro.deep import (  # noqa: E402
    Scoring,
    SparseMoE,
    balance_loss,
    choose_experts,
    sequence_balance_loss,
    step_balance,
    z_loss,
)

SHARES = {"uneven": (18, 6), "one without tokens": (24, 0), "padding": (16, 8)}
RANKS = 2


def layer_of():
    torch.manual_seed(3)
    return SparseMoE(
        8, 4, 2, router="linear", hidden=8, score=Scoring("sigmoid", normalise=True), balance_rate=0.01,
        router_options={"init": "unit_logit"},
    )  # fmt: skip


def tokens():
    torch.manual_seed(4)
    return torch.randn(24, 8)


def padded(x, kept, rows=18):
    """As a batch of fixed size, what is no token marked."""
    out = torch.full((rows, 8), torch.nan)
    out[:kept] = x
    return out, torch.arange(rows) < kept


def losses(info, over_ranks):
    return {
        "balance": balance_loss(info.assignment, info.mask, over_ranks=over_ranks),
        "mixtral": balance_loss(info.assignment, info.mask, per="token", over_ranks=over_ranks),
        "z": z_loss(info.logits, info.mask, over_ranks=over_ranks),
    }


def step(model, x, mask, size, over_ranks):
    """Gradients of a mean over tokens and of the losses, the losses, and the biases after it."""
    out, info = model(x, mask=mask)
    values = losses(info, over_ranks)
    (out.square().sum() / size + sum(values.values())).backward()
    step_balance(model)
    grads = {n.removeprefix("module."): p.grad for n, p in model.named_parameters()}
    bias = next(b for n, b in model.named_buffers() if n.endswith("balancer.bias"))
    return grads, torch.stack(list(values.values())).detach(), bias


def rank(me, path):
    """One of two processes: a step of DDP with its share of the tokens, for every way of sharing."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{path}/store", rank=me, world_size=RANKS)
    found = {}
    for name, shares in SHARES.items():
        first = sum(shares[:me])
        x, mask = tokens()[first : first + shares[me]], None
        if name == "padding":
            x, mask = padded(x, shares[me])
        ddp = torch.nn.parallel.DistributedDataParallel(layer_of())
        grads, values, bias = step(ddp, x, mask, 24 / RANKS, over_ranks=True)
        dist.all_reduce(values)
        found[name] = (grads, values / RANKS, bias)
    torch.save(found, f"{path}/{me}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="gloo by a file")
def test_two_ranks_are_one_batch(tmp_path):
    torch.multiprocessing.spawn(rank, (str(tmp_path),), nprocs=RANKS)
    truth = step(layer_of(), tokens(), None, 24, over_ranks=False)
    assert truth[2].abs().max() > 0
    for me in range(RANKS):
        found = torch.load(tmp_path / f"{me}.pt")
        assert set(found) == set(SHARES)
        for own in found.values():
            torch.testing.assert_close(own, truth, rtol=1e-4, atol=1e-6)


class Pretended:
    """A process group of two ranks, the other's sums known: what all_reduce would give."""

    def __init__(self, monkeypatch, others):
        self.others = iter(others)
        monkeypatch.setattr(dist, "is_initialized", lambda: True)
        monkeypatch.setattr(dist, "get_world_size", lambda: RANKS)
        monkeypatch.setattr(dist, "all_reduce", lambda v: v.add_(next(self.others)))


def test_a_loss_over_sequences_of_all_ranks(monkeypatch):
    torch.manual_seed(0)
    logits = torch.randn(30, 4)

    def loss(z, sequences, **more):
        return sequence_balance_loss(z, choose_experts(z, 2, "sigmoid"), sequences, **more)

    whole = loss(logits, 5)
    Pretended(monkeypatch, [torch.tensor(2.0), torch.tensor(3.0)])
    parts = [loss(logits[:18], 3, over_ranks=True), loss(logits[18:], 2, over_ranks=True)]
    torch.testing.assert_close(sum(parts) / RANKS, whole)


def test_losses_over_ranks_need_ranks():
    a = choose_experts(torch.randn(4, 3), 1)
    for call in (
        lambda: balance_loss(a, over_ranks=True),
        lambda: z_loss(torch.randn(4, 3), over_ranks=True),
    ):
        with pytest.raises(DataError, match="process group"):
            call()


def test_biases_go_on_from_a_checkpoint():
    """Stopped and loaded between steps, or not: the same biases."""
    straight, stopped = layer_of(), layer_of()
    x = torch.randn(3, 40, 8)
    for part in x:
        straight(part)
        step_balance(straight)
    stopped(x[0])
    step_balance(stopped)
    state = copy.deepcopy(stopped.state_dict())
    again = layer_of()
    again.load_state_dict(state)
    for part in x[1:]:
        again(part)
        step_balance(again)
    assert torch.equal(again.balancer.bias, straight.balancer.bias)
    assert straight.balancer.bias.abs().max() > 0


def test_biases_are_those_without_activation_checkpoints():
    """A forward pass that is made again for its gradient counts every token twice: the signs are the same."""
    straight, again = layer_of(), layer_of()
    x = torch.randn(3, 40, 8)
    for part in x:
        straight(part)[0].square().sum().backward()
        step_balance(straight)
        out = checkpoint(lambda v: again(v)[0], part, use_reentrant=False)
        out.square().sum().backward()
        assert again.balancer.load.sum() == 2 * 40 * 2
        step_balance(again)
    assert torch.equal(again.balancer.bias, straight.balancer.bias)
    assert torch.equal(again.router.weight.grad, straight.router.weight.grad)
