"""What holds of a Gaussian number that is not always seen, whatever is seen of it."""

from __future__ import annotations

import numpy as np

from .gaussian import Gaussian, OnTheLine

NORMAL = Gaussian()


class Latent(OnTheLine):
    """Parameters, bounds and beginnings are those of the number itself."""

    nuisances = 1
    nuisance_names = ("log(variance)",)
    nuisance_units = (2.0,)
    boundaries = (("", ""),)

    def marginal(self, y: np.ndarray, w: np.ndarray, offset: np.ndarray | float = 0.0) -> np.ndarray:
        return NORMAL.marginal(y, w, offset)

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return NORMAL.bounds()
