"""The original's three pictures: loss curves, fits, heatmaps. A model that can't be shown is named, with the reason."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from harness.data import DENSE_POINTS
from harness.escaping import drawn
from harness.presets import DAGGER, KNOWS_TARGET
from reports.comparing.tables import Group
from reports.pages.charts import Chart, Mark, Panel, Series, line
from reports.pages.pictures import DPI, LEAST, STYLES, Picture, colour, legend, margins, png, said
from reports.reading.artifacts import Artifacts
from reports.reading.cells import Cell
from reports.reading.gone import Gone
from reports.reading.histories import Floats, History
from reports.reading.predictions import Prediction, median_cell, predict, why_missing
from reports.reading.targets import Target
from reports.verdicts.numbers import number


def loss_curves(known: Target, preset: str, group: Group, artifacts: Artifacts) -> Picture:
    """Test NMSE of the median seed over epochs and over seconds of training, with the range of all seeds behind it."""
    figure = Figure(figsize=(9, 3.6), dpi=DPI)
    by_epoch, by_time = figure.subplots(1, 2, sharey=True)
    missing: list[str] = []
    epochs: list[Series] = []
    seconds: list[Series] = []
    for model, cells in group.items():
        try:
            shown = median_cell(cells)
            assert shown.run is not None
            history = artifacts.history(shown.run)
        except Gone as gone:
            missing.append(f"{model}: {gone}")
            continue
        shade, dashes = colour(model, list(group)), STYLES.get(model, "-")
        style: Any = {"color": shade, "linestyle": dashes, "linewidth": 1.4}
        curve, time = np.maximum(history["test/mse"] / known.scale2, LEAST), history["time/train_s"]
        stages = _stages(history)
        _mark_stages(by_epoch, by_time, stages, shade)
        marker = "o" if len(curve) == 1 else None
        name = _label(model, cells)
        by_epoch.plot(history.epoch, curve, marker=marker, **style)
        by_time.plot(time, curve, marker=marker, label=drawn(name), **style)
        band = _band(cells, artifacts, history.planned, known.scale2)
        if band is not None:
            by_epoch.fill_between(np.arange(1, history.planned + 1), *band, color=shade, alpha=0.15, linewidth=0)
        done = history.epoch.astype(float)
        within = None if band is None else (band[0][history.epoch - 1], band[1][history.epoch - 1])
        epochs.append(line(name, shade, done, curve, dashes, within, [Mark(at, cut) for at, _, cut in stages]))
        clocked = time > 0
        cuts = [Mark(at, cut) for _, at, cut in stages if at > 0]
        seconds.append(line(name, shade, time[clocked], curve[clocked], dashes, marks=cuts))
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
            Panel("", "epoch", error, tuple(epochs), log_y=True),
            Panel("", "seconds of training", error, tuple(seconds), log_x=True, log_y=True),
        )
    )
    description = f"{said(sentence, missing)}{_noted(group)}"
    return Picture(f"loss-{known.name}-{preset}", title, description, png(figure, title), chart=chart)


def _stages(history: History) -> list[tuple[float, float, bool]]:
    """Where the stage changes: the epoch, the second, and whether the network is cut there."""
    ends = [i for i, (old, new) in enumerate(itertools.pairwise(history.stage)) if new != old]
    seconds = history["time/train_s"]
    return [(float(history.epoch[i]) + 0.5, float(seconds[i]), history.stage[i + 1] == "prune") for i in ends]


def _mark_stages(by_epoch: Axes, by_time: Axes, stages: Sequence[tuple[float, float, bool]], shade: str) -> None:
    """A light line at each change of stage, cuts dashed: the loss may jump there."""
    for cut, dashes in ((True, "--"), (False, ":")):
        chosen = [(epoch, second) for epoch, second, cuts in stages if cuts is cut]
        for axes, places in ((by_epoch, [e for e, _ in chosen]), (by_time, [s for _, s in chosen if s > 0])):
            look: Any = {"colors": shade, "linestyles": dashes, "linewidth": 0.8, "alpha": 0.3, "zorder": 0}
            axes.vlines(places, 0, 1, transform=axes.get_xaxis_transform(), **look)


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


def fits(known: Target, preset: str, group: Group, artifacts: Artifacts) -> Picture:
    """All models over the target, on the training domain and the target's scale; their residuals in a panel of their own."""
    figure = Figure(figsize=(9, 4.6), dpi=DPI)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    found, missing = _predictions(group, artifacts)
    values: list[Series] = []
    residuals: list[Series] = []
    for model, prediction in found.items():
        x, order, fewer = prediction.x[:, 0], slice(None, None, 10), slice(None, None, 25)
        if not values:
            top.plot(x, prediction.target, color="#000000", linewidth=3.5, alpha=0.3, label="target")
            top.set_ylim(*_targets_scale(prediction.target))
            values.append(line("target", "#8c8c8c", x[fewer], prediction.target[fewer], width=4))
        shade, dashes = colour(model, list(group)), STYLES.get(model, "-")
        style: Any = {"color": shade, "linestyle": dashes, "linewidth": 1.2}
        name = f"{model}{_dagger(group[model])} ({number(prediction.mse / known.scale2)})"
        residual = np.maximum(np.abs(prediction.values - prediction.target)[order], 1e-16)
        top.plot(x[order], prediction.values[order], label=drawn(name), **style)
        bottom.plot(x[order], residual, **style)
        values.append(line(name, shade, x[fewer], prediction.values[fewer], dashes))
        residuals.append(line(name, shade, x[order], residual, dashes))
    top.set(ylabel="value")
    bottom.set(xlabel="x", ylabel="|residual|", yscale="log")
    figure.subplots_adjust(hspace=0.12)
    for axes in (top, bottom):
        axes.minorticks_off()
        axes.grid(visible=True, alpha=0.25)
    legend(figure, top, missing)
    title = f"Fits: {known.name}, {preset}: {known.formula}"
    sentence = "Median seed of each model over the target on the training domain, NMSE in brackets; residuals below."
    description = f"{said(sentence, missing)}{_noted(group)}"
    chart = None
    if found:
        shown = _targets_scale(next(iter(found.values())).target)
        above = Panel("", "x", "value", tuple(values), y_range=shown)
        chart = Chart((above, Panel("", "x", "|residual|", tuple(residuals), log_y=True, below=True)))
    return Picture(f"fit-{known.name}-{preset}", title, description, png(figure, title, known.formula), chart=chart)


