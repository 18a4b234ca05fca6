"""Structure-aware damage: one seed is one file that somebody might have written by mistake or on purpose."""

import copy
import json

import numpy as np

NUMBERS = [
    0, -1, 1, 2, 10**9, -(10**9), 2**53, 2**70, 0.5, -0.5, 1e-320, 1e150, -1e150, 1e308, -1e308, 1e-300,
]  # fmt: skip
OTHERS = [
    None, True, False, "", "x", "nan", "1e999", "a" * 70_000, "\x00", "é\u2028", [], [[]], {},
    {"$float": "inf"}, {"$float": "nan"}, {"$call": "os.system"}, {"$tuple": []}, {"$range": [0, 10**9, 1]},
    {"$array": [1.0], "dtype": "O"}, {"$array": ["a"], "dtype": "<U100000000"},
    {"$array": [1], "dtype": "V9"}, {"$pairs": [[{"$tuple": []}, 1]]},
    {"$record": "L1", "fields": {}}, {"$gate": "softmax", "options": {}}, [0.0] * 1000, ["x"] * 1000,
]  # fmt: skip
RAW = ["1e999", "-1e999", "NaN", "Infinity", "9" * 5000, "[" * 5000, '"\\ud800"', "01", "'x'"]


def places(data, path=()):
    """Every place of JSON data: where a value stands."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, key)
        if not (isinstance(value, list) and len(value) > 50):
            yield from places(value, (*path, key))


def holder(data, path):
    for key in path[:-1]:
        data = data[key]
    return data


def mutated(data, seed):
    """JSON text of `data` with one to three places changed."""
    rng = np.random.default_rng(seed)
    out = copy.deepcopy(data)
    text = None
    for _ in range(rng.integers(1, 4)):
        spots = list(places(out))
        if not spots:
            break
        path = spots[rng.integers(len(spots))]
        within, key = holder(out, path), path[-1]
        value = within[key]
        how = rng.integers(9)
        if how == 0:
            del within[key]
        elif how == 1:
            within[key] = NUMBERS[rng.integers(len(NUMBERS))]
        elif how == 2:
            within[key] = copy.deepcopy(OTHERS[rng.integers(len(OTHERS))])
        elif how == 3 and isinstance(value, list):
            within[key] = value + value
        elif how == 4 and isinstance(value, list) and value:
            within[key] = value[:-1]
        elif how == 5 and isinstance(value, int | float) and not isinstance(value, bool):
            within[key] = value * [-1, 1e10, 1e-10, 1e300, 1.001][rng.integers(5)]
        elif how == 6:
            other = spots[rng.integers(len(spots))]
            within[key] = copy.deepcopy(holder(out, other)[other[-1]])
        elif how == 7 and isinstance(value, str) and value:
            at = rng.integers(len(value))
            within[key] = value[:at] + "()[]:*~|'\\ x9"[rng.integers(13)] + value[at + 1 :]
        elif how == 8:
            text = (path, RAW[rng.integers(len(RAW))])
    if text is not None:
        path, raw = text
        try:
            holder(out, path)[path[-1]] = "@@@"
        except (LookupError, TypeError):
            return json.dumps(out)
        return json.dumps(out).replace('"@@@"', raw)
    whole = json.dumps(out)
    return whole[: rng.integers(len(whole))] if rng.random() < 0.03 else whole
