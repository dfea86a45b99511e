"""Predictions against the truth: how models are shown in more than two dimensions, of several outputs, of rows of a file."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.escaping import drawn
from reports.comparing.groups import Group, dagger
from reports.pages.pictures import DPI, Picture, colour, margins, noted, png, said
from reports.reading.artifacts import Artifacts
from reports.reading.histories import Floats
from reports.reading.predictions import Prediction, predictions_of, scale2_of
from reports.reading.targets import Target
from reports.verdicts.numbers import number

MOST_OUTPUTS = 4
"""Rows of panels; the first outputs of more."""
MOST_POINTS = 3000
"""In a panel; of more, a third of them are those of the largest errors."""


def agreements(known: Target, preset: str, group: Group, artifacts: Artifacts) -> Picture:
    """A column for each model that has a result, a row for each output: prediction against truth, on the truth's scale."""
    found, lost = predictions_of(group, artifacts)
    missing = [f"{model}: {why}" for model, why in lost.items()]
    title = f"Prediction against truth: {known.name}, {preset}"
    outputs = known.outputs[:MOST_OUTPUTS]
    points = "held-out rows" if known.of_rows else "dense points"
    sentence = f"Median seed of each model, {points}: prediction (up) against truth (right); on the line they agree."
    if len(outputs) < len(known.outputs):
        sentence += f" The first {len(outputs)} of {len(known.outputs)} outputs."
    description = f"{said(sentence, missing)}{noted(group)}"
    name = f"agreement-{known.name}-{preset}"
    if not found:
        return Picture(name, title, description, None)
    columns, rows = len(found), len(outputs)
    figure = Figure(figsize=(max(0.9 + 2.3 * columns, 3.9), 0.95 + 2.35 * rows), dpi=DPI)
    panels = figure.subplots(rows, columns, squeeze=False)
    for column, (model, prediction) in enumerate(found.items()):
        shade = colour(model, list(group))
        for row, output in enumerate(outputs):
            axes = panels[row, column]
            nmse = _draw(axes, prediction, row, shade)
            head = f"{drawn(model)}{dagger(group[model])}\n" if row == 0 else ""
            axes.set_title(f"{head}NMSE {number(nmse)}", fontsize=9)
            if column == 0:
                axes.set_ylabel(drawn(output if len(known.outputs) > 1 else "prediction"), fontsize=8)
            if row == rows - 1:
                axes.set_xlabel("truth", fontsize=8)
    margins(figure, left=0.7, top=0.72, bottom=0.45)
    figure.subplots_adjust(wspace=0.32, hspace=0.35)
    return Picture(name, title, description, png(figure, title))


def _draw(axes: Axes, prediction: Prediction, output: int, shade: str) -> float:
    """The panel of an output, and its NMSE. The prediction never sets the scale."""
    truth, values = prediction.target[:, output], prediction.values[:, output]
    low, high = float(truth.min()), float(truth.max())
    spread = 0.06 * ((high - low) or abs(high) or 1.0)
    ends = (low - spread, high + spread)
    kept = _kept(np.abs(values - truth))
    axes.plot(ends, ends, color="#8c8c8c", linewidth=0.8)
    axes.plot(
        truth[kept],
        values[kept],
        ".",
        color=shade,
        markersize=3 if len(kept) > 300 else 6,
        alpha=0.5,
        markeredgewidth=0,
    )
    axes.set(xlim=ends, ylim=ends)
    axes.locator_params(nbins=4)
    axes.ticklabel_format(scilimits=(-2, 3))
    axes.tick_params(labelsize=7)
    for axis in (axes.xaxis, axes.yaxis):
        axis.get_offset_text().set_fontsize(6)
    return float(np.square(values - truth).mean()) / scale2_of(truth)


def _kept(errors: Floats) -> npt.NDArray[np.intp]:
    if len(errors) <= MOST_POINTS:
        return np.arange(len(errors))
    order = np.argsort(-np.nan_to_num(errors, nan=np.inf), kind="stable")
    largest = MOST_POINTS // 3
    others = np.linspace(largest, len(order) - 1, MOST_POINTS - largest).astype(int)
    kept: npt.NDArray[np.intp] = order[np.concatenate([np.arange(largest), others])]
    return kept
