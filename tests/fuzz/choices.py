"""Where a case takes its choices from: a seed, or hypothesis, which makes a failing case smaller."""

from typing import Any

import numpy as np


class Seeded:
    """Choices of a seeded generator."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)

    def whole(self, low: int, high: int) -> int:
        """low, ..., high."""
        return int(self.rng.integers(low, high + 1))

    def pick(self, options: Any) -> Any:
        """One of the options."""
        return options[self.whole(0, len(options) - 1)]

    def often(self, plain: Any, options: Any, one_in: int = 3) -> Any:
        """`plain`, or once in `one_in` times another option."""
        return plain if self.whole(1, one_in) > 1 else self.pick(options)

    def generator(self) -> np.random.Generator:
        """For the numbers of an array."""
        return np.random.default_rng(self.whole(0, 2**31 - 1))


class Drawn(Seeded):
    """Choices that hypothesis draws."""

    def __init__(self, data: Any):
        from hypothesis import strategies as st

        self._draw = lambda low, high: data.draw(st.integers(low, high))

    def whole(self, low: int, high: int) -> int:
        return self._draw(low, high)