def _targets_scale(values: Floats) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    spread = (high - low) or abs(high) or 1.0
    return low - 0.25 * spread, high + 0.25 * spread


def _dagger(cells: Sequence[Cell]) -> str:
    return DAGGER if any(cell.knows_target for cell in cells) else ""


def _noted(group: Group) -> str:
    """What the dagger means, where one is drawn."""
    return f" {KNOWS_TARGET}." if any(map(_dagger, group.values())) else ""


def heatmaps(known: Target, preset: str, group: Group, artifacts: Artifacts) -> Picture:
    """Target and predictions on one scale as heatmaps and surfaces, and the errors, each on its own scale."""
    found, missing = _predictions(group, artifacts)
    models = list(group)
    figure = Figure(figsize=(1.2 + 2.3 * (1 + len(models)), 6.9), dpi=DPI)
    grid = figure.add_gridspec(3, 1 + len(models), hspace=0.28, wspace=0.3)
    side = DENSE_POINTS[2]
    shown = next(iter(found.values()), None)
    truth = None if shown is None else shown.target.reshape(side, side)
    first, last = (-1.0, 1.0) if shown is None else (float(shown.x.min()), float(shown.x.max()))
    extent = (first, last, first, last)
    for column, model in enumerate(["target", *models]):
        top = figure.add_subplot(grid[0, column])
        name = f"{model}{_dagger(group.get(model, ()))}"
        top.set_title(drawn(name), fontsize=10)
        if truth is None or (model != "target" and model not in found):
            for row in range(3):
                axes = top if row == 0 else figure.add_subplot(grid[row, column])
                axes.axis("off")
            top.text(
                0.5, 0.5, _wrapped(drawn(_reason(model, missing))), ha="center", va="center", fontsize=7, wrap=True
            )
            continue
        values = truth if model == "target" else found[model].values.reshape(side, side)
        low, high = float(truth.min()), float(truth.max())
        scale = _colours(low, high)
        image = top.imshow(values.T, origin="lower", extent=extent, interpolation="nearest", **scale)
        _frame(top, first, last, column == 0)
        if model == "target":
            _bar(figure, image, top)
        else:
            top.set_title(f"{drawn(name)}\nNMSE {number(found[model].mse / known.scale2)}", fontsize=9)
            error, middle = values - truth, figure.add_subplot(grid[1, column])
            largest = float(np.abs(error).max()) or 1.0
            image = middle.imshow(error.T, origin="lower", extent=extent, cmap="PuOr", vmin=-largest, vmax=largest)
            middle.set_title(f"error up to {number(largest)}", fontsize=8)
            _frame(middle, first, last, column == 1)
            _bar(figure, image, middle)
        surface = figure.add_subplot(grid[2, column], projection="3d")
        axis = np.linspace(first, last, side)[::5]
        x, y = np.meshgrid(axis, axis, indexing="ij")
        clipped = np.clip(values[::5, ::5], low - (high - low), high + (high - low))
        surface.plot_surface(x, y, clipped, rstride=1, cstride=1, linewidth=0, **scale)
        surface.set(xticks=[], yticks=[], zticks=[], zlim=(low, high) if high > low else None)
    margins(figure, 0.5, 0.55, 0.95, 0.1)
    title = f"Heatmaps and surfaces: {known.name}, {preset}: {known.formula}"
    sentence = "Median seed of each model: prediction on the target's scale, error, surface."
    description = f"{said(sentence, missing)}{_noted(group)}"
    name = f"heatmap-{known.name}-{preset}"
    return Picture(name, title, description, png(figure, title, known.formula), drawn=False)


