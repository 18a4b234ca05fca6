"""Gates: how the weights of the experts depend on the input. One file a gate."""

from .softmax import SoftmaxGate

GATES = {"softmax": SoftmaxGate}

__all__ = ["GATES", "SoftmaxGate"]
