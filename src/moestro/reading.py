"""The one reader of JSON: bounded before it is parsed, checked after, and its values read one kind at a time.

A file may come from a stranger, so that nothing in it is believed: what reading takes in time and memory is
bounded by the text alone, and every number is finite when it leaves this module.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from .errors import DataError, FileError

SIZE = 2**25  # bytes of a file; a quarter of it where a character may take four
VALUES = 10**6  # numbers and texts
CONTAINERS = KEYS = 5 * 10**4  # lists and dictionaries, and entries of these: the dearest for their length
DEPTH = 40
WHOLE, DIGITS = 2**64, 20  # seeds and states of generators are below it
TEXT = 2**16  # characters of one name or sentence
SENTENCE = 500  # characters of an error

T = TypeVar("T")


def read_json(path: str | os.PathLike[str], parse: Callable[[Any], T]) -> T:
    """What `parse` makes of the data of a JSON file. Nothing in the file is executed, and whatever it holds
    is answered by what it describes or by a FileError of one line."""
    name = os.fspath(path)
    try:
        with open(name, "rb") as file:
            raw = file.read(SIZE + 1)
    except OSError as error:
        raise FileError(f"{name}: cannot be read ({error.strerror or error})") from error
    except ValueError as error:  # a path with a NUL
        raise FileError(f"{name!r}: cannot be read ({error})") from error
    try:
        return parse(parse_json(raw))
    except DataError as error:
        raise FileError(f"{name}: {_one_line(error)}") from error
    except MemoryError as error:
        raise FileError(f"{name}: there is not enough memory for it") from error
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError) as error:
        what = f"{type(error).__name__}: {_one_line(error)}"
        raise FileError(f"{name}: the file is incomplete or damaged ({what})") from error


def from_numpy(value: Any) -> Any:
    """Scalars of NumPy, in lists and tuples too, as Python and JSON have them, a long double as a double, and
    arrays as lists; anything else as it is."""
    if isinstance(value, np.ndarray | np.generic):
        return (value.astype(float) if value.dtype == np.longdouble else value).tolist()
    return type(value)(map(from_numpy, value)) if type(value) in (list, tuple) else value


def check_flag(name: str, value: object) -> bool:
    """True or False, Python's or NumPy's, as a caller's word: any text would count as true."""
    if isinstance(value, bool):  # all that a compiled layer sees
        return value
    value = from_numpy(value)
    if not isinstance(value, bool):
        raise DataError(f"{name} must be True or False, got {value!r}")
    return value


@contextmanager
def described_by(what: str) -> Iterator[None]:
    """Refuse what damaged data raise, in a sentence about `what`."""
    try:
        yield
    except DataError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise DataError(f"{what} is incomplete or damaged: {error!r}") from error


def parse_json(text: str | bytes, what: str = "") -> Any:
    """The data of JSON text: at most `SIZE` bytes, `VALUES` values in `CONTAINERS` lists and dictionaries, no
    deeper than `DEPTH`, every number finite. `what` begins the sentence that refuses it."""
    try:
        return _parse(text)
    except DataError as error:
        raise DataError(f"{what} {error}".strip()) from error


def check_size(raw: bytes) -> None:
    """Refuse JSON text that is too large to be read."""
    most = SIZE if raw.isascii() else SIZE // 4
    if len(raw) > most:
        raise DataError(f"is larger than {most // 2**20} MB")
    containers = raw.count(b"[") + raw.count(b"{")
    if raw.count(b",") > VALUES or containers > CONTAINERS or raw.count(b":") > KEYS:
        raise DataError(f"holds more than {VALUES} values or {CONTAINERS} lists or keys")


def _parse(text: str | bytes) -> Any:
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    check_size(raw)
    try:
        data = json.loads(raw.decode("utf-8"), parse_constant=_refuse, parse_int=_integer)
    except RecursionError as error:
        raise DataError("is nested too deeply for a model") from error
    except DataError:
        raise
    except ValueError as error:
        raise DataError(f"is not a complete JSON file ({error})") from error
    _check([data])
    return data


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a number")


