"""Inputs changed in their last bit, as another compiler or a file written elsewhere would:
MOESTRO_TEST_DISTURB=1, 2, ...

Whatever a test draws at random, and the data sets that it loads, come with every number that is not whole
moved to a neighbouring double, up or down by a hash of its bits, so that equal numbers stay equal. The
library's own draws are as they are. A test that fails then rests on a coincidence of rounding: its cause is
mended, not its tolerance.
"""

import os
import sys
from pathlib import Path

import numpy as np

SEED = int(os.environ.get("MOESTRO_TEST_DISTURB", "0"))
TESTS = str(Path(__file__).parent)
DRAWS = (
    "standard_normal",
    "normal",
    "uniform",
    "random",
    "dirichlet",
    "logistic",
    "gumbel",
    "gamma",
    "standard_t",
)


def disturbed(a):
    """`a` with its fractions moved by one unit in the last place; anything but floats as it is."""
    if not isinstance(a, (np.ndarray, float)) or np.asarray(a).dtype != np.float64:
        return a
    values = np.atleast_1d(a)
    bits = np.ascontiguousarray(values).view(np.uint64) * np.uint64(2 * SEED + 0x9E3779B97F4A7C15)
    up = (bits >> np.uint64(63)).astype(bool)
    moved = np.where(up, np.nextafter(values, np.inf), np.nextafter(values, -np.inf))
    moved = np.where(np.isfinite(values) & (values != np.round(values)), moved, values)
    return moved.reshape(a.shape) if isinstance(a, np.ndarray) else float(moved[0])


class Disturbed(np.random.Generator):
    """A generator whose fractions are moved."""


def install():
    """Disturb the generators that tests make and the data sets that they load."""
    if not SEED:
        return
    import moestro

    default_rng, load_dataset = np.random.default_rng, moestro.load_dataset

    def generator(seed=None):
        rng = default_rng(seed)
        return Disturbed(rng.bit_generator) if sys._getframe(1).f_code.co_filename.startswith(TESTS) else rng

    def dataset(name):
        table = load_dataset(name)
        return type(table)({column: disturbed(cells) for column, cells in table.columns.items()})

    np.random.default_rng, moestro.load_dataset = generator, dataset


def _moving(name):
    draw = getattr(np.random.Generator, name)
    return lambda self, *args, **kwargs: disturbed(draw(self, *args, **kwargs))


for _name in DRAWS:
    setattr(Disturbed, _name, _moving(_name))
