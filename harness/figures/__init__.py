"""The pictures of a run: data in, a matplotlib figure out. Nothing here touches pyplot, a file or a global setting.

matplotlib is imported where something is drawn, at the end of a run: half a second that no start waits for. Margins are given,
in inches: finding them (matplotlib's constrained layout) draws a figure several times over.
"""

from harness.figures.drawing import BLUE, DPI, GREEN, GREY, ORANGE, RED
from harness.figures.fit import fit_figure
from harness.figures.heatmap import heatmap_figure
from harness.figures.kan import kan_figure
from harness.figures.loss import loss_figure
from harness.figures.of_problem import draw_picture
from harness.figures.packing import png
from harness.figures.picture import picture_figure
from harness.figures.prediction import prediction_figure
from harness.figures.residual import residual_figure
from harness.figures.sensitivity import sensitivity_figure
from harness.figures.slices import slices_figure
from harness.figures.solving import solving_figure

__all__ = [
    "BLUE",
    "DPI",
    "GREEN",
    "GREY",
    "ORANGE",
    "RED",
    "draw_picture",
    "fit_figure",
    "heatmap_figure",
    "kan_figure",
    "loss_figure",
    "picture_figure",
    "png",
    "prediction_figure",
    "residual_figure",
    "sensitivity_figure",
    "slices_figure",
    "solving_figure",
]