def _integer(digits: str) -> int:
    if len(digits) > DIGITS:  # reading them takes the square of their number
        raise DataError("holds a whole number of more than 64 bits")
    return int(digits)


def _check(data: Any) -> None:
    """Refuse numbers that no double holds, text that no encoding has, and depth."""
    todo: list[tuple[Any, int]] = [(data, 0)]
    while todo:
        container, depth = todo.pop()
        if depth > DEPTH:
            raise DataError("is nested too deeply for a model")
        for value in container.values() if type(container) is dict else container:
            kind = type(value)
            if kind is float:
                if value - value != 0.0:
                    raise DataError("holds a number that is infinite in double precision")
            elif kind is int:
                if not -WHOLE < value < WHOLE:
                    raise DataError("holds a whole number of more than 64 bits")
            elif kind is str:
                _encodable(value)
            elif kind is dict:
                _encodable("".join(value))
                todo.append((value, depth + 1))
            elif kind is list:
                todo.append((value, depth + 1))


def _encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise DataError("holds text that is no Unicode") from error


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= SENTENCE else f"{text[:SENTENCE]}..."


# Values of one kind. `what` is how an error calls them.


def check_format(data: Any, known: Sequence[str], what: str) -> str:
    """The format that `data` says it has, one of `known` (the newest last): "name/number"."""
    found = data.get("format") if isinstance(data, dict) else None
    if found in known:
        return str(found)
    stem, _, newest = known[-1].rpartition("/")
    if isinstance(found, str):
        name, _, number = found.rpartition("/")
        counts = number.isascii() and number.isdigit() and len(number) < 9
        if name == stem and counts and int(number) > int(newest):
            raise DataError(
                f"the format '{found}' was written by a newer version of moestro: upgrade moestro "
                "(pip install --upgrade moestro)"
            )
    raise DataError(f"not {what}: expected format '{known[-1]}'")


def whole(value: Any, what: str, low: int, high: int) -> int:
    """A whole number from `low` to `high`."""
    if type(value) is not int or not low <= value <= high:
        raise DataError(f"the model file's {what} must be a whole number from {low} to {high}")
    return value


def number(value: Any, what: str, low: float = -np.inf, high: float = np.inf) -> float:
    """A finite number from `low` to `high`."""
    return float(numbers(value, (), what, low, high))


def numbers(
    values: Any, shape: tuple[int, ...], what: str, low: float = -np.inf, high: float = np.inf
) -> np.ndarray:
    """Finite numbers of this shape, each from `low` to `high`."""
    out = np.array(values, dtype=float)
    if out.shape != shape or not np.isfinite(out).all():
        raise DataError(f"the model file's {what} must be finite numbers of shape {shape}")
    if (out < low).any() or (out > high).any():
        raise DataError(f"the model file's {what} must be from {low:g} to {high:g}")
    return out


def flag(value: Any, what: str) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise DataError(f"the model file's {what} must be true or false")
    return value


def flags(values: Any, size: int, what: str) -> np.ndarray:
    """Truth values of shape (size,)."""
    if not isinstance(values, list) or len(values) != size or any(type(v) is not bool for v in values):
        raise DataError(f"the model file's {what} must be {size} times true or false")
    return np.array(values, dtype=bool)


def sentence(value: Any, what: str) -> str:
    """Text."""
    if not isinstance(value, str) or len(value) > TEXT:
        raise DataError(f"the model file's {what} must be text of at most {TEXT} characters")
    return value


def texts(values: Any, what: str) -> tuple[str, ...]:
    """Texts."""
    if not isinstance(values, list):
        raise DataError(f"the model file's {what} must be a list of texts")
    return tuple(sentence(v, what) for v in values)
