"""The original's three pictures: loss curves, fits, heatmaps. A model that can't be shown is named, with the reason."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.data import DENSE_POINTS
from harness.escaping import drawn
from reports.evidence import Cell
from reports.histories import Artifacts, Floats, Gone, History
from reports.pictures import DPI, LEAST, STYLES, Picture, colour, legend, margins, png, said
from reports.predictions import Prediction, median_cell, predict, why_missing
from reports.tables import Group
from reports.targets import Target


def loss_curves(known: Target, preset: str, group: Group, artifacts: Artifacts) -> Picture:
    """Test NMSE of the median seed over epochs and over seconds of training, with the range of all seeds behind it."""
    figure = Figure(figsize=(9, 3.6), dpi=DPI)
    by_epoch, by_time = figure.subplots(1, 2, sharey=True)
    missing = []
    for model, cells in group.items():
        try:
            shown = median_cell(cells)
            assert shown.run is not None
            history = artifacts.history(shown.run)
        except Gone as gone:
            missing.append(f"{model}: {gone}")
            continue
        style = {"color": colour(model, list(group)), "linestyle": STYLES.get(model, "-"), "linewidth": 1.4}
        curve = np.maximum(history["test/mse"] / known.scale2, LEAST)
        _mark_stages(by_epoch, by_time, history, colour(model, list(group)))
        marker = "o" if len(curve) == 1 else None
        by_epoch.plot(history.epoch, curve, marker=marker, **style)
        by_time.plot(history["time/train_s"], curve, marker=marker, label=drawn(_label(model, cells)), **style)
        band = _band(cells, artifacts, history.planned, known.scale2)
        if band is not None:
            by_epoch.fill_between(
                np.arange(1, history.planned + 1), *band, color=style["color"], alpha=0.15, linewidth=0
            )
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
    return Picture(f"loss-{known.name}-{preset}", title, said(sentence, missing), png(figure, title))


def _mark_stages(by_epoch: Axes, by_time: Axes, history: History, shade: str) -> None:
    """A light line at each change of stage, cuts dashed: the loss may jump there."""
    ends = [i for i, (old, new) in enumerate(itertools.pairwise(history.stage)) if new != old]
    seconds = history["time/train_s"]
    for cut, dashes in ((True, "--"), (False, ":")):
        chosen = [i for i in ends if (history.stage[i + 1] == "prune") is cut]
        for axes, places in ((by_epoch, history.epoch[chosen] + 0.5), (by_time, seconds[chosen][seconds[chosen] > 0])):
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
    for model, prediction in found.items():
        x, order = prediction.x[:, 0], slice(None, None, 10)
        if not top.lines:
            top.plot(x, prediction.target, color="#000000", linewidth=3.5, alpha=0.3, label="target")
            _on_targets_scale(top, prediction.target)
        style = {"color": colour(model, list(group)), "linestyle": STYLES.get(model, "-"), "linewidth": 1.2}
        nmse = prediction.mse / known.scale2
        top.plot(x[order], prediction.values[order], label=drawn(f"{model} ({nmse:.1e})"), **style)
        bottom.plot(x[order], np.maximum(np.abs(prediction.values - prediction.target)[order], 1e-16), **style)
    top.set(ylabel="value")
    bottom.set(xlabel="x", ylabel="|residual|", yscale="log")
    figure.subplots_adjust(hspace=0.12)
    for axes in (top, bottom):
        axes.minorticks_off()
        axes.grid(visible=True, alpha=0.25)
    legend(figure, top, missing)
    title = f"Fits: {known.name}, {preset}: {known.formula}"
    sentence = "Median seed of each model over the target on the training domain, NMSE in brackets; residuals below."
    return Picture(f"fit-{known.name}-{preset}", title, said(sentence, missing), png(figure, title))


def _on_targets_scale(axes: Axes, values: Floats) -> None:
    low, high = float(values.min()), float(values.max())
    spread = (high - low) or abs(high) or 1.0
    axes.set_ylim(low - 0.25 * spread, high + 0.25 * spread)


def heatmaps(known: Target, preset: str, group: Group, artifacts: Artifacts) -> Picture:
    """Target and predictions on one scale as heatmaps and surfaces, and the errors, each on its own scale."""
    found, missing = _predictions(group, artifacts)
    models = list(group)
    figure = Figure(figsize=(2.3 * (1 + len(models)), 6.6), dpi=DPI)
    grid = figure.add_gridspec(3, 1 + len(models), hspace=0.18, wspace=0.08)
    side = DENSE_POINTS[2]
    shown = next(iter(found.values()), None)
    truth = None if shown is None else shown.target.reshape(side, side)
    first, last = (-1.0, 1.0) if shown is None else (float(shown.x.min()), float(shown.x.max()))
    extent = (first, last, first, last)
    for column, model in enumerate(["target", *models]):
        top = figure.add_subplot(grid[0, column])
        top.set_title(drawn(model), fontsize=10)
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
        scale: Any = {"vmin": low, "vmax": high if high > low else low + 1.0}
        top.imshow(values.T, origin="lower", extent=extent, cmap="viridis", interpolation="nearest", **scale)
        top.set(xticks=[], yticks=[])
        if model != "target":
            top.set_title(f"{drawn(model)}\nNMSE {found[model].mse / known.scale2:.1e}", fontsize=9)
            error, middle = values - truth, figure.add_subplot(grid[1, column])
            largest = float(np.abs(error).max()) or 1.0
            middle.imshow(error.T, origin="lower", extent=extent, cmap="PuOr", vmin=-largest, vmax=largest)
            middle.set_title(f"error up to {largest:.1e}", fontsize=8)
            middle.set(xticks=[], yticks=[])
        surface = figure.add_subplot(grid[2, column], projection="3d")
        axis = np.linspace(first, last, side)[::5]
        x, y = np.meshgrid(axis, axis, indexing="ij")
        clipped = np.clip(values[::5, ::5], low - (high - low), high + (high - low))
        surface.plot_surface(x, y, clipped, cmap="viridis", rstride=1, cstride=1, linewidth=0, **scale)
        surface.set(xticks=[], yticks=[], zticks=[], zlim=(low, high) if high > low else None)
    margins(figure, 0.15, 0.15, 0.85, 0.1)
    title = f"Heatmaps and surfaces: {known.name}, {preset}: {known.formula}"
    sentence = "Median seed of each model: prediction on the target's scale, error, surface."
    return Picture(f"heatmap-{known.name}-{preset}", title, said(sentence, missing), png(figure, title), drawn=False)


def _predictions(group: Group, artifacts: Artifacts) -> tuple[dict[str, Prediction], list[str]]:
    found, missing = {}, []
    for model, cells in group.items():
        try:
            found[model] = predict(median_cell(cells), artifacts)
        except Gone as gone:
            missing.append(f"{model}: {gone}")
    return found, missing


def _label(model: str, cells: Sequence[Cell]) -> str:
    model = f"{model} (shape knows the target)" if any(cell.knows_target for cell in cells) else model
    failed = [cell for cell in cells if cell.outcome != "completed"]
    if not failed:
        return model
    return f"{model} ({len(cells) - len(failed)} of {len(cells)} seeds; {why_missing(failed)[:40]})"


def _reason(model: str, missing: Sequence[str]) -> str:
    return next((each for each in missing if each.startswith(f"{model}: ")), "nothing to show")


def _wrapped(text: str, width: int = 24) -> str:
    return "\n".join(textwrap.wrap(text[:220], width))
