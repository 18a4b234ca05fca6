"""Between routers and mixing measures: a linear router is a softmax gate, and the theory's losses apply to
it.

HyperRouter is the same gate with its coefficients in the image of a fixed ReLU map.
"""

from __future__ import annotations

import numpy as np
import torch

from ..errors import DataError
from ..measure import MixingMeasure
from .routers import HyperRouter, LinearRouter, Router


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
    if measure.gate != "softmax":
        raise DataError(f"a linear router is a softmax gate, not a {measure.gate} gate")
    router = LinearRouter(measure.gate_slopes.shape[1], measure.k).double()
    with torch.no_grad():
        router.weight.copy_(torch.as_tensor(np.array(measure.gate_slopes)))
        assert router.bias is not None
        router.bias.copy_(torch.as_tensor(np.array(measure.log_weights)))
    return router


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
    return W.detach().double().cpu().numpy(), bias.detach().double().cpu().numpy()
