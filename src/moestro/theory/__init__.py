"""The statistical theory of mixtures of experts as tools: Voronoi cells and losses, exponents,
divergences."""

from .appearing import appearing
from .comparison import parameter_errors, voronoi_loss
from .divergences import Divergence, hellinger, jensen_kl, kl, total_variation
from .exponents import exponent_search, voronoi_exponent
from .extra_atom import Appearing
from .losses import LOSSES
from .modulus import Modulus, modulus
from .rates import RATES, Rate, rates
from .transforms import TransformCheck, check_gate_transform
from .transport import wasserstein
from .voronoi import check_top_k, top_k_bound, voronoi_cells

__all__ = [
    "LOSSES",
    "RATES",
    "Appearing",
    "Divergence",
    "Modulus",
    "Rate",
    "TransformCheck",
    "appearing",
    "check_gate_transform",
    "check_top_k",
    "exponent_search",
    "hellinger",
    "jensen_kl",
    "kl",
    "modulus",
    "parameter_errors",
    "rates",
    "top_k_bound",
    "total_variation",
    "voronoi_cells",
    "voronoi_exponent",
    "voronoi_loss",
    "wasserstein",
]
