"""How sure a search is of its best optimum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ..errors import DataError
from ..reading import number, sentence, whole

MOST = 10**9  # runs of a search


@dataclass(frozen=True)
class Evidence:
    """What the runs of a search say together.

    Attributes
    ----------
    found : int
        Times the best optimum was reached: from random starts, from smaller fits, or by a move from another
        optimum.
    runs : int
        Runs that count: a move that fell back to where it came from does not.
    optima : int
        Distinct optima among them.
    chance_of_better : float
        Estimated probability that a better optimum exists, see `chance`.
    best : float
        Log-likelihood of the best usable optimum, on the rows that were searched.
    best_unusable : float or None
        Highest log-likelihood that was refused: an expert collapsed, or had too few rows for its parameters.
    unusable : str
        Why.
    passes : float
        Passes over all rows that the search took.
    budget : float
        Passes that it was allowed.
    smaller, smaller_size : float and int, or None
        Log-likelihood and parameters of the fit of one expert less, on all rows, where the search had it.
    """

    found: int
    runs: int
    optima: int
    chance_of_better: float
    best: float
    best_unusable: float | None
    unusable: str
    passes: float
    budget: float
    smaller: float | None = None
    smaller_size: int | None = None

    @property
    def exhausted(self) -> bool:
        """Whether the budget ended the search before the evidence did."""
        return self.passes >= self.budget

    @property
    def is_weak(self) -> bool:
        """Whether the best of several runs was found only once."""
        return self.found <= 1 and self.runs > 1

    @property
    def how_often(self) -> str:
        """In words: by no run where the estimate is that of one expert less, written with one more."""
        if self.found == 0:
            return f"found by none of {self.runs} runs"
        return f"found {'once' if self.found == 1 else f'{self.found} times'} in {self.runs} runs"

    def to_dict(self) -> dict[str, Any]:
        """JSON description; an infinite budget is null."""
        return {k: None if v == math.inf else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Evidence:
        """Inverse of `to_dict`."""
        made = cls(**data)
        for name in ("found", "runs", "optima"):
            whole(data[name], name, 0, MOST)
        number(made.chance_of_better, "chance of a better optimum", 0.0, 1.0)
        for name in ("best", "passes"):
            number(data[name], name)
        for name in ("best_unusable", "budget", "smaller"):
            number(0.0 if data.get(name) is None else data[name], name)
        if (made.smaller is None) != (made.smaller_size is None):
            raise DataError("a fit of one expert less has a log-likelihood and a number of parameters")
        if made.smaller_size is not None:
            whole(made.smaller_size, "number of parameters of one expert less", 0, MOST)
        sentence(made.unusable, "reason of a refusal")
        return replace(made, budget=math.inf) if made.budget is None else made

    def __str__(self) -> str:
        if self.runs <= 1 and self.optima <= 1:
            return "one start"
        optima = "1 optimum" if self.optima == 1 else f"{self.optima} optima"
        better = "below 1%" if self.chance_of_better < 0.005 else f"{self.chance_of_better:.0%}"
        text = f"best optimum {self.how_often} ({optima}, chance of a better one {better})"
        if self.exhausted:
            text += f"; its budget of {self.budget:.0f} passes is spent"
        if self.best_unusable is not None and self.best_unusable > self.best:
            text += f"; a higher likelihood ({self.best_unusable:.2f}) was refused: {self.unusable}"
        return text


def chance(counts: Sequence[int], refused: Sequence[int] = ()) -> float:
    """Estimated probability that an optimum better than the best one was not seen.

    `counts` are how often each usable optimum was found, the best one's first; `refused` the same of those
    that are not usable. Chao's bound f1 (f1 - 1) / (2 (f2 + 1)) estimates the optima not seen from those seen
    once and twice, f1 and f2 of all, the refused ones too: a search that meets ever new optima has not seen
    them all, whatever they are. As many of them are usable as of those seen once, u1 of f1, so

        unseen = u1 (f1 - 1) / (2 (f2 + 1)).

    An optimum that was missed is like those seen once: it would be best of u1 + 1 with probability
    1 / (u1 + 1), and h sightings of the best one make a wider basin less likely by 1 / h. One sighting says
    nothing of a wider search: then half is the least that is reported. (Boender and Rinnooy Kan's posterior,
    1987, has the same ingredients, but takes all optima for equally easy to find.)
    """
    found = counts[0] if counts else 0
    if found == 0:
        return 1.0
    everyone = (*counts, *refused)
    usable_once, once, twice = counts.count(1), everyone.count(1), everyone.count(2)
    unseen = usable_once * max(once - 1, 0) / (2.0 * (twice + 1))
    estimate = 1.0 - math.exp(-unseen / ((usable_once + 1) * found))
    return max(estimate, 0.5) if found == 1 and sum(everyone) > 1 else estimate
