"""What a separated fit is certain of, in the user's names: coefficients, and classes an expert never has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..engine import make_engine
from ..problems import MixtureFit
from ..rows import Rows
from .model import FittedModel

MOST = 6  # names in a sentence
IMPOSSIBLE = 1e-3  # rows of a class that an expert is expected to have, below which it never has it
PART = 16384


def with_names(model: FittedModel, rows: Rows) -> FittedModel:
    """The model, with a status that names the coefficients without a finite estimate."""
    status = model.fit.status
    if not status.entries:
        return model
    labels = [t.label for t in model.estimates().terms]
    at = np.cumsum(model.fit.model.present) - 1
    names = [labels[at[i]] for i in status.entries]
    said = ", ".join(names[:MOST]) + (f" and {len(names) - MOST} more" if len(names) > MOST else "")
    sentence = f"{status.sentence}: {said}"
    for e, lost in enumerate(_never(model.fit, rows) if model.fit.model.family.ordered else ()):
        if e in status.experts and lost.any():
            sentence += f"; expert {e + 1} never has {_classes(lost, model.classes)}"
    return replace(model, fit=replace(model.fit, status=replace(status, sentence=sentence)))


def _never(fit: MixtureFit, rows: Rows) -> np.ndarray:
    """Boolean (k, K): classes of which an expert is expected to have no row of those that it has."""
    model, total = fit.model, 0.0
    for part in rows.parts(PART):
        r = make_engine(model, part, "array").rowwise(fit.theta).responsibilities
        block = next(part.blocks(part.n))
        share = model.family.mean(model.predictors(fit.theta, block.x, block.known))
        units = np.stack([block.sum(share[:, :, c]) for c in range(share.shape[2])], axis=-1)
        total = total + np.einsum("u,uk,ukc->kc", block.w, r, units)
    return np.asarray(total) < IMPOSSIBLE


def _classes(lost: np.ndarray, classes: Sequence[object]) -> str:
    names = [str(v) for v, gone in zip(classes, lost, strict=True) if gone]
    return f"the class {names[0]}" if len(names) == 1 else f"the classes {', '.join(names)}"
