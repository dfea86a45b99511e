"""Curves of one equation: what its training lowers, and the error of the solution, which it does not know, over time."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from harness.escaping import drawn
from reports.comparing.groups import Group
from reports.pages.charts import Chart, Mark, Panel, Series, line
from reports.pages.loss_curves import label, mark_stages, stages_of
from reports.pages.pictures import DPI, LEAST, Picture, colour, dashes_of, legend, noted, png, said
from reports.reading.artifacts import Artifacts
from reports.reading.gone import Gone
from reports.reading.kinds import is_network
from reports.reading.predictions import median_cell
from reports.reading.targets import Target

RESIDUAL, ERROR = "residual, held-out points", "error of u, unknown to the training"
CLOCK = "seconds"


def error_curves(known: Target, preset: str, group: Group, artifacts: Artifacts) -> Picture:
    """Residual and NMSE of u of the median seed side by side, over seconds of training or of solving."""
    figure = Figure(figsize=(9, 3.8), dpi=DPI)
    panels = dict(zip((RESIDUAL, ERROR), figure.subplots(1, 2, sharex=True), strict=True))
    missing: list[str] = []
    lines: dict[str, list[Series]] = {RESIDUAL: [], ERROR: []}
    for model, cells in group.items():
        try:
            shown = median_cell(cells)
            assert shown.run is not None
            history = artifacts.history(shown.run)
        except Gone as gone:
            missing.append(f"{model}: {gone}")
            continue
        shade, dashes, name = colour(model, list(group)), dashes_of(model), label(model, cells)
        style: Any = {"color": shade, "linestyle": dashes, "linewidth": 1.4}
        # Each solve of a classical solver starts anew, so its points are what there is to see.
        style |= {} if is_network(model) and len(history.epoch) > 1 else {"marker": "o", "markersize": 4}
        time, stages = history["time/train_s"], stages_of(history) if is_network(model) else []
        mark_stages(list(panels.values()), [(at, cut) for _, at, cut in stages], shade)
        curves = {RESIDUAL: history["val/residual"], ERROR: history["test/mse"] / known.scale2}
        cuts = [Mark(at, cut) for _, at, cut in stages if at > 0]
        for what, curve in curves.items():
            curve = np.maximum(curve, LEAST)
            panels[what].plot(time, curve, label=drawn(name), **style)
            lines[what].append(line(name, shade, time[time > 0], curve[time > 0], dashes, marks=cuts))
    units = {RESIDUAL: "mean square, units of the forcing", ERROR: "NMSE of u on test points"}
    for what, axes in panels.items():
        axes.set(xscale="log", yscale="log", xlabel=CLOCK, ylabel=units[what])
        axes.set_title(what, fontsize=9)
        axes.minorticks_off()
        axes.grid(visible=True, alpha=0.25)
    figure.subplots_adjust(wspace=0.24)
    legend(figure, panels[ERROR], missing)
    figure.subplots_adjust(top=1 - 0.6 / figure.get_figheight())  # for the titles of the panels
    title = f"Residual and error: {known.name}, {preset}"
    sentence = (
        "Median seed of each model over the seconds that it trained or solved. Left: the residual of the equation and its "
        "conditions at held-out points, which choices go by. Right: the error of u on the test points, which nothing that "
        "trains or chooses has seen. Light lines: changes of stage, cuts dashed."
    )
    if not all(map(is_network, group)):
        sentence += " Dotted: classical solvers, a point a solve, coarse to fine."
    drawn_panels = (
        Panel(what, CLOCK, units[what], tuple(series), log_x=True, log_y=True) for what, series in lines.items()
    )
    description = f"{said(sentence, missing)}{noted(group)}"
    chart = Chart(tuple(drawn_panels))
    return Picture(f"loss-{known.name}-{preset}", title, description, png(figure, title), chart=chart)
