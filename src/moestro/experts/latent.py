"""What holds of a Gaussian number that is not always seen, whatever is seen of it."""

from __future__ import annotations

import numpy as np

from .base import Facts
from .gaussian import Gaussian

NORMAL = Gaussian()


class Latent(Facts):
    """Parameters, bounds and beginnings are those of the number itself."""

    nuisances = 1
    nuisance_names = ("log(variance)",)
    nuisance_units = (2.0,)
    boundaries = (("", ""),)
    scales_response = True

    def marginal(self, y: np.ndarray, w: np.ndarray, offset: np.ndarray | float = 0.0) -> np.ndarray:
        return NORMAL.marginal(y, w, offset)

    def spread(self, y: np.ndarray) -> np.ndarray:
        return y

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return NORMAL.bounds()

    def narrowness(self, nuisances: np.ndarray) -> np.ndarray:
        return NORMAL.narrowness(nuisances)
