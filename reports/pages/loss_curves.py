"""Loss curves of one problem. A model that can't be shown is named, with the reason."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.escaping import drawn
from reports.comparing.groups import Group, dagger
from reports.pages.charts import Chart, Mark, Panel, Series, line
from reports.pages.pictures import DPI, LEAST, Picture, colour, dashes_of, legend, noted, png, said
from reports.reading.artifacts import Artifacts
from reports.reading.cells import Cell
from reports.reading.gone import Gone
from reports.reading.histories import Floats, History
from reports.reading.predictions import median_cell, why_missing
from reports.reading.targets import Target


def loss_curves(known: Target, preset: str, group: Group, artifacts: Artifacts) -> Picture:
    """Test NMSE of the median seed over epochs and over seconds of training, with the range of all seeds behind it."""
    figure = Figure(figsize=(9, 3.6), dpi=DPI)
    by_epoch, by_time = figure.subplots(1, 2, sharey=True)
    missing: list[str] = []
    lines: list[tuple[Series, Series]] = []
    for model, cells in group.items():
        try:
            lines.append(_draw(by_epoch, by_time, known, cells, artifacts, model, list(group)))
        except Gone as gone:
            missing.append(f"{model}: {gone}")
    by_epoch.set(yscale="log", xlabel="epoch", ylabel="NMSE on test points")
    by_time.set(xlabel="seconds of training", xscale="log")
    figure.subplots_adjust(wspace=0.06)
    for axes in (by_epoch, by_time):
        axes.minorticks_off()
        axes.grid(visible=True, alpha=0.25)
    legend(figure, by_time, missing)
    title = f"Loss curves: {known.name}, {preset}"
    sentence = (
        "Test NMSE of the median seed over epochs and training time; the band is the range of all seeds. "
        "Light lines: changes of stage, cuts dashed."
    )
    error = "NMSE on test points"
    chart = Chart(
        (
            Panel("", "epoch", error, tuple(epochs for epochs, _ in lines), log_y=True),
            Panel("", "seconds of training", error, tuple(seconds for _, seconds in lines), log_x=True, log_y=True),
        )
    )
    description = f"{said(sentence, missing)}{noted(group)}"
    return Picture(f"loss-{known.name}-{preset}", title, description, png(figure, title), chart=chart)


def _draw(
    by_epoch: Axes,
    by_time: Axes,
    known: Target,
    cells: Sequence[Cell],
    artifacts: Artifacts,
    model: str,
    models: Sequence[str],
) -> tuple[Series, Series]:
    """Draw a model into both panels, and give its two lines. Raises Gone, with nothing drawn, where it can't be shown."""
    shown = median_cell(cells)
    assert shown.run is not None
    history = artifacts.history(shown.run)
    shade, dashes = colour(model, models), dashes_of(model)
    style: Any = {"color": shade, "linestyle": dashes, "linewidth": 1.4}
    curve, time = np.maximum(history["test/mse"] / known.scale2, LEAST), history["time/train_s"]
    stages = stages_of(history)
    mark_stages([by_epoch], [(epoch, cut) for epoch, _, cut in stages], shade)
    mark_stages([by_time], [(second, cut) for _, second, cut in stages], shade)
    marker = "o" if len(curve) == 1 else None
    name = label(model, cells)
    by_epoch.plot(history.epoch, curve, marker=marker, **style)
    by_time.plot(time, curve, marker=marker, label=drawn(name), **style)
    band = _band(cells, artifacts, history.planned, known.scale2)
    if band is not None:
        by_epoch.fill_between(np.arange(1, history.planned + 1), *band, color=shade, alpha=0.15, linewidth=0)
    done = history.epoch.astype(float)
    within = None if band is None else (band[0][history.epoch - 1], band[1][history.epoch - 1])
    epochs = line(name, shade, done, curve, dashes, within, [Mark(at, cut) for at, _, cut in stages])
    clocked = time > 0
    cuts = [Mark(at, cut) for _, at, cut in stages if at > 0]
    return epochs, line(name, shade, time[clocked], curve[clocked], dashes, marks=cuts)


def stages_of(history: History) -> list[tuple[float, float, bool]]:
    """Where the stage changes: the epoch, the second, and whether the network is cut there."""
    ends = [i for i, (old, new) in enumerate(itertools.pairwise(history.stage)) if new != old]
    seconds = history["time/train_s"]
    return [(float(history.epoch[i]) + 0.5, float(seconds[i]), history.stage[i + 1] == "prune") for i in ends]


def mark_stages(panels: Sequence[Axes], places: Sequence[tuple[float, bool]], shade: str) -> None:
    """A light line at each change of stage, cuts dashed: the loss may jump there."""
    for cut, dashes in ((True, "--"), (False, ":")):
        at = [place for place, cuts in places if cuts is cut and place > 0]
        look: Any = {"colors": shade, "linestyles": dashes, "linewidth": 0.8, "alpha": 0.3, "zorder": 0}
        for axes in panels:
            axes.vlines(at, 0, 1, transform=axes.get_xaxis_transform(), **look)


def _band(cells: Sequence[Cell], artifacts: Artifacts, planned: int, scale2: float) -> tuple[Floats, Floats] | None:
    curves = []
    for cell in cells:
        if cell.run is not None and cell.outcome != "running":
            try:
                values = artifacts.history(cell.run)["test/mse"]
            except Gone:
                continue
            curves.append(np.pad(values[:planned], (0, max(0, planned - len(values))), constant_values=np.nan))
    if len(curves) < 2:
        return None
    stacked = np.array(curves) / scale2
    stacked = stacked[:, ~np.isnan(stacked).all(axis=0)] if np.isnan(stacked).all(axis=0).any() else stacked
    if stacked.shape[1] != planned:
        return None
    return np.maximum(np.nanmin(stacked, axis=0), LEAST), np.maximum(np.nanmax(stacked, axis=0), LEAST)


def label(model: str, cells: Sequence[Cell]) -> str:
    """The name of a model in a legend, with its mark, and how many of its seeds have a result where some have none."""
    model = f"{model}{dagger(cells)}"
    failed = [cell for cell in cells if cell.outcome != "completed"]
    if not failed:
        return model
    return f"{model} ({len(cells) - len(failed)} of {len(cells)} seeds; {why_missing(failed)[:40]})"
