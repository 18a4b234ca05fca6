"""
Is a router healthy?
====================

A sparse layer in a network sends each token to a few experts. It may send all of them to the same two, which
the loss does not say. Loads, entropies and their mutual information do.
"""

import copy

import torch

from moestro.deep import RoutingStats, SparseMoE, router_drift
from moestro.plots import RoutingDisplay

torch.manual_seed(0)
torch.set_num_threads(1)
centers = torch.randn(8, 32)


def batch(n=256):
    """Tokens of eight kinds, each with a linear map of its own to learn."""
    kind = torch.randint(0, 8, (n,))
    x = centers[kind] + 0.3 * torch.randn(n, 32)
    return x, torch.roll(x, 3, dims=1) * (1.0 + kind[:, None] / 4)


def trained(weight, n_experts=8, steps=400, each=None):
    """A layer with a linear router after some steps, the balance loss weighted by `weight`; `each` sees it
    before every step."""
    torch.manual_seed(1)
    layer = SparseMoE(32, n_experts, top_k=1, router="linear", hidden=16, score="softmax_topk")
    optimiser = torch.optim.Adam(layer.parameters(), 1e-2)
    for step in range(steps):
        if each is not None:
            each(step, layer)
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
# Has the router settled? `router_drift` takes checkpoints of it, and gives the Voronoi loss of its gate
# against the one before, for any number of experts.

kept = {}


def keep(step, layer):
    if step in (0, 50, 100, 200, 300):
        kept[step] = copy.deepcopy(layer.router)


kept[400] = trained(0.1, n_experts=16, each=keep)[0].router
print(router_drift(list(kept.values()), names=list(kept)).to_text(3))

# %%
# Not yet. The first fifty steps move it most, and four of sixteen experts then lie nearest to one old place;
# the steps from 300 to 400 move it half as far as the hundred before, and one expert still comes to lie where
# another lay. A router frozen after a tenth of the steps would have been one that still moved.
#
# **What to report.** Dead experts, effective experts and both entropies beside the loss, over more than one
# seed.
#
# **What not to believe.** Even loads as such. A router that ignores its tokens has even loads too.
