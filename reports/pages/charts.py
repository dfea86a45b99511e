"""The data of a picture of lines, for a page that draws it anew: hover tells values, the legend hides models.

The PNG beside it is what is seen without JavaScript and in print.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.escaping import visible
from reports.reading.histories import Floats

MOST = 402
"""Points of a line that the page gets, about one for two pixels."""


@dataclass(frozen=True)
class Mark:
    """A vertical line: a change of stage; a cut is dashed."""

    x: float
    cut: bool = False


@dataclass(frozen=True)
class Series:
    """A line: ``x`` rising, ``y`` of the same length, None where it has no value; ``low`` and ``high`` are its band."""

    name: str
    """Lines of one name in several panels are hidden and shown together."""
    colour: str
    x: tuple[float, ...]
    y: tuple[float | None, ...]
    dash: tuple[int, ...] = ()
    width: float = 1.5
    low: tuple[float | None, ...] = ()
    high: tuple[float | None, ...] = ()
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Panel:
    """Axes with their lines. ``y_range`` is what is shown where that is not all."""

    title: str
    x_label: str
    y_label: str
    series: tuple[Series, ...]
    log_x: bool = False
    log_y: bool = False
    y_range: tuple[float, float] | None = None
    stepped: bool = False
    """Whether a value holds until the next."""
    below: bool = False
    """Whether it is a low panel under the one before."""


@dataclass(frozen=True)
class Chart:
    """Panels that share a legend."""

    panels: tuple[Panel, ...]

    def as_json(self) -> str:
        """For a ``script`` of a page: without what could end it."""
        text = json.dumps(self, default=_filled, allow_nan=False, separators=(",", ":"))
        return text.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def _filled(part: Chart | Panel | Series | Mark) -> dict[str, Any]:
    """The fields of a part that say anything."""
    return {name: value for name, value in vars(part).items() if value not in ((), None, "", False)}


def line(
    name: str,
    colour: str,
    x: Floats,
    y: Floats,
    style: str = "-",
    band: tuple[Floats, Floats] | None = None,
    marks: Sequence[Mark] = (),
    width: float = 1.5,
) -> Series:
    """A line thinned to ``MOST`` points, peaks kept. What is not finite in ``y`` is a gap; points without a finite ``x``, which
    have no place, are left out.
    """
    placed = np.isfinite(x)
    kept = np.flatnonzero(placed)[_peaks(y[placed])]
    low, high = band or (None, None)
    return Series(
        visible(name),
        colour,
        tuple(_short(v) or 0.0 for v in x[kept]),
        tuple(map(_short, y[kept])),
        DASHES.get(style, ()),
        width,
        () if low is None else tuple(map(_short, low[kept])),
        () if high is None else tuple(map(_short, high[kept])),
        tuple(marks),
    )


DASHES = {"--": (6, 3), "-.": (7, 3, 2, 3), ":": (2, 3)}
"""Of matplotlib's styles, in pixels."""


def _peaks(y: Floats) -> npt.NDArray[np.int64]:
    """Which points to keep: of each of ``MOST / 2`` parts the least and the largest, so that no jump is lost; and both ends."""
    if len(y) <= MOST:
        return np.arange(len(y))
    kept = {0, len(y) - 1}
    for part in np.array_split(np.arange(len(y)), MOST // 2 - 1):
        known = part[np.isfinite(y[part])]
        kept |= {int(known[y[known].argmin()]), int(known[y[known].argmax()])} if known.size else {int(part[0])}
    return np.array(sorted(kept))


def _short(value: float) -> float | None:
    """Four digits: more can't be seen."""
    return float(f"{value:.4g}") if math.isfinite(value) else None
