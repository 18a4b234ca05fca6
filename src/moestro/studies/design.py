"""What a study declares: arms (truth, inputs, sizes, replicates, k fitted, starts) and how one fit is
made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ..errors import DataError
from ..tables import Table
from .claims import Claim

T = TypeVar("T")
PROTOCOLS = ("as_published", "as_defined")
SCALES = ("smoke", "paper", "gpu")  # not every study has the last
MOST_FITS = 10**6  # of a run, whose fits are listed before the first
MOST_ROWS = 10**15  # of a fit, where counts may stand for rows
Row = dict[str, Any]


@dataclass(frozen=True)
class Arm:
    """One line of a study's figure.

    Attributes
    ----------
    name : str
    k : int
        Atoms fitted.
    sizes : tuple of int
        Sample sizes, increasing.
    replicates : int
        Fits a size.
    truth : dict
        What the data are drawn from, as the study reads it.
    options : dict
        The rest: inputs, starts, losses. Only keys that the study declares.
    """

    name: str
    k: int
    sizes: tuple[int, ...]
    replicates: int
    truth: dict[str, Any] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: Any) -> Arm:
        """Inverse of `asdict`; an unknown or missing entry is refused."""
        known = {f.name for f in fields(cls)}
        if not isinstance(data, dict) or set(data) - known:
            extra = ", ".join(sorted(set(data) - known)) if isinstance(data, dict) else repr(data)
            raise DataError(f"an arm has no entry {extra}: the known ones are {', '.join(sorted(known))}")
        try:
            return cls(**{**data, "sizes": tuple(data["sizes"])})
        except (KeyError, TypeError) as error:
            raise DataError(f"the arm is incomplete: {error}") from error


@dataclass(frozen=True)
class Published:
    """A published line: constant * n^exponent, where it was read, and what our number is compared with."""

    exponent: float
    constant: float | None = None
    tolerance: float | None = None
    source: str = ""


@dataclass(frozen=True)
class Study:
    """A study.

    Attributes
    ----------
    name, title, paper : str
    arms : callable (protocol, scale) -> list of Arm
    fit : callable (arm, protocol, n, rng) -> Row
        One fit: numbers and words for one row of the results.
    check : callable (arm) -> None
        Refuses an arm whose truth or options make no sense.
    protocols, scales : tuple of str
    lines : dict of str to str
        Columns with a line in the report (slope against log n), and what theory says of each.
    choices : tuple of str
        Columns that hold a chosen number of experts: the report counts them.
    published : dict of (arm name, column) to Published
    differences : str
        How the two protocols differ, in plain words, for the report.
    horizontal : str
        What the abscissa is: "n", "k" for approximation errors, "steps" of a training.
    columns : tuple of str
        Columns whose means the report tells arm by arm.
    claims : tuple of Claim
        Answered from paired differences.
    curve : tuple of (float, str)
        Columns that are points of one curve an arm, with their abscissae: the figure of a study without
        lines.
    curve_arms : tuple of str
        Arms that the figure shows, by what follows the colon in their names; all where empty.
    lead : callable (rows) -> str, or None
        What the page begins with, before the figure.
    on_corpus : callable (arms, path) -> list of Arm, or None
        The same arms on a file of one's own.
    table : callable (rows, arm names) -> Table, or None
        A table of the study's own, in the report.
    note : callable (rows, protocol) -> str, or None
        What is to be known before the tables, for the report of a run at paper scale; may be empty.
    paired : bool
        The same random numbers for every arm of a replicate.
    needs : tuple of (module, extra)
        Optional packages without which no fit runs.
    """

    name: str
    title: str
    paper: str
    arms: Callable[[str, str], list[Arm]]
    fit: Callable[[Arm, str, int, np.random.Generator], Row]
    check: Callable[[Arm], None]
    lines: dict[str, str]
    protocols: tuple[str, ...] = PROTOCOLS
    scales: tuple[str, ...] = SCALES[:2]
    choices: tuple[str, ...] = ()
    published: dict[tuple[str, str], Published] = field(default_factory=dict)
    differences: str = ""
    horizontal: str = "n"
    columns: tuple[str, ...] = ()
    claims: tuple[Claim, ...] = ()
    curve: tuple[tuple[float, str], ...] = ()
    curve_arms: tuple[str, ...] = ()
    curve_labels: tuple[str, str] = ("", "")
    lead: Callable[[list[Row]], str] | None = None
    on_corpus: Callable[[list[Arm], Path], list[Arm]] | None = None
    table: Callable[[list[Row], list[str]], Table] | None = None
    note: Callable[[list[Row], str], str] | None = None
    paired: bool = False
    needs: tuple[tuple[str, str], ...] = ()

    def plan(
        self,
        protocol: str,
        scale: str,
        *,
        only: str | None = None,
        sizes: tuple[int, ...] | None = None,
        replicates: int | None = None,
        arms: list[Arm] | None = None,
        seed: int = 0,
        corpus: Path | None = None,
    ) -> Plan:
        """The arms to run, checked. `only` keeps arms whose name contains it; `corpus` is a file to learn
        from."""
        if protocol not in self.protocols:
            raise DataError(
                f"{self.name} has no protocol {protocol!r}: choose one of {', '.join(self.protocols)}"
            )
        if scale not in self.scales:
            raise DataError(f"{self.name} has no scale {scale!r}: choose one of {', '.join(self.scales)}")
        given = self.arms(protocol, scale) if arms is None else arms
        if corpus is not None:
            if self.on_corpus is None:
                raise DataError(f"{self.name} learns from no corpus: leave it out")
            given = self.on_corpus(given, corpus)
        chosen = [a for a in given if not only or only in a.name]
        if not chosen:
            raise DataError(f"{self.name} has no arm with {only!r} in its name")
        if sizes is not None:
            chosen = [replace(a, sizes=sizes) for a in chosen]
        if replicates is not None:
            chosen = [replace(a, replicates=replicates) for a in chosen]
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise DataError(f"the seed must be a whole number of at least 0, got {seed!r}")
        for arm in chosen:
            check_arm(arm)
            self.check(arm)
        if len({a.name for a in chosen}) < len(chosen):
            raise DataError("two arms have the same name")
        fits = sum(len(arm.sizes) * arm.replicates for arm in chosen)
        if fits > MOST_FITS:
            raise DataError(
                f"these are {fits:.3g} fits, and a run has at most {MOST_FITS}: use fewer replicates"
            )
        return Plan(self.name, protocol, scale, seed, tuple(chosen))


@dataclass(frozen=True)
class Plan:
    """Everything that decides the numbers of a run, and its fingerprint."""

    study: str
    protocol: str
    scale: str
    seed: int
    arms: tuple[Arm, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain lists, numbers and strings."""
        from .. import __version__

        return {**json.loads(json.dumps(asdict(self))), "version": __version__}

    @property
    def digest(self) -> str:
        """Fingerprint of the design and the version."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def cells(self) -> list[tuple[int, int, int]]:
        """(arm, size, replicate) of every fit."""
        return [
            (i, n, r) for i, arm in enumerate(self.arms) for n in arm.sizes for r in range(arm.replicates)
        ]

    def rng(self, arm: Arm, n: int, replicate: int, paired: bool = False) -> np.random.Generator:
        """The random numbers of one fit: they depend on nothing else; paired, not on the arm."""
        key = "" if paired else arm.name
        name = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "little")
        return np.random.default_rng([self.seed, name, n, replicate])


def check_arm(arm: Arm) -> None:
    """Refuse an arm that no study could run."""

    def whole(v: Any) -> bool:
        return isinstance(v, int) and not isinstance(v, bool) and v >= 1

    if not isinstance(arm.name, str) or not isinstance(arm.truth, dict) or not isinstance(arm.options, dict):
        raise DataError("an arm's name is a text, and its truth and options are tables")
    if not arm.name or not whole(arm.k):
        raise DataError(f"arm {arm.name!r}: k must be a whole number of at least 1, got {arm.k!r}")
    sizes = all(whole(n) and n <= MOST_ROWS for n in arm.sizes)
    if not arm.sizes or not sizes or list(arm.sizes) != sorted(set(arm.sizes)):
        raise DataError(f"arm {arm.name!r}: sizes must be increasing whole numbers, at most {MOST_ROWS:g}")
    if not whole(arm.replicates):
        raise DataError(
            f"arm {arm.name!r}: replicates must be a whole number of at least 1, got {arm.replicates!r}"
        )


def check_options(arm: Arm, known: set[str]) -> None:
    """Refuse options that the study does not read."""
    extra = sorted(set(arm.options) - known)
    if extra:
        raise DataError(
            f"arm {arm.name!r}: unknown parameter {', '.join(extra)}; "
            f"the known ones are {', '.join(sorted(known))}"
        )


def read_truth(arm: Arm, build: Callable[..., T], **given: Any) -> T:
    """The measure that an arm states as plain data; one line says what is wrong with it."""
    try:
        return build(**arm.truth, **given)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise DataError(f"arm {arm.name!r}: the truth is not a mixing measure: {error}") from error


def check_atoms(arm: Arm, atoms: int) -> None:
    """Refuse a fit with fewer atoms than the truth."""
    if arm.k < atoms:
        raise DataError(f"arm {arm.name!r}: k={arm.k} is below the {atoms} atoms of the truth")


def log_sizes(first: int, last: int, count: int) -> tuple[int, ...]:
    """Whole numbers evenly spaced on the log scale."""
    return tuple(dict.fromkeys(round(float(v)) for v in np.geomspace(first, last, count)))
