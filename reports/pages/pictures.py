"""What all pictures share: the colours of the models, the legend that names what is missing, and the PNG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.escaping import drawn, file_name
from harness.families import FAMILIES, Kind
from harness.figures import packing
from harness.figures.drawing import decades_or_numbers, number
from harness.presets import KNOWS_TARGET
from reports.comparing.groups import Group, dagger
from reports.pages.charts import Chart
from reports.pages.formulas import typeset
from reports.reading.kinds import kind_of

# Okabe and Ito 2008, "Color Universal Design": told apart with any kind of colour vision.
COLOURS = {"mlp": "#0072B2", "mlp_fourier": "#56B4E9", "siren": "#E69F00", "kan": "#009E73", "kan_pruned": "#D55E00"}
COLOURS |= {"spectral": "#000000", "finite_difference": "#8c8c8c"}
FURTHER: dict[Kind, tuple[str, ...]] = {
    "perceptron": ("#3D4FA8", "#8FA6DD", "#1B2A6B"),
    "implicit": ("#B07400", "#F2C766", "#7A4B00", "#D9A441"),
    "kan": (
        "#66A61E",
        "#00695C",
        "#9CCC65",
        "#2E7D32",
        "#4DB6AC",
        "#827717",
        "#A5D6A7",
        "#B71C1C",
        "#E57373",
        "#8D3B1F",
    ),
    "classical": ("#5E3C99", "#B2ABD2", "#4D4D4D", "#9E6EBD", "#2D004B", "#777799", "#BABABA"),
    "other": ("#CC79A7", "#8c8c8c", "#000000"),
}
"""Of the families of a kind that have none of their own, in the order of their declaration: shades of the colours of the kind."""
STYLES = {"mlp": "-", "mlp_fourier": "--", "siren": "-.", "kan": "-", "kan_pruned": "--"}
OF_KIND: dict[Kind, str] = {"implicit": "-.", "classical": ":"}
DPI = 100
MOST_COLUMNS = 5
"""Small panels in a row."""
LEAST = 1e-30
"""Where an error of 0 is drawn on a logarithmic axis, as NMSE."""


@dataclass(frozen=True)
class Picture:
    """A picture as a PNG, with the data of its lines where the page can draw them; or a sentence alone, where there is nothing
    to see. ``drawn`` is whether it is of lines, which a dark page dims, as it keeps the models' colours.
    """

    name: str
    """Of the problem and the preset that it shows; :attr:`file` is one for a file."""
    title: str
    description: str
    png: bytes | None
    drawn: bool = True
    chart: Chart | None = None
    svg: Markup | None = None
    """What the page shows in its place, in the page's own colours."""

    @property
    def file(self) -> str:
        """The name of its file, which is in its folder whatever the names in the store are."""
        return f"{file_name(self.name)}.png"


def colour(model: str, models: Sequence[str]) -> str:
    """The colour of a model, the same in all pictures."""
    if model in COLOURS:
        return COLOURS[model]
    kind = kind_of(model)
    known = models if kind == "other" else FAMILIES.names()
    others = [each for each in known if each not in COLOURS and kind_of(each) == kind]
    return FURTHER[kind][others.index(model) % len(FURTHER[kind])]


def dashes_of(model: str) -> str:
    """How the lines of a model are dashed."""
    return STYLES.get(model) or OF_KIND.get(kind_of(model), "-")


def legend(figure: Figure, axes: Axes, missing: Sequence[str]) -> None:
    """The legend below the panels; what is missing is in it too, with the reason."""
    handles, labels = axes.get_legend_handles_labels()
    for each in missing:
        handles.append(axes.plot([], [], "x", color="#8c8c8c")[0])
        labels.append(drawn(f"not shown: {each[:110]}"))
    columns = 1 if missing else 6 if len(labels) <= 6 else 4
    rows = math.ceil(len(labels) / columns) or 1
    height = figure.get_figheight() + 0.19 * rows
    figure.set_figheight(height)
    if handles:
        figure.legend(handles, labels, loc="lower center", ncols=columns, fontsize=8, frameon=False)
    # A layout engine would find these margins too, and take twice as long as all the drawing.
    margins(figure, bottom=0.55 + 0.19 * rows)


def panel_grid(count: int) -> tuple[Figure, list[Axes]]:
    """A figure with a small panel for each of ``count`` problems, five in a row; :func:`label_panels` ends it."""
    columns = min(MOST_COLUMNS, count)
    rows = math.ceil(count / columns)
    figure = Figure(figsize=(max(2.4 * columns, 5), 2.2 * rows + 0.9), dpi=DPI)
    panels = list(figure.subplots(rows, columns, squeeze=False).flatten())
    for axes in panels[count:]:
        axes.axis("off")
    return figure, panels[:count]


def label_panels(
    figure: Figure,
    panels: Sequence[Axes],
    titles: Sequence[str],
    x: str,
    y: str,
    named: Mapping[str, Artist],
    across: int,
) -> None:
    """The titles of the panels, the names of the axes at the outer ones, and a legend below of what is ``named``, so many
    ``across``.
    """
    columns = min(MOST_COLUMNS, len(panels))
    for index, (axes, title) in enumerate(zip(panels, titles, strict=True)):
        axes.minorticks_off()
        axes.set_title(drawn(title), fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(visible=True, alpha=0.25)
        if index % columns == 0:
            axes.set_ylabel(y, fontsize=8)
        if index + columns >= len(panels):
            axes.set_xlabel(x, fontsize=8)
    below = 0.19 * math.ceil(len(named) / across)
    figure.set_figheight(figure.get_figheight() + below)
    figure.legend(named.values(), named.keys(), loc="lower center", ncols=across, fontsize=8, frameon=False)
    margins(figure, bottom=0.6 + below, top=0.55)
    figure.subplots_adjust(hspace=0.55, wspace=0.45)


def margins(figure: Figure, left: float = 0.75, right: float = 0.15, top: float = 0.35, bottom: float = 0.55) -> None:
    """Room around the panels of a figure, in inches."""
    width, height = figure.get_size_inches()
    figure.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height)


def said(sentence: str, missing: Sequence[str]) -> str:
    """The description of a picture, for those who can't see it."""
    return f"{sentence} Not shown: {'; '.join(missing)}." if missing else sentence


def noted(group: Group) -> str:
    """What the dagger means, where a model of the group has one."""
    return f" {KNOWS_TARGET}." if any(map(dagger, group.values())) else ""


def png(figure: Figure, title: str, formula: str = "") -> bytes:
    """The figure with its title, as a PNG. Where the title ends with a formula, that is set as one."""
    set_as = typeset(formula) if formula and title.endswith(formula) else None
    text = drawn(title) if set_as is None else f"{drawn(title.removesuffix(formula))}{set_as}"
    figure.suptitle(text, fontsize=10)
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            # What has ticks of its own keeps them.
            if axis.get_scale() == "log" and axis.isDefault_majloc and not decades_or_numbers(axis):
                axis.set_major_formatter(lambda value, place: number(value, 6))
    return packing.png(figure)
