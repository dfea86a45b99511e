"""The errors of a training over its epochs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from harness.figures.drawing import BLUE, GREEN, GREY, ORANGE, RED, axes_at, blank, number, tick_decades
from harness.training import NonFinite

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Curve:
    """How a column of a history is drawn."""

    metric: str
    label: str
    colour: str
    width: float
    style: str


def loss_figure(history: pd.DataFrame, events: Sequence[NonFinite], title: str) -> Figure:
    """Training and test MSE over the epochs, with the stages, changes of the learning rate, and every non-finite event.

    ``history`` has a row for each planned epoch (``epoch``, ``stage``, ``train/mse``, ``test/mse``, ``lr``); NaN leaves a gap.
    """
    figure = blank(8, 4.5, title)
    axes = axes_at(figure, 0.85, 0.5, 7.0, 3.4 if history["stage"].nunique() > 1 else 3.65)
    curves = [Curve("train/mse", "train MSE", BLUE, 1.8, "-"), Curve("test/mse", "test MSE", ORANGE, 1.4, "--")]
    draw_curves(axes, history, curves)
    axes.set(xlabel="epoch", ylabel="MSE, squared units of the target")
    mark(axes, history, events, "train/mse", "MSE")
    if axes.lines and history["train/mse"].notna().any():
        axes.set_ylabel(f"MSE{tick_decades(axes.yaxis)}, squared units of the target")
        axes.legend(loc="best", framealpha=0.9, fontsize=9)
    else:
        say_that_there_is_none(axes)
    return figure


def draw_curves(axes: Axes, history: pd.DataFrame, curves: Sequence[Curve]) -> None:
    """Columns of a history over its epochs, on a logarithmic axis; what has no finite number is left out."""
    from matplotlib.ticker import MaxNLocator

    epoch = history["epoch"].to_numpy()
    # An error of exactly 0 has no place on a logarithmic axis; it is drawn at the least positive one.
    for curve in curves:
        values = history[curve.metric]
        if not values.notna().any():
            continue
        axes.plot(
            epoch,
            values.clip(lower=np.finfo(float).tiny).to_numpy(),
            curve.style,
            color=curve.colour,
            linewidth=curve.width,
            label=curve.label,
            marker="o" if values.count() == 1 else None,
        )
    axes.set(yscale="log", xlim=(min(0.5, epoch.min() - 0.5), epoch.max() + 0.5))
    axes.grid(visible=True, which="major", alpha=0.25)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))


def mark(axes: Axes, history: pd.DataFrame, events: Sequence[NonFinite], metric: str, what: str) -> None:
    """The stages, changes of the learning rate, and non-finite events, with a cross on the last finite point of a curve."""
    _mark_stages(axes, history)
    _mark_rates(axes, history)
    for event in events:
        _mark_event(axes, event, history, metric, what)


def say_that_there_is_none(axes: Axes) -> None:
    """Instead of curves."""
    from matplotlib.ticker import NullLocator

    axes.text(0.5, 0.75, "no epoch ended with a finite error", ha="center", transform=axes.transAxes)
    axes.yaxis.set_major_locator(NullLocator())
    axes.yaxis.set_minor_locator(NullLocator())


def starts_of_stages(history: pd.DataFrame) -> list[tuple[int, str]]:
    """The first epoch of each stage with its name, where there are several."""
    stages = history["stage"].dropna()
    starts = stages.index[stages.ne(stages.shift())]
    return [(int(history.loc[start, "epoch"]), stages.loc[start]) for start in starts] if len(starts) > 1 else []


def _mark_stages(axes: Axes, history: pd.DataFrame) -> None:
    last = -math.inf
    for epoch, name in starts_of_stages(history):
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


def _mark_event(axes: Axes, event: NonFinite, history: pd.DataFrame, metric: str, what: str) -> None:
    """A line where it happened, what it was, and a cross on the last point of the curve, where there is one."""
    left = event.epoch < np.mean(axes.get_xlim())
    axes.axvline(event.epoch, color=RED, linewidth=1.2)
    done = history[history[metric].notna()]
    if len(done) and event.last_finite_loss > 0:
        last = done.iloc[-1]
        axes.plot(
            [last["epoch"]],
            [last[metric]],
            "X",
            color=RED,
            markersize=9,
            label=f"last finite {what}",
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
