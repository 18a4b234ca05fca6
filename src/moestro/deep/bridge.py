"""Between routers and mixing measures: a linear router is a softmax gate, and how far it moves in training is
a Voronoi loss.

HyperRouter is the same gate with its coefficients in the image of a fixed ReLU map.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ..errors import DataError
from ..measure import MixingMeasure
from ..tables import Table
from .routers import HyperRouter, LinearRouter, Router
from .routers.base import check_kind, check_list


def gate_measure(router: Router) -> MixingMeasure:
    """The softmax gate of a linear router or of a HyperRouter as a mixing measure.

    beta_0 are its biases, beta_1 its rows. The experts are alike (zero), so that losses between two such
    measures compare gates alone.
    """
    W, b = _weights(router)
    k, d = W.shape
    return MixingMeasure(
        log_weights=b,
        gate_slopes=W,
        intercepts=np.zeros((k, 1)),
        slopes=np.zeros((k, 1, d)),
        nuisances=np.zeros((k, 1)),
        family="gaussian",
    )


def linear_router(measure: MixingMeasure) -> LinearRouter:
    """A linear router with the gate of a mixing measure, in float64."""
    check_kind("measure", measure, MixingMeasure)
    if measure.gate != "softmax":
        raise DataError(f"a linear router is a softmax gate, not a {measure.gate} gate")
    router = LinearRouter(measure.gate_slopes.shape[1], measure.k).double()
    with torch.no_grad():
        router.weight.copy_(torch.as_tensor(np.array(measure.gate_slopes)))
        assert router.bias is not None
        router.bias.copy_(torch.as_tensor(np.array(measure.log_weights)))
    return router


def router_drift(routers: Sequence[Router], names: Sequence[object] | None = None) -> Table:
    """How far a router moved between checkpoints: a row a checkpoint after the first.

    A softmax gate is known up to a translation of all its rows W_e, so that they are centred, and its weights
    are pi = softmax(b). With the cells A_j of the new rows that lie nearest to the old row V_j, of weight
    rho_j,

        D = sum_j sum_{i in A_j} pi_i |W_i - V_j| + sum_j |sum_{i in A_j} pi_i - rho_j|,

    the loss "softmax-D1" of `moestro.theory` on `gate_measure` of both. All its powers are 1, so that no
    exponent of a large cell is asked for: it takes 16 experts, or 256, collapsed or not.

    Parameters
    ----------
    routers : sequence of Router
        Linear routers or HyperRouters of one shape, in the order of training.
    names : sequence, optional
        Of the checkpoints; their numbers by default.

    Returns
    -------
    Table
        checkpoint; `loss` D from the checkpoint before; `from_first` D from the first; `moved` the share of
        experts that lie nearest to another expert's place in the checkpoint before; `largest_cell` the most
        experts that lie nearest to one old place.

    Examples
    --------
    >>> import copy
    >>> import torch
    >>> from moestro.deep import LinearRouter, router_drift
    >>> before = LinearRouter(8, 16)
    >>> after = copy.deepcopy(before)
    >>> with torch.no_grad():
    ...     _ = after.weight.add_(1.0)  # every row alike: the same gate
    >>> round(router_drift([before, after])["loss"][0], 6)
    0.0
    """
    gates = [_centred(router) for router in check_list("routers", routers)]
    if len(gates) < 2 or any(W.shape != gates[0][0].shape for W, _ in gates):
        raise DataError("drift needs at least two routers of one shape")
    labels = list(range(len(gates))) if names is None else check_list("names", names)
    if len(labels) != len(gates):
        raise DataError(f"{len(labels)} names for {len(gates)} routers")
    columns: dict[str, list[object]] = {
        name: [] for name in ("checkpoint", "loss", "from_first", "moved", "largest_cell")
    }
    for i in range(1, len(gates)):
        loss, nearest = _loss(gates[i], gates[i - 1])
        values = (
            labels[i],
            loss,
            _loss(gates[i], gates[0])[0],
            float((nearest != np.arange(len(nearest))).mean()),
            int(np.bincount(nearest).max()),
        )
        for name, value in zip(columns, values, strict=True):
            columns[name].append(value)
    return Table(columns)


def _centred(router: Router) -> tuple[np.ndarray, np.ndarray]:
    """Rows without their mean, and the weights softmax(b)."""
    W, b = _weights(router)
    pi = np.exp(b - b.max())
    return W - W.mean(axis=0), pi / pi.sum()


def _loss(new: tuple[np.ndarray, np.ndarray], old: tuple[np.ndarray, np.ndarray]) -> tuple[float, np.ndarray]:
    """D, and the old row that is nearest to each new one: its own, where others are as near. Equal old rows
    are one atom, of the sum of their weights."""
    (W, pi), (V, rho) = new, old
    _, first, atom = np.unique(V, axis=0, return_index=True, return_inverse=True)
    atom = atom.reshape(len(V))
    distance = np.linalg.norm(W[:, None] - V, axis=2)
    own, nearest = np.diag(distance), distance.argmin(axis=1)
    nearest = np.where(own <= distance.min(axis=1), np.arange(len(W)), nearest)
    cells = np.bincount(atom[nearest], weights=pi, minlength=len(first))
    atoms = np.bincount(atom, weights=rho, minlength=len(first))
    return float((pi * distance.min(axis=1)).sum() + np.abs(cells - atoms).sum()), nearest


@torch.no_grad()
def _weights(router: Router) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(router, HyperRouter):
        W, b = router.weights()
    elif isinstance(router, LinearRouter):
        W, b = router.weight, router.bias
    else:
        raise DataError(
            f"{type(router).__name__} is not a linear gate: "
            "only linear routers and HyperRouter have a mixing measure"
        )
    bias = torch.zeros(len(W)) if b is None else b
    both = W.detach().double().cpu().numpy(), bias.detach().double().cpu().numpy()
    if not all(np.isfinite(part).all() for part in both):
        raise DataError(f"the weights of a {type(router).__name__} are not finite numbers")
    return both
