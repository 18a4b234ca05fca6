"""The picture of a located fit: the gate, the experts, and the choice among models."""

from __future__ import annotations

import numpy as np

from ..fitted import LocatedModel
from ..tables import Table
from ..writing import write_figure
from .displays import POINTS, SPAN, CriteriaDisplay, ExpertDisplay, GateDisplay


def located_overview(model: LocatedModel, selection: Table, path: str) -> None:
    """Write a picture. Gate and experts are drawn against the column in which the experts lie farthest apart,
    others at their average; of several responses the first."""
    from matplotlib.figure import Figure

    m = model.fit.measure
    panels = 2 * bool(m.d) + (len(selection) > 1)
    figure = Figure(figsize=(4.6 * max(panels, 1), 4.2), layout="constrained")
    axes = iter(np.atleast_1d(np.array(figure.subplots(1, max(panels, 1)))).ravel())
    if m.d:
        center = m.weights @ m.means
        apart = m.weights @ (m.means - center) ** 2
        spread = np.sqrt(m.weights @ np.diagonal(m.covariances, axis1=1, axis2=2) + apart)
        j = int(np.argmax(apart / spread**2))
        x = np.tile(center, (POINTS, 1))
        x[:, j] = values = np.linspace(center[j] - SPAN * spread[j], center[j] + SPAN * spread[j], POINTS)
        name, law = model.design.expert_names[j], m.law(x).marginal(0)
        GateDisplay(name, values, law.weights).plot(ax=next(axes))
        sd = np.sqrt(law.family.variance(law.eta))
        ExpertDisplay(name, values, law.eta[:, :, 0], sd, (), model.responses[0]).plot(ax=next(axes))
    if len(selection) > 1:
        CriteriaDisplay(selection).plot(ax=next(axes))
    write_figure(path, figure, dpi=130)
