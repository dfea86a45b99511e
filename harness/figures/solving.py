"""The residuals of an equation over the epochs, and the error of its solution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from harness.figures.drawing import BLACK, BLUE, GREY, ORANGE, axes_at, blank, number, tick_decades
from harness.figures.loss import Curve, draw_curves, mark, say_that_there_is_none, starts_of_stages
from harness.training import NonFinite

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RESIDUALS = (
    Curve("train/residual", "equation and boundary, at training points", BLUE, 1.8, "-"),
    Curve("val/residual", "the same at held-out points", ORANGE, 1.4, "-"),
    Curve("train/boundary", "part of the boundary", GREY, 1.1, "-"),
)
ERROR = Curve("test/mse", "error of u: unknown to the training", BLACK, 1.4, "--")
MARGIN = 0.85
"""Left of the panels, in inches."""


def solving_figure(history: pd.DataFrame, events: Sequence[NonFinite], title: str) -> Figure:
    """Above what a training lowers, with the same at held-out points, stages, rates and non-finite events as of a fit; below
    the MSE of u, of which it knows nothing; and the seconds of training under the epochs.

    ``history`` has a row for each planned epoch, as for :func:`harness.figures.loss.loss_figure`; columns may lack.
    """
    wanted = [curve.metric for curve in (*RESIDUALS, ERROR)] + ["epoch", "stage", "lr", "time/train_s"]
    history = history.reindex(columns=wanted)
    seconds = history["time/train_s"].max()
    done = int(history["train/residual"].notna().sum())
    took = f"\n{done} epoch{'s' if done != 1 else ''} in {number(float(seconds))} s of training" if done else ""
    figure = blank(8, 6.5, f"{title}{took}")
    above = axes_at(figure, MARGIN, 2.85, 7.0, 2.85 if starts_of_stages(history) else 3.05)
    below = axes_at(figure, MARGIN, 0.75, 7.0, 1.85)
    draw_curves(above, history, RESIDUALS)
    above.set_ylabel("residual (mean square, dimensionless)")
    mark(above, history, events, "train/residual", "residual")
    draw_curves(below, history, [ERROR])
    below.set_ylabel("MSE of u")
    for epoch, _ in starts_of_stages(history):
        below.axvline(epoch - 0.5, color=GREY, linewidth=0.8, linestyle=":")
    for axes, curve in ((above, RESIDUALS[0]), (below, ERROR)):
        if not history[curve.metric].notna().any():
            say_that_there_is_none(axes)
            continue
        axes.set_ylabel(f"{axes.get_ylabel()}{tick_decades(axes.yaxis)}")
        axes.legend(loc="best", framealpha=0.9, fontsize=9)
    above.tick_params(labelbottom=False)
    for axes in (above, below):
        axes.yaxis.set_label_coords(-0.085, 0.5)
    _count_in_seconds(figure, below, history)
    return figure


def _count_in_seconds(figure: Figure, axes: Axes, history: pd.DataFrame) -> None:
    """Name the epochs at the left of their numbers, and put the seconds until then under them."""
    from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator

    seconds = axes_at(figure, MARGIN, 0.4, 7.0, 0.01)
    seconds.set_xlim(axes.get_xlim())
    seconds.yaxis.set_major_locator(NullLocator())
    for edge in ("left", "right", "top"):
        seconds.spines[edge].set_visible(False)
    for panel, name in ((axes, "epoch"), (seconds, "seconds")):
        panel.annotate(
            name,
            (0, 0),
            xycoords="axes fraction",
            xytext=(-12, -6),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=9,
        )
    known = history[history["time/train_s"].notna()]
    spent, epoch = (np.concatenate([[0.0], known[name]]) for name in ("time/train_s", "epoch"))
    total, (first, last) = spent[-1], axes.get_xlim()
    ticks = MaxNLocator(8, steps=[1, 2, 5, 10]).tick_values(0.0, total) if total > 0 else []
    # Uneven where epochs are: later stages take longer than the first. At the left end stands their name.
    at = {float(np.interp(tick, spent, epoch)): number(float(tick), 6) for tick in ticks if 0 <= tick <= total}
    at = {place: name for place, name in at.items() if place > first + 0.02 * (last - first)}
    seconds.xaxis.set_major_locator(FixedLocator([*at]))
    seconds.xaxis.set_major_formatter(FixedFormatter([*at.values()]))
