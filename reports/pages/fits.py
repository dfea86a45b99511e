"""The models' fits to a target in one dimension. A model that can't be shown is named, with the reason."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from harness.escaping import drawn
from reports.comparing.groups import Group, dagger
from reports.pages.charts import Chart, Panel, Series, line
from reports.pages.pictures import DPI, Picture, colour, dashes_of, legend, noted, png, said
from reports.reading.artifacts import Artifacts
from reports.reading.histories import Floats
from reports.reading.predictions import predictions_of
from reports.reading.targets import Target
from reports.verdicts.numbers import number


def fits(known: Target, preset: str, group: Group, artifacts: Artifacts) -> Picture:
    """All models over the target, on the training domain and the target's scale; their residuals in a panel of their own."""
    figure = Figure(figsize=(9, 4.6), dpi=DPI)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2, 1])
    found, lost = predictions_of(group, artifacts)
    missing = [f"{model}: {why}" for model, why in lost.items()]
    truth, away = ("exact u", "|error|") if known.is_equation else ("target", "|residual|")
    values: list[Series] = []
    residuals: list[Series] = []
    for model, prediction in found.items():
        x, order, fewer = prediction.x[:, 0], slice(None, None, 10), slice(None, None, 25)
        target, fitted = prediction.target[:, 0], prediction.values[:, 0]
        if not values:
            top.plot(x, target, color="#000000", linewidth=3.5, alpha=0.3, label=truth)
            top.set_ylim(*_targets_scale(target))
            values.append(line(truth, "#8c8c8c", x[fewer], target[fewer], width=4))
        shade, dashes = colour(model, list(group)), dashes_of(model)
        style: Any = {"color": shade, "linestyle": dashes, "linewidth": 1.2}
        name = f"{model}{dagger(group[model])} ({number(prediction.mse / known.scale2)})"
        residual = np.maximum(np.abs(fitted - target)[order], 1e-16)
        top.plot(x[order], fitted[order], label=drawn(name), **style)
        bottom.plot(x[order], residual, **style)
        values.append(line(name, shade, x[fewer], fitted[fewer], dashes))
        residuals.append(line(name, shade, x[order], residual, dashes))
    top.set(ylabel="value")
    bottom.set(xlabel="x", ylabel=away, yscale="log")
    figure.subplots_adjust(hspace=0.12)
    for axes in (top, bottom):
        axes.minorticks_off()
        axes.grid(visible=True, alpha=0.25)
    legend(figure, top, missing)
    head = "Solutions" if known.is_equation else "Fits"
    title = f"{head}: {known.name}, {preset}: {known.lettered}"
    sentence = "Median seed of each model over the target on the training domain, NMSE in brackets; residuals below."
    if known.is_equation:
        sentence = (
            "Median seed of each model over the exact u, which no training reads, NMSE in brackets; errors below."
        )
    description = f"{said(sentence, missing)}{noted(group)}"
    chart = None
    if found:
        shown = _targets_scale(next(iter(found.values())).target)
        above = Panel("", "x", "value", tuple(values), y_range=shown)
        chart = Chart((above, Panel("", "x", away, tuple(residuals), log_y=True, below=True)))
    return Picture(f"fit-{known.name}-{preset}", title, description, png(figure, title, known.formula), chart=chart)


def _targets_scale(values: Floats) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    spread = (high - low) or abs(high) or 1.0
    return low - 0.25 * spread, high + 0.25 * spread
