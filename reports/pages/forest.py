"""All pairs of model and preset side by side, an interval each (a forest plot), for paper and for the page."""

from __future__ import annotations

import math
from collections.abc import Mapping

from markupsafe import Markup, escape
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from harness.escaping import drawn, visible
from reports.comparing.intervals import Interval
from reports.comparing.overall import Overall, Pair
from reports.pages.pictures import DPI, Picture, colour, margins, png

LEFT, WIDTH, GAP, ROW, TOP = 170, 150, 22, 21, 26
"""Of the page's forest, in its units: names, a column, the space between two, a row, the heads."""


def forest_picture(found: Overall) -> Picture:
    """Of each pair, how likely the best is better than it, and how far it gets by group of problems."""
    pairs = found.front
    models = list(dict.fromkeys(pair.model for pair in pairs))
    columns = _columns(found)
    figure = Figure(figsize=(2.0 + 1.75 * len(columns), 1.35 + 0.24 * max(len(pairs), 3)), dpi=DPI)
    axes = figure.subplots(1, len(columns), sharey=True, squeeze=False).flatten()
    for at, (head, figures) in zip(axes, columns.items(), strict=True):
        for row, pair in enumerate(pairs):
            each = figures.get(pair)
            if each is not None and not math.isnan(each.value):
                shade = colour(pair.model, models)
                at.plot([each.low, each.high], [row, row], color=shade, linewidth=4, alpha=0.35, solid_capstyle="butt")
                at.plot(each.value, row, "o", color=shade, markersize=4.5)
        at.set_title(head, fontsize=9)
        at.grid(visible=True, axis="x", alpha=0.25)
        at.tick_params(labelsize=8)
    axes[0].set(xlim=(-0.03, 1.03), xticks=(0, 0.5, 1), ylim=(len(pairs) - 0.4, -0.6))
    axes[0].axvline(0.5, color="#8c8c8c", linewidth=0.8)
    axes[0].set_yticks(range(len(pairs)), [drawn(pair) for pair in pairs], fontsize=8)
    for at, figures in zip(axes[1:], found.groups.values(), strict=True):
        at.set(xlim=(_least(figures) - 0.3, 0.3))
        at.xaxis.set_major_locator(MultipleLocator(4))
        at.set_xlabel("log10 NMSE", fontsize=8)
    axes[0].set_xlabel("probability", fontsize=8)
    margins(figure, left=1.75, bottom=0.5, top=0.7)
    figure.subplots_adjust(wspace=0.12)
    name = f"Best of all: {found.best}"
    sentence = (
        f"How likely a run of {found.best} is better than one of each other (part of the pairs of seeds, mean over problems); "
        "and by group of problems, their number in brackets, the interquartile mean of log10 NMSE, where errors below "
        f"{found.floor} count as that, and those above 1, which is what predicting the mean has, or not reached, as 1 "
        f"(Agarwal et al. 2021). Bars: {found.interval}.{found.folded}{found.noted}"
    )
    return Picture("overall-forest", name, sentence, png(figure, name), svg=_svg(found))


def _columns(found: Overall) -> dict[str, Mapping[Pair, Interval]]:
    columns: dict[str, Mapping[Pair, Interval]] = {"P(best is better)": found.improvement}
    return columns | {f"{group} ({found.sizes[group]})": figures for group, figures in found.groups.items()}


def _least(figures: Mapping[Pair, Interval]) -> int:
    """Where the axis of a group begins: at the floor of fits, or that of equations where something is below it."""
    return -12 if any(each.low < -8 for each in figures.values()) else -8


def _svg(found: Overall) -> Markup:
    """The same for the page, whose colours it takes; hovering over a point tells its figures."""
    columns, pairs = _columns(found), found.front
    models = list(dict.fromkeys(pair.model for pair in pairs))
    bottom = TOP + ROW * len(pairs)
    wide, high = LEFT + (WIDTH + GAP) * len(columns), bottom + 34
    parts = [
        f'<svg class="forest" viewBox="0 0 {wide} {high}" style="min-width:{0.8 * wide:.0f}px" role="img" aria-label="Forest">'
    ]
    for row, pair in enumerate(pairs):
        y = TOP + ROW * (row + 0.5)
        parts.append(f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{escape(visible(pair))}</text>')
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{wide - GAP}" y1="{y}" y2="{y}"/>')
    for column, (head, figures) in enumerate(columns.items()):
        start = LEFT + (WIDTH + GAP) * column
        first, last, ticks, label = (
            (0, 1, (0, 0.5, 1), "probability")
            if column == 0
            else (_least(figures), 0, range(_least(figures), 1, 4), "log10 NMSE")
        )

        def x(value: float, start: float = start, first: float = first, last: float = last) -> float:
            return start + 6 + (WIDTH - 12) * (value - first) / (last - first)

        parts.append(f'<text class="head" x="{start + WIDTH / 2}" y="14" text-anchor="middle">{escape(head)}</text>')
        for tick in ticks:
            place = f'x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{TOP}" y2="{bottom}"'
            parts.append(f'<line class="{"bound" if tick == 0.5 else "rule"}" {place}/>')
            parts.append(f'<text x="{x(tick):.1f}" y="{bottom + 13}" text-anchor="middle">{tick:g}</text>')
        parts.append(f'<text x="{start + WIDTH / 2}" y="{bottom + 29}" text-anchor="middle">{label}</text>')
        for row, pair in enumerate(pairs):
            each = figures.get(pair)
            if each is None or math.isnan(each.value):
                continue
            y, shade = TOP + ROW * (row + 0.5), colour(pair.model, models).replace("#000000", "currentColor")
            said = f"{visible(pair)}: {each.value:.2f} [{each.low:.2f}, {each.high:.2f}]"
            bar = f'x1="{x(each.low):.1f}" x2="{x(each.high):.1f}" y1="{y}" y2="{y}"'
            parts.append(f'<g stroke="{shade}" fill="{shade}"><title>{escape(said)}</title><line class="bar" {bar}/>')
            parts.append(f'<circle cx="{x(each.value):.1f}" cy="{y}" r="4.5"/></g>')
    return Markup("".join(parts) + "</svg>")  # every text in it is escaped above
