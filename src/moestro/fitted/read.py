"""A model of either class from the data of its file."""

from __future__ import annotations

from typing import Any

from .located import LocatedModel
from .model import FittedModel


def model_from_dict(data: Any) -> FittedModel | LocatedModel:
    """What `FittedModel.to_dict` or `LocatedModel.to_dict` made."""
    kind = data.get("format") if isinstance(data, dict) else None
    located = isinstance(kind, str) and kind.startswith("moestro.located-model/")
    return (LocatedModel if located else FittedModel).from_dict(data)
