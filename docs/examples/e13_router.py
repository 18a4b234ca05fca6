"""
Is a router healthy?
====================

A sparse layer in a network sends each token to a few experts. It may send all of them to the same two, which
the loss does not say. Loads, entropies and their mutual information do.
"""

import torch

from moestro.deep import RoutingStats, SparseMoE
from moestro.plots import RoutingDisplay

torch.manual_seed(0)
torch.set_num_threads(1)
centers = torch.randn(8, 32)


def batch(n=256):
    """Tokens of eight kinds, each with a linear map of its own to learn."""
    kind = torch.randint(0, 8, (n,))
    x = centers[kind] + 0.3 * torch.randn(n, 32)
    return x, torch.roll(x, 3, dims=1) * (1.0 + kind[:, None] / 4)


def trained(weight, steps=400):
    """A layer with a linear router after some steps, the balance loss weighted by `weight`."""
    torch.manual_seed(1)
    layer = SparseMoE(32, n_experts=8, top_k=1, router="linear", hidden=16, score="softmax_topk")
    optimiser = torch.optim.Adam(layer.parameters(), 1e-2)
    for _ in range(steps):
        x, y = batch()
        out, info = layer(x)
        loss = (out - y).square().mean() + weight * info.losses["balance"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    x, y = batch(4096)
    return layer, x, float((layer(x)[0] - y).square().mean().detach())


shown = ("dead_share", "effective_experts", "entropy", "entropy_of_mean", "mutual_information")
for weight in (0.0, 0.1, 1.0):
    layer, x, error = trained(weight)
    with RoutingStats(layer) as stats:
        layer(x)
    table = stats.table()
    print(f"balance x {weight}: error {error:.3f}  ", {name: round(table[name][0], 2) for name in shown})

# %%
# Without a balance loss two of eight experts are dead. A tenth of it revives them, at the same error, and
# tokens still decide (mutual information 1.5 of at most log 8 = 2.1). The whole of it keeps the loads even
# and makes the router indifferent: the mutual information is halved, and the error rises.

_ = RoutingDisplay.from_stats(stats)

# %%
# **What to report.** Dead experts, effective experts and both entropies beside the loss, over more than one
# seed.
#
# **What not to believe.** Even loads as such. A router that ignores its tokens has even loads too.