def _colours(low: float, high: float) -> dict[str, Any]:
    """Of a target that changes its sign, colours that part at 0, else from dark to light."""
    largest = max(-low, high)
    if min(-low, high) > 0.01 * largest:
        return {"cmap": "RdBu_r", "vmin": -largest, "vmax": largest}
    return {"cmap": "viridis", "vmin": low, "vmax": high if high > low else low + 1.0}


def _frame(axes: Axes, first: float, last: float, labelled: bool) -> None:
    ticks = (first, (first + last) / 2, last)
    axes.set(xticks=ticks, yticks=ticks)
    axes.tick_params(labelsize=6, labelleft=labelled, pad=2)
    if labelled:
        axes.set_ylabel("y", fontsize=7)


def _bar(figure: Figure, image: AxesImage, beside: Axes) -> None:
    bar = figure.colorbar(image, ax=beside, fraction=0.046, pad=0.04)
    bar.ax.tick_params(labelsize=6)
    bar.ax.ticklabel_format(scilimits=(-2, 3))
    bar.ax.yaxis.get_offset_text().set_fontsize(6)


def _predictions(group: Group, artifacts: Artifacts) -> tuple[dict[str, Prediction], list[str]]:
    found, missing = {}, []
    for model, cells in group.items():
        try:
            found[model] = predict(median_cell(cells), artifacts)
        except Gone as gone:
            missing.append(f"{model}: {gone}")
    return found, missing


def _label(model: str, cells: Sequence[Cell]) -> str:
    model = f"{model}{_dagger(cells)}"
    failed = [cell for cell in cells if cell.outcome != "completed"]
    if not failed:
        return model
    return f"{model} ({len(cells) - len(failed)} of {len(cells)} seeds; {why_missing(failed)[:40]})"


def _reason(model: str, missing: Sequence[str]) -> str:
    return next((each for each in missing if each.startswith(f"{model}: ")), "nothing to show")


def _wrapped(text: str, width: int = 24) -> str:
    return "\n".join(textwrap.wrap(text[:220], width))
