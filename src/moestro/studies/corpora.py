"""Texts to learn from: a public-domain one, and a mixture of Markov sources whose entropy is known
exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..datasets import load_text
from ..errors import FileError

BLOCK, EVERY = 4096, 10  # of a text, one block in ten is held out
SHORTEST = 10_000  # bytes of a file to learn from


@dataclass(frozen=True)
class Corpus:
    """Symbols 0 .. size - 1 to train and to validate on.

    Attributes
    ----------
    size : int
    train, held_out : ndarray of int
    labels : ndarray of int or None
        The source of each held-out symbol, where there are sources.
    floor : float or None
        Bits per symbol of the best predictor there is, on the held-out symbols.
    per_word : float or None
        Symbols a word of the held-out text, the space counted: perplexity a word is 2^(bits per_word).
    """

    size: int
    train: np.ndarray
    held_out: np.ndarray
    labels: np.ndarray | None = None
    floor: float | None = None
    per_word: float | None = None


def text_corpus() -> Corpus:
    """The characters of the text that ships; every tenth block of 4096 is held out."""
    codes = np.frombuffer(load_text().encode("ascii"), dtype=np.uint8)
    out = (np.arange(len(codes)) // BLOCK) % EVERY == EVERY - 1
    return _of_bytes(codes, out)


def check_length(path: Path, data: bytes) -> None:
    """Refuse a file that is too short to be learned from."""
    if len(data) < SHORTEST:
        raise FileError(f"{path}: a corpus needs at least {SHORTEST} bytes, this file has {len(data)}")


def file_corpus(path: Path) -> Corpus:
    """The bytes of a file, as enwik8 and text8 are used: the first nine tenths are trained on, the last
    twentieth is held out, and what lies between them, which others validate on, is left alone."""
    data = read_bytes(path)
    check_length(path, data)
    codes = np.frombuffer(data, dtype=np.uint8)
    at = np.arange(len(codes))
    return _of_bytes(codes, at >= len(codes) - len(codes) // 20, at < len(codes) * 9 // 10)


def read_bytes(path: Path) -> bytes:
    """All of a file; one line says why not."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({error.strerror or error})") from error


def _of_bytes(codes: np.ndarray, out: np.ndarray, train: np.ndarray | None = None) -> Corpus:
    symbols, numbers = np.unique(codes, return_inverse=True)
    words = len(codes[out].tobytes().split())
    return Corpus(
        len(symbols),
        numbers[~out if train is None else train],
        numbers[out],
        per_word=out.sum() / max(words, 1),
    )


@dataclass(frozen=True)
class MarkovSources:
    """Sources that take turns; each is a Markov chain, and the one that speaks may change after every symbol.

    Attributes
    ----------
    transitions : ndarray of shape (C, A, A)
        P(next | the one before), for each of C sources over A symbols.
    switch : float
        Probability that the next symbol comes from a source drawn anew (perhaps the same).
    """

    transitions: np.ndarray
    switch: float

    @classmethod
    def draw(
        cls, rng: np.random.Generator, sources: int, symbols: int, concentration: float, switch: float
    ) -> MarkovSources:
        """Transition rows from a symmetric Dirichlet law."""
        rows = rng.dirichlet(np.full(symbols, concentration), size=(sources, symbols))
        return cls(rows, switch)

    def sample(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """n symbols and their sources."""
        C, A = self.transitions.shape[:2]
        cumulative = self.transitions.cumsum(axis=2)
        labels = self._labels(n, C, rng)
        symbols = np.zeros(n, dtype=np.int64)
        symbols[0] = rng.integers(A)
        u = rng.random(n)
        for t in range(1, n):
            row = cumulative[labels[t], symbols[t - 1]]
            symbols[t] = min(int(np.searchsorted(row, u[t], side="right")), A - 1)
        return symbols, labels

    def _labels(self, n: int, C: int, rng: np.random.Generator) -> np.ndarray:
        fresh = rng.random(n) < self.switch
        fresh[0] = True
        drawn = rng.integers(C, size=n)
        return drawn[np.maximum.accumulate(np.where(fresh, np.arange(n), 0))]

    def entropy_rates(self) -> np.ndarray:
        """Bits per symbol of each source alone: sum_a pi(a) H(P(. | a)), pi stationary."""
        A = self.transitions.shape[1]
        P = self.transitions
        pi = np.stack(
            [
                np.linalg.lstsq(np.vstack([p.T - np.eye(A), np.ones(A)]), np.eye(A + 1)[A], rcond=None)[0]
                for p in P
            ]
        )
        return (pi * -(P * np.log2(np.where(P > 0, P, 1.0))).sum(axis=2)).sum(axis=1)

    def bits(self, symbols: np.ndarray) -> float:
        """Mean -log2 p(symbol | all before) of the mixture itself: the forward recursion over sources, from
        the second symbol on.

        No predictor has fewer in expectation, so this is the floor of any model on these symbols.
        """
        C = len(self.transitions)
        belief = np.full(C, 1.0 / C)
        total = 0.0
        for t in range(1, len(symbols)):
            joint = belief * self.transitions[:, symbols[t - 1], symbols[t]]
            p = float(joint.sum())
            total -= math.log2(p)
            belief = (1.0 - self.switch) * joint / p + self.switch / C
        return total / (len(symbols) - 1)

    def corpus(self, n: int, held_out: int, rng: np.random.Generator) -> Corpus:
        """n symbols to train on and other ones held out, in one run."""
        symbols, labels = self.sample(n + held_out, rng)
        rest = symbols[n:]
        return Corpus(self.transitions.shape[1], symbols[:n], rest, labels[n:], self.bits(rest))


def mutual_information_share(a: np.ndarray, b: np.ndarray) -> float:
    """Normalised mutual information of two labellings, 2 I(a; b) / (H(a) + H(b))."""
    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a, b), 1.0)
    p = table / table.sum()

    def entropy(q: np.ndarray) -> float:
        q = q[q > 0]
        return float(-(q * np.log(q)).sum())

    ha, hb = entropy(p.sum(1)), entropy(p.sum(0))
    return 2.0 * (ha + hb - entropy(p.ravel())) / (ha + hb) if ha + hb > 0 else 0.0
