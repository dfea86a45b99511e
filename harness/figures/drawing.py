"""What the figures share: colours, axes at a place in inches, and how numbers and formulas are spelled."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Okabe and Ito 2008, "Color Universal Design": told apart with any kind of colour vision.
BLACK, BLUE, ORANGE, GREEN, RED, GREY = "#000000", "#0072B2", "#E69F00", "#009E73", "#D55E00", "#8c8c8c"
DPI = 120

Float64 = NDArray[np.float64]


def blank(width: float, height: float, title: str) -> Figure:
    """An empty figure of that size, in inches, under its title."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI)
    figure.suptitle(title, fontsize=11, y=1 - 0.05 / height)
    return figure


def axes_at(figure: Figure, left: float, bottom: float, width: float, height: float, **options: Any) -> Axes:
    """Axes whose frame is at that place, in inches."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up), **options)


SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def power(exponent: int) -> str:
    """``10⁻⁵``, as text: matplotlib's own is set by its mathtext, which is slow, and beside text has another minus."""
    return f"10{str(exponent).translate(SUPERSCRIPT)}"


def decade(value: float, place: object = None) -> str:
    """The name of a tick at a power of ten."""
    return power(round(math.log10(value))) if value > 0 else ""


def number(value: float, digits: int = 3) -> str:
    """A number as every text of a figure spells it: ``−0.25``, ``2.61×10⁻¹²``."""
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    shown = mantissa.replace("-", "−")
    return f"{shown}×{power(int(exponent))}" if exponent else shown


def typeset(formula: str) -> str:
    """A formula of a problem as text, with the signs of print. A dollar would make mathtext of it."""
    text = re.sub(r"\bpi\b", "π", formula.replace("$", r"\$"))
    text = re.sub(r"\blaplacian\((\w+)\)", r"Δ\1", text)
    return re.sub(r"\^(-?\d+)", lambda found: found[1].translate(SUPERSCRIPT), text).replace("-", "−")


def label_in_units(axis: Axis, largest: float) -> str:
    """Count an axis in the power of ten of its largest value, and give what to say of that beside its name."""
    from matplotlib.ticker import FuncFormatter

    exponent = math.floor(math.log10(largest)) if 0 < largest < math.inf else 0
    exponent = 0 if -3 < exponent < 4 else max(exponent, -307)
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value / 10.0**exponent, 6)))
    return f" ({power(exponent)})" if exponent else ""


def tick_decades(axis: Axis) -> str:
    """As :func:`decades_or_numbers`, and what to say of numbers beside the axis' name: they are counted in a power of ten."""
    return "" if decades_or_numbers(axis) else label_in_units(axis, axis.get_view_interval()[1])


def decades_or_numbers(axis: Axis) -> bool:
    """Decades only where a logarithmic axis has several, else round numbers, which nobody has spelled yet; whether it is decades.
    The ticks between took a quarter of the drawing.
    """
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    low, high = axis.get_view_interval()
    axis.set_minor_locator(NullLocator())
    if high > 100 * low:
        axis.set_major_formatter(decade)
        return True
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high > 5 * low else MaxNLocator(6, steps=[1, 2, 5, 10]))
    return False


def described(figure: Figure) -> str:
    """JSON of what a figure shows: for each of its axes, ``shown`` (the limits of y) and ``data`` (least and largest finite y of
    each curve that has a name, its gid). It is kept in the PNG, so that a picture can be checked by what was drawn.
    """
    panels = []
    for axes in figure.axes:
        data = {}
        for line in axes.lines:
            values = np.asarray(line.get_ydata(), dtype=float)
            if line.get_gid() and np.isfinite(values).any():
                values = values[np.isfinite(values)]
                data[line.get_gid()] = [float(values.min()), float(values.max())]
        panels.append({"shown": [float(limit) for limit in axes.get_ylim()], "data": data})
    return json.dumps(panels)
