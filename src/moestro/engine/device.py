"""Devices of torch by the name of an engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import DataError

if TYPE_CHECKING:
    import torch


def device_of(name: str) -> torch.device:
    """The device that an engine's name speaks of, "torch:cuda:0"; it is here and has float64."""
    try:
        import torch
    except ImportError as error:
        raise DataError("engine='torch' needs an extra: pip install 'moestro[deep]'") from error
    told = name.partition(":")[2] if ":" in name else "cpu"
    try:
        held = torch.zeros(1, dtype=torch.float32, device=told)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise DataError(f"engine={name!r}: torch has no device {told!r} here") from error
    if held.is_meta:
        raise DataError(f"engine={name!r}: torch's device 'meta' holds no numbers")
    try:
        return held.double().device
    except (TypeError, RuntimeError) as error:  # TypeError: Apple's mps
        raise DataError(
            f"engine={name!r}: torch's device {told!r} has no float64: use engine='auto'"
        ) from error
