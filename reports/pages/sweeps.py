"""Error against noise, or against the number of training points, as a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from harness.escaping import drawn
from harness.presets import KNOWS_TARGET
from reports.comparing.groups import Group
from reports.comparing.intervals import interval_names
from reports.comparing.statistics import Estimate
from reports.comparing.sweeps import Axis, sweeps
from reports.pages.pictures import LEAST, Picture, colour, dashes_of, label_panels, panel_grid, png


def sweep_picture(preset: str, groups: Mapping[str, Group], axis: Axis) -> Picture | None:
    """A panel a problem: the NMSE of each model at each value, the median of the seeds as a line in the band of its interval or
    range; None where nothing was swept.
    """
    found = sweeps(groups, axis)
    if not found:
        return None
    figure, panels = panel_grid(len(found))
    for axes, (problem, by_model) in zip(panels, found.items(), strict=True):
        values = sorted({value for known in by_model.values() for value in known})
        places = _places(values)
        for model, known in by_model.items():
            _draw(axes, places, known, model, colour(model, list(groups[problem])))
        if axis.field == "target_noise":
            noisy = [value for value in values if value > 0]
            axes.plot(
                noisy, np.square(noisy), ":.", color="#8c8c8c", linewidth=1.0, markersize=3, label="of the noise itself"
            )
        axes.set(xscale="log", yscale="log")
        _tick(axes, places)
    handles = {name: line for axes in panels for line, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    label_panels(figure, panels, list(found), axis.label, "final NMSE", handles, 6)
    seeds = {each.seeds for by_model in found.values() for known in by_model.values() for each in known.values()}
    sentence = f"{axis.note} Line: median of the seeds; band: {interval_names(seeds)}."
    if axis.field == "target_noise":
        sentence += " Dotted: the NMSE of the noise itself, below which the model has averaged it out."
    marked = any(
        each.knows_target for by_model in found.values() for known in by_model.values() for each in known.values()
    )
    sentence += f" {KNOWS_TARGET}." if marked else ""
    title = f"{axis.title}, {preset}"
    return Picture(f"{axis.field}-{preset}", title, sentence, png(figure, title))


def _places(values: list[float]) -> dict[float, float]:
    """Where each value stands on a logarithmic axis: 0 a step below the least positive one."""
    positive = [value for value in values if value > 0]
    least = positive[0] / 10 if len(positive) < 2 else positive[0] ** 2 / positive[1]
    return {value: value if value > 0 else least for value in values} if positive else dict.fromkeys(values, 1.0)


def _draw(axes: Axes, places: Mapping[float, float], known: Mapping[float, Estimate], model: str, shade: str) -> None:
    x = [places[value] for value in known]
    middle, low, high = (
        [max(error, LEAST) if math.isfinite(error) else math.nan for error in errors]
        for errors in zip(*((each.median, each.low, each.high) for each in known.values()), strict=True)
    )
    look: Any = {"color": shade, "linestyle": dashes_of(model)}
    axes.plot(x, middle, marker="o", markersize=3.5, linewidth=1.2, label=drawn(model), **look)
    axes.fill_between(x, low, high, color=shade, alpha=0.15, linewidth=0)


def _tick(axes: Axes, places: Mapping[float, float]) -> None:
    """The values themselves are the ticks, up to five of them."""
    values = list(places)
    shown = values[:: math.ceil(len(values) / 5)]
    axes.set_xticks([places[value] for value in shown], [f"{value:g}" for value in shown])
    axes.minorticks_off()
