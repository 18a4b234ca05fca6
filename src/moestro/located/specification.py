"""Which located model: direction, structures of both covariances, degree, Student or Gaussian; checked before
anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from ..errors import DataError
from ..reading import check_flag, from_numpy
from . import polynomial
from .spread import STRUCTURES, Blocks, Factors, Isotropic, Structure, partition
from .statistics import Shape

DIRECTIONS = ("direct", "inverse")


@dataclass(frozen=True)
class Specification:
    """A located model without its number of experts.

    Attributes
    ----------
    direction : {"direct", "inverse"}
        Experts of y in x located by x; or experts of x in y located by y, inverted exactly.
    covariance : str
        Of an expert: "full", "diagonal", "isotropic", "blocks" or "factors".
    gate_covariance : str
        Of the gate: "full", "diagonal" or "isotropic".
    tied, gate_tied : bool
        One covariance for all components.
    degree : int
        Of the experts' means.
    rank : int
        Latent factors of "factors".
    blocks : tuple of partitions, or None
        One for all components or one each; None learns them.
    student : bool
        Student tails.
    missing : {"error", "marginal"}
        Whether values may be missing: the likelihood is then that of what was seen.
    """

    direction: str = "direct"
    covariance: str = "full"
    gate_covariance: str = "full"
    tied: bool = False
    gate_tied: bool = False
    degree: int = 1
    rank: int = 1
    blocks: Any = None
    student: bool = False
    missing: str = "error"

    def __post_init__(self) -> None:
        for word in fields(self):
            object.__setattr__(self, word.name, from_numpy(getattr(self, word.name)))
        for name in ("tied", "gate_tied", "student"):
            check_flag(name, getattr(self, name))
        self._check_missing()
        if self.direction not in DIRECTIONS:
            raise DataError(f"direction={self.direction!r} is unknown: choose direct or inverse")
        if self.covariance not in STRUCTURES:
            raise DataError(
                f"covariance={self.covariance!r} is unknown: choose one of {', '.join(STRUCTURES)}"
            )
        if self.gate_covariance not in ("full", "diagonal", "isotropic"):
            raise DataError(
                f"gate_covariance={self.gate_covariance!r} is unknown: choose full, diagonal or isotropic"
            )
        _whole("degree", self.degree)
        _whole("rank", self.rank)
        if self.direction == "inverse" and self.degree > 1:
            raise DataError(
                f"experts of degree {self.degree} have no inverse in closed form: use direction='direct'"
            )
        if self.blocks is not None and self.covariance != "blocks":
            raise DataError(f"blocks are given, but covariance={self.covariance!r}: use covariance='blocks'")

    def _check_missing(self) -> None:
        if self.missing not in ("error", "marginal"):
            raise DataError(
                f"missing={self.missing!r} is unknown to a located model: choose error or marginal"
            )
        if self.missing == "error":
            return
        instead = "leave such rows out with missing='drop' (--missing drop)"
        if isinstance(self.degree, int) and self.degree > 1:
            raise DataError(
                f"experts of degree {self.degree} have no marginal law in closed form where a value of x is "
                f"missing: use degree=1, or {instead}"
            )
        if self.student:
            raise DataError(
                "there are no Student tails where values are missing: leave student out, or " + instead
            )
        if self.learns_blocks:
            raise DataError(
                "blocks are learned from complete rows: give blocks, use another covariance, or " + instead
            )

    @property
    def learns_blocks(self) -> bool:
        """Whether the partition is to be found from the data."""
        return self.covariance == "blocks" and self.blocks is None

    @property
    def label(self) -> str:
        """The model in words: "inverse, diagonal, tied, student"."""
        words = [self.covariance if self.covariance != "factors" else f"{self.rank} factors"]
        words = [w for w, said in ((self.direction, self.direction == "inverse"),) if said] + words
        if self.gate_covariance != "full":
            words.append(f"{self.gate_covariance} gate")
        words += [
            w
            for w, said in (("tied", self.tied), ("tied gate", self.gate_tied), ("student", self.student))
            if said
        ]
        return ", ".join(words)

    @property
    def block_counts(self) -> str:
        """Blocks of each component: "3+5"; empty without blocks."""
        if self.blocks is None:
            return ""
        return "+".join(str(len(b)) for b in self._partitions())

    @property
    def nests(self) -> bool:
        """Whether the model of k components contains that of k - 1: not where each component has blocks of
        its own."""
        return self.blocks is None or len(self._partitions()) == 1

    def _partitions(self) -> list[Any]:
        deep = (
            bool(len(self.blocks)) and bool(len(self.blocks[0])) and isinstance(self.blocks[0][0], Sequence)
        )
        return list(self.blocks) if deep else [self.blocks]

    def shape(self, k: int, p: int, D: int, units: tuple[float, ...] = ()) -> Shape:
        """The model of u (p columns) and v (D columns) with k components; `units` is what the p + D columns
        were divided by."""
        noise: Structure
        gate: Structure
        if self.gate_covariance == "isotropic":
            gate = Isotropic(self.gate_tied, units[:p])
        else:
            gate = STRUCTURES[self.gate_covariance](self.gate_tied)
        if self.covariance == "blocks":
            noise = Blocks(self.tied, self._checked_blocks(k, D))
        elif self.covariance == "factors":
            if self.rank >= D:
                raise DataError(
                    f"rank={self.rank} must be smaller than the number of columns that factors explain, {D}"
                )
            noise = Factors(self.tied, self.rank)
        elif self.covariance == "isotropic":
            noise = Isotropic(self.tied, units[p:])
        else:
            noise = STRUCTURES[self.covariance](self.tied)
        return Shape(k, p, gate, noise, self.student)

    def _checked_blocks(self, k: int, D: int) -> tuple[Any, ...]:
        """Partitions from [[0, 1], [2]] for all components, or one such list a component."""
        try:
            given = self._partitions()
            if len(given) not in (1, k):
                raise DataError(
                    f"there are {len(given)} partitions for {k} components: give one, or one each"
                )
            return tuple(partition(b, D) for b in given)
        except (TypeError, ValueError, IndexError) as error:
            if isinstance(error, DataError):
                raise
            raise DataError(f"blocks must be lists of column numbers, got {self.blocks!r}") from error

    def is_joint(self, p: int, D: int) -> bool:
        """Whether the model is a plain Gaussian mixture of (u, v) with full covariances."""
        full = self.covariance == self.gate_covariance == "full" or (D <= 1 and p <= 1)
        return full and not (self.tied or self.gate_tied or self.student) and self.degree == 1

    def n_parameters(self, k: int, p: int, D: int) -> int:
        """Free parameters: weights, gate, means of the experts, covariances, degrees of freedom."""
        shape = self.shape(k, p, D)
        experts = k * D * (1 + polynomial.count(p, self.degree))
        return (
            k
            - 1
            + k * p
            + shape.gate.size(k, p)
            + experts
            + shape.noise.size(k, D)
            + (k if self.student else 0)
        )


def _whole(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise DataError(f"{name} must be a whole number of at least 1, got {value!r}")
