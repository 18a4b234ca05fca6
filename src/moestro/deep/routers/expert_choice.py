"""Expert choice (arXiv 2202.09368): each expert takes the tokens it likes most."""

from __future__ import annotations

from .linear import LinearRouter


class ExpertChoiceRouter(LinearRouter):
    """A linear router whose experts choose: each takes (tokens * top_k / n_experts) of them, by its softmax
    weight.

    A token's experts then depend on the other tokens of the batch: not for causal generation.
    """

    chooses_tokens = True
