"""Who draws which picture of a problem; which it has, says :func:`harness.problems.pictures.pictures_of`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from torch import Tensor

from harness.data import Data
from harness.figures.fit import fit_figure
from harness.figures.heatmap import heatmap_figure
from harness.figures.picture import picture_figure
from harness.figures.prediction import prediction_figure
from harness.figures.quantities import Model
from harness.figures.residual import residual_figure
from harness.figures.sensitivity import sensitivity_figure
from harness.figures.slices import slices_figure
from harness.models import Regressor
from harness.problems import Problem

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OF_PREDICTION: dict[str, Callable[[Problem, Data, Tensor, str], Figure]] = {
    "fit.png": fit_figure,
    "heatmap.png": heatmap_figure,
    "prediction.png": prediction_figure,
}
"""What is drawn from the values ``(points, outputs)`` on the dense points."""
OF_MODEL: dict[str, Callable[[Problem, Data, Model, str], Figure]] = {
    "slices.png": slices_figure,
    "sensitivity.png": sensitivity_figure,
    "picture.png": picture_figure,
}
"""What asks the model elsewhere."""
OF_EQUATION: dict[str, Callable[[Problem, Data, Regressor, str], Figure]] = {"residual.png": residual_figure}
"""What asks it for derivatives too."""


def draw_picture(name: str, problem: Problem, data: Data, prediction: Tensor, model: Model, title: str) -> Figure:
    """One of them. ``prediction`` has the values of ``model`` at ``data.dense``; of an equation it is a Regressor."""
    if name in OF_EQUATION:
        return OF_EQUATION[name](problem, data, cast(Regressor, model), title)
    if name in OF_MODEL:
        return OF_MODEL[name](problem, data, model, title)
    return OF_PREDICTION[name](problem, data, prediction, title)
