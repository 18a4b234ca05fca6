"""The user's units and names: what turns scaled parameters into tables that people read."""

from __future__ import annotations

from dataclasses import dataclass

from .scaling import Scaling


@dataclass(frozen=True)
class Units:
    """Scalings and names of a design.

    Attributes
    ----------
    x_scaling, z_scaling : Scaling
        Of the experts' and of the gate's columns.
    y_center, y_scale : float
        The experts see ``(y - y_center) / y_scale``.
    expert_names, gate_names : tuple of str
        Columns without the constant.
    response : str
    classes : tuple
        Class labels in the order of their indices; empty for a regression.
    """

    x_scaling: Scaling
    z_scaling: Scaling
    expert_names: tuple[str, ...]
    gate_names: tuple[str, ...]
    y_center: float = 0.0
    y_scale: float = 1.0
    response: str = "y"
    classes: tuple = ()

    def predictors(self, ordered: bool = False) -> list[str]:
        """Name of each linear predictor of an expert: the class for a classification, else, and where the
        classes are `ordered`, empty."""
        return [str(c) for c in self.classes[:-1]] if self.classes and not ordered else [""]

    def aliased(self) -> list[str]:
        """One sentence for each column that is not estimated."""
        out = [f"'{self.expert_names[j]}' {why} (experts)" for j, why in self.x_scaling.aliased]
        return out + [f"'{self.gate_names[j]}' {why} (gate)" for j, why in self.z_scaling.aliased]
