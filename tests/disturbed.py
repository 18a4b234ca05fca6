"""Inputs changed in their last bit, as another compiler or a file written elsewhere would: MOESTRO_TEST_DISTURB=1, 2, ...

Every number that is not whole moves to a neighbouring double, up or down by a hash of its bits, so that equal numbers stay equal. A test that
fails then rests on a coincidence of rounding: its cause is mended, not its tolerance.
"""

import os

import numpy as np

SEED = int(os.environ.get("MOESTRO_TEST_DISTURB", "0"))


def disturbed(a):
    """`a` with its fractions moved by one unit in the last place; anything but floats as it is."""
    if not isinstance(a, np.ndarray) or a.dtype != np.float64:
        return a
    bits = np.ascontiguousarray(a).view(np.uint64) * np.uint64(2 * SEED + 0x9E3779B97F4A7C15)
    up = (bits >> np.uint64(63)).astype(bool).reshape(a.shape)
    moved = np.where(up, np.nextafter(a, np.inf), np.nextafter(a, -np.inf))
    return np.where(np.isfinite(a) & (a != np.round(a)), moved, a)


def install():
    """Disturb what enters the readers of designs and of located models."""
    if not SEED:
        return
    from moestro.design import ArrayDesign, FormulaDesign
    from moestro.located import data

    for design in (ArrayDesign, FormulaDesign):
        design.matrices = _through(design.matrices)
    data.columns_of = _through(data.columns_of)


def _through(function):
    def wrapped(*args, **kwargs):
        return tuple(disturbed(a) for a in function(*args, **kwargs))

    return wrapped
