"""A performance profile for each preset, all against the best pair of model and preset."""

from __future__ import annotations

import itertools
import math

import numpy as np
from matplotlib.figure import Figure

from harness.escaping import drawn, visible
from harness.presets import DAGGER
from reports.comparing.intervals import (
    RATIOS,
)
from reports.comparing.overall import Overall, Pair
from reports.pages.charts import Chart, Panel, line
from reports.pages.pictures import DPI, Picture, colour, dashes_of, margins, png
from reports.reading.kinds import NAMES


def profile_picture(found: Overall) -> Picture:
    """A performance profile for each preset, or one of the best of each kind, all against the best of all pairs."""
    shown = _panels(found)
    models = list(dict.fromkeys(pair.model for pair in found.front))
    columns = 2 if len(shown) == 4 else min(len(shown), 3)
    rows = math.ceil(len(shown) / columns)
    figure = Figure(figsize=(max(3.6 * columns, 6), 2.5 * rows + 0.8), dpi=DPI)
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flatten()
    panels = []
    ratios = np.array(RATIOS)
    for at, (title, pairs) in zip(axes, shown.items(), strict=False):
        lines = []
        for name, pair in pairs.items():
            band = found.profile[pair]
            look = {"color": colour(pair.model, models), "linestyle": dashes_of(pair.model)}
            at.step(ratios, band.value, where="post", linewidth=1.4, label=drawn(name), **look)
            at.fill_between(ratios, band.low, band.high, step="post", color=look["color"], alpha=0.13, linewidth=0)
            ends = (np.array(band.low), np.array(band.high))
            lines.append(line(name, look["color"], ratios, np.array(band.value), look["linestyle"], ends))
        at.set(xscale="log", ylim=(-0.02, 1.02))
        at.minorticks_off()
        at.set_title(drawn(title), fontsize=9)
        at.grid(visible=True, alpha=0.25)
        labels = ("times the least error", "part of the problems")
        panels.append(Panel(visible(title), *labels, tuple(lines), log_x=True, y_range=(0.0, 1.0), stepped=True))
    for at in axes[len(shown) :]:
        at.axis("off")
    for at in axes[::columns]:
        at.set_ylabel("part of the problems", fontsize=9)
    for at in axes[max(0, len(shown) - columns) : len(shown)]:
        at.set_xlabel("times the least error", fontsize=9)
        at.tick_params(labelbottom=True)
    handles = dict(itertools.chain(*(zip(*reversed(a.get_legend_handles_labels()), strict=True) for a in axes)))
    figure.legend(handles.values(), handles.keys(), loc="lower center", ncols=5, fontsize=8, frameon=False)
    margins(figure, left=0.6, bottom=0.85, top=0.65)
    figure.subplots_adjust(hspace=0.35, wspace=0.08)
    name = f"Performance profile: {found.problems} problem{'s' if found.problems > 1 else ''}"
    sentence = (
        "On which part of the problems the median error of a model is within a factor of the least one that any model and "
        f"preset has (Dolan and More 2002; differences below {found.floor} count as none). Band: {found.interval} (stratified "
        f"by problem, Agarwal et al. 2021). Higher is better.{found.folded}{found.noted}"
    )
    return Picture("overall-profile", name, sentence, png(figure, name), chart=Chart(tuple(panels)))


def _panels(found: Overall) -> dict[str, dict[str, Pair]]:
    """The pairs of each panel by the name that they have there."""
    if found.folded:
        return {"best of each kind": {str(pair): pair for pair in found.front}}
    panels: dict[str, dict[str, Pair]] = {}
    for pair in found.profile:
        panels.setdefault(_title(pair.preset, found), {})[pair.model] = pair
    return panels


def _title(preset: str, found: Overall) -> str:
    mark = DAGGER if any(pair.knows_target for pair in found.profile if pair.preset == preset) else ""
    return f"{preset or NAMES['classical']}{mark}"
