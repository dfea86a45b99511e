"""The errors of a training over its epochs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from harness.figures.drawing import BLUE, GREEN, GREY, ORANGE, RED, axes_at, blank, label_in_units, number, power
from harness.training import NonFinite

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def loss_figure(history: pd.DataFrame, events: Sequence[NonFinite], title: str) -> Figure:
    """Training and test MSE over the epochs, with the stages, changes of the learning rate, and every non-finite event.

    ``history`` has a row for each planned epoch (``epoch``, ``stage``, ``train/mse``, ``test/mse``, ``lr``); NaN leaves a gap.
    """
    from matplotlib.ticker import MaxNLocator, NullLocator

    figure = blank(8, 4.5, title)
    axes = axes_at(figure, 0.85, 0.5, 7.0, 3.4 if history["stage"].nunique() > 1 else 3.65)
    epoch = history["epoch"].to_numpy()
    # An MSE of exactly 0 has no place on a logarithmic axis; it is drawn at the least positive one.
    lines = [("train", history["train/mse"], BLUE, 1.8, "-"), ("test", history["test/mse"], ORANGE, 1.4, "--")]
    for label, values, colour, width, style in lines:
        if not values.notna().any():
            continue
        axes.plot(
            epoch,
            values.clip(lower=np.finfo(float).tiny).to_numpy(),
            style,
            color=colour,
            linewidth=width,
            label=f"{label} MSE",
            marker="o" if values.count() == 1 else None,
        )
    axes.set(
        yscale="log",
        xlabel="epoch",
        ylabel="MSE, squared units of the target",
        xlim=(min(0.5, epoch.min() - 0.5), epoch.max() + 0.5),
    )
    axes.grid(visible=True, which="major", alpha=0.25)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    _mark_stages(axes, history)
    _mark_rates(axes, history)
    for event in events:
        _mark_event(axes, event, history)
    if axes.lines and history["train/mse"].notna().any():
        _tick_decades(axes)
        axes.legend(loc="best", framealpha=0.9, fontsize=9)
    else:
        axes.text(0.5, 0.75, "no epoch ended with a finite error", ha="center", transform=axes.transAxes)
        axes.yaxis.set_major_locator(NullLocator())
        axes.yaxis.set_minor_locator(NullLocator())
    return figure


def _tick_decades(axes: Axes) -> None:
    """Decades only where there are several, else round numbers: the ticks between took a quarter of the drawing."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    low, high = axes.get_ylim()
    axes.yaxis.set_minor_locator(NullLocator())
    if high > 100 * low:
        axes.yaxis.set_major_formatter(
            FuncFormatter(lambda value, _: power(round(math.log10(value))) if value > 0 else "")
        )
        return
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high > 5 * low else MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.set_ylabel(f"MSE{label_in_units(axes.yaxis, high)}, squared units of the target")


def _mark_stages(axes: Axes, history: pd.DataFrame) -> None:
    stages = history["stage"].dropna()
    starts = stages.index[stages.ne(stages.shift())]
    if len(starts) < 2:
        return
    last = -math.inf
    for start in starts:
        epoch, name = history.loc[start, "epoch"], stages.loc[start]
        axes.axvline(epoch - 0.5, color=GREY, linewidth=0.8, linestyle=":")
        # Two stages that begin within a few epochs of each other would print over one another.
        crowded = epoch - last < 0.06 * len(history)
        axes.annotate(
            name,
            (epoch - 0.5, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 14 if crowded else 3),
            textcoords="offset points",
            fontsize=8,
            color="#555555",
        )
        last = epoch


def _mark_rates(axes: Axes, history: pd.DataFrame) -> None:
    rates = history["lr"].dropna()
    for index in rates.index[rates.ne(rates.shift()) & rates.shift().notna()]:
        epoch = history.loc[index, "epoch"]
        axes.axvline(epoch - 0.5, color=GREEN, linewidth=1.0, linestyle="-.")
        axes.annotate(
            f"lr = {number(rates.loc[index])}",
            (epoch - 0.5, 0.02),
            xycoords=("data", "axes fraction"),
            xytext=(3, 0),
            textcoords="offset points",
            fontsize=8,
            color=GREEN,
        )


def _mark_event(axes: Axes, event: NonFinite, history: pd.DataFrame) -> None:
    """A line where it happened, what it was, and a cross on the last point of the curve, where there is one."""
    left = event.epoch < np.mean(axes.get_xlim())
    axes.axvline(event.epoch, color=RED, linewidth=1.2)
    done = history[history["train/mse"].notna()]
    if len(done) and event.last_finite_loss > 0:
        last = done.iloc[-1]
        axes.plot(
            [last["epoch"]],
            [last["train/mse"]],
            "X",
            color=RED,
            markersize=9,
            label="last finite MSE",
            clip_on=False,
            zorder=5,
        )
    said = " exceeds 10⁶ × its start" if event.exceeds else f" = {number(event.value)}"
    axes.annotate(
        f"{event.what}{said}\nepoch {event.epoch}, evaluation {event.evaluation}",
        (event.epoch, 0.5),
        xycoords=("data", "axes fraction"),
        xytext=(8 if left else -8, 0),
        textcoords="offset points",
        ha="left" if left else "right",
        fontsize=8,
        color=RED,
    )
