"""The pictures of a run: data in, a matplotlib figure out. Nothing here touches pyplot, a file or a global setting.

matplotlib is imported where something is drawn, at the end of a run: half a second that no start waits for. Margins are given,
in inches: finding them (matplotlib's constrained layout) draws a figure several times over.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.data import Data
from harness.evaluation import as_grid
from harness.models import KAN
from harness.problems import Problem
from harness.training import NonFinite

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

# Okabe and Ito 2008, "Color Universal Design": told apart with any kind of colour vision.
BLACK, BLUE, ORANGE, GREEN, RED, GREY = "#000000", "#0072B2", "#E69F00", "#009E73", "#D55E00", "#8c8c8c"
DPI = 120

Float64 = NDArray[np.float64]


def _figure(width: float, height: float, title: str) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI)
    figure.suptitle(title, fontsize=11, y=1 - 0.05 / height)
    return figure


def _axes(figure: Figure, left: float, bottom: float, width: float, height: float, **options: Any) -> Axes:
    """Axes whose frame is at that place, in inches."""
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up), **options)


SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _power(exponent: int) -> str:
    """``10⁻⁵``, as text: matplotlib's own is set by its mathtext, which is slow, and beside text has another minus."""
    return f"10{str(exponent).translate(SUPERSCRIPT)}"


def _number(value: float, digits: int = 3) -> str:
    """A number as every text of a figure spells it: ``−0.25``, ``2.61×10⁻¹²``."""
    mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
    shown = mantissa.replace("-", "−")
    return f"{shown}×{_power(int(exponent))}" if exponent else shown


def _typeset(formula: str) -> str:
    """A formula of a problem as text, with the signs of print. A dollar would make mathtext of it."""
    text = re.sub(r"\bpi\b", "π", formula.replace("$", r"\$"))
    return re.sub(r"\^(-?\d+)", lambda found: found[1].translate(SUPERSCRIPT), text).replace("-", "−")


def _label_in_units(axis: Axis, largest: float) -> str:
    """Count an axis in the power of ten of its largest value, and give what to say of that beside its name."""
    from matplotlib.ticker import FuncFormatter

    exponent = math.floor(math.log10(largest)) if 0 < largest < math.inf else 0
    exponent = 0 if -3 < exponent < 4 else max(exponent, -307)
    axis.set_major_formatter(FuncFormatter(lambda value, _: _number(value / 10.0**exponent, 6)))
    return f" ({_power(exponent)})" if exponent else ""


def loss_figure(history: pd.DataFrame, events: Sequence[NonFinite], title: str) -> Figure:
    """Training and test MSE over the epochs, with the stages, changes of the learning rate, and every non-finite event.

    ``history`` has a row for each planned epoch (``epoch``, ``stage``, ``train/mse``, ``test/mse``, ``lr``); NaN leaves a gap.
    """
    from matplotlib.ticker import MaxNLocator, NullLocator

    figure = _figure(8, 4.5, title)
    axes = _axes(figure, 0.85, 0.5, 7.0, 3.4 if history["stage"].nunique() > 1 else 3.65)
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
            FuncFormatter(lambda value, _: _power(round(math.log10(value))) if value > 0 else "")
        )
        return
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if high > 5 * low else MaxNLocator(6, steps=[1, 2, 5, 10]))
    axes.set_ylabel(f"MSE{_label_in_units(axes.yaxis, high)}, squared units of the target")


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
            f"lr = {_number(rates.loc[index])}",
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
    said = " exceeds 10⁶ × its start" if event.exceeds else f" = {_number(event.value)}"
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


def fit_figure(problem: Problem, data: Data, prediction: Tensor, title: str) -> Figure:
    """A 1D fit: target and prediction on the target's scale, and the residual in a panel of its own."""
    from matplotlib.ticker import MaxNLocator

    x, y = (tensor.detach().cpu().double().flatten().numpy() for tensor in (data.dense.x, data.dense.y))
    p = prediction.detach().cpu().double().flatten().numpy()
    residual = p - y
    largest = float(np.abs(residual).max())
    figure = _figure(8, 5.5, f"{title}\ndense MSE {_number(np.mean(residual**2))}, largest error {_number(largest)}")
    top = _axes(figure, 0.85, 2.2, 7.0, 2.75)
    bottom = _axes(figure, 0.85, 0.85, 7.0, 1.25, sharex=top)
    top.tick_params(labelbottom=False)
    top.plot(x, y, color=BLACK, linewidth=2.6, alpha=0.35, label=f"target  {_typeset(problem.formula)}", gid="target")
    top.plot(x, p, "--", color=BLUE, linewidth=1.3, label="prediction", gid="prediction")
    top.plot(
        data.train.x.cpu().flatten(),
        np.zeros(len(data.train.x)),
        "|",
        color=GREY,
        alpha=0.5,
        markersize=6,
        transform=top.get_xaxis_transform(),
        label=f"{len(data.train.x)} training points",
    )
    low, high = float(y.min()), float(y.max())
    # The prediction never sets the scale: a bad one runs out of the panel instead of flattening the target.
    spread = (high - low) or abs(high) or 1.0
    top.set(ylim=(low - 0.35 * spread, high + 0.35 * spread))
    top.set_ylabel(f"value{_label_in_units(top.yaxis, max(abs(low), abs(high)))}")
    figure.legend(*top.get_legend_handles_labels(), loc="lower center", ncols=3, fontsize=9, frameon=False)
    bottom.plot(x, residual, color=ORANGE, linewidth=1.0, gid="residual")
    bottom.axhline(0, color=BLACK, linewidth=0.6)
    if np.isfinite(largest) and largest > 0:
        bottom.set_ylim(-1.15 * largest, 1.15 * largest)
    bottom.set(xlabel="x", xlim=problem.bounds[0])
    bottom.set_ylabel(f"residual{_label_in_units(bottom.yaxis, largest)}")
    bottom.yaxis.set_major_locator(MaxNLocator(5, symmetric=True))
    for axes in (top, bottom):
        axes.yaxis.set_label_coords(-0.085, 0.5)  # below one another, whatever the width of the numbers
        axes.grid(visible=True, alpha=0.25)
    return figure


def heatmap_figure(problem: Problem, data: Data, prediction: Tensor, title: str) -> Figure:
    """A 2D fit: target and prediction on one colour scale, and the signed error on its own."""
    target, fitted = (as_grid(tensor.detach().cpu().double()).numpy() for tensor in (data.dense.y, prediction))
    error = fitted - target
    largest = float(np.abs(error).max())
    figure = _figure(
        11.8,
        4.2,
        f"{title}\n{_typeset(problem.formula)}:  dense MSE {_number(np.mean(error**2))}, largest error {_number(largest)}",
    )
    bound = largest if np.isfinite(largest) and largest > 0 else 1.0
    scale = float(target.min()), float(target.max())
    panels = [
        (0.75, "target", target, "viridis", *scale),
        (4.0, "prediction", fitted, "viridis", *scale),
        (7.75, "error", error, "PuOr", -bound, bound),
    ]
    for left, name, values, cmap, low, high in panels:
        axes = _axes(figure, left, 0.5, 2.9, 2.9)
        image = axes.imshow(
            values.T,
            origin="lower",
            extent=(*problem.bounds[0], *problem.bounds[1]),
            cmap=cmap,
            vmin=low,
            vmax=high,
            interpolation="nearest",
        )
        axes.set(xlabel="x")
        unit = ""
        if name == "target":
            axes.set_ylabel("y")
        else:
            axes.set_yticks([])
            # One bar for the two panels that share a scale, with arrows where the prediction leaves it by a shade.
            shade = (high - low) / 256
            outside = (values.min() < low - shade, values.max() > high + shade)
            extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[
                bool(outside[0]), bool(outside[1])
            ]
            bar = _axes(figure, left + 3.15, 0.5, 0.15, 2.9)
            figure.colorbar(image, cax=bar, extend=extend)
            unit = _label_in_units(bar.yaxis, max(abs(low), abs(high)))
        axes.set_title(f"{name}{unit}", y=1.0)  # a given height: finding one measures every tick label
    return figure


def kan_figure(network: KAN, inputs: Tensor, title: str) -> Figure:
    """A KAN as a diagram: each live edge with its function, the darker the higher its attribution score; cut edges dotted."""
    sizes = [layer.mask.shape[0] for layer in network] + [list(network)[-1].mask.shape[1]]
    edges = max(a * b for a, b in itertools.pairwise(sizes))
    width, height = 3.2 + 3.0 * (len(sizes) - 1), min(2.2 + 0.55 * edges, 9.0)
    total = sum(layer.mask.numel() for layer in network)
    figure = _figure(width, height, f"{title}\nG = {network.grid}, {network.active_edges()} live edges of {total}")
    axes = _axes(figure, 0, 0, width, height - 0.5)
    axes.set(xlim=(-0.25, len(sizes) - 0.75), ylim=(-0.02, 1.02))
    axes.axis("off")
    heights = [[(i + 0.5) / size for i in range(size)] for size in sizes]
    _, scores = network.attribute(inputs)
    with torch.no_grad():
        for index, layer in enumerate(network):
            _draw_layer(
                axes, index, heights[index], heights[index + 1], inputs, layer.edges(inputs), layer.mask, scores[index]
            )
            inputs = layer(inputs)
    names = [
        ["x"] if sizes[0] == 1 else ["x", "y", *[f"x{i}" for i in range(3, sizes[0] + 1)]][: sizes[0]],
        *[[""] * size for size in sizes[1:-1]],
        ["f"] * sizes[-1],
    ]
    for column, (ys, labels) in enumerate(zip(heights, names, strict=True)):
        axes.plot([column] * len(ys), ys, "o", color=BLACK, markersize=6, zorder=4)
        for y, label in zip(ys, labels, strict=True):
            axes.annotate(
                label,
                (column, y),
                xytext=(-12 if column == 0 else 9, -4),
                textcoords="offset points",
                fontsize=11,
                fontstyle="italic",
            )
    return figure


def _draw_layer(
    axes: Axes,
    column: int,
    left: list[float],
    right: list[float],
    x: Tensor,
    values: Tensor,
    mask: Tensor,
    scores: Tensor,
) -> None:
    """The edges between two columns of nodes; each live one passes through a small plot of its function.

    All lines of a layer are one artist: axes of its own for each edge took as long as the rest of the figure.
    """
    from matplotlib.collections import LineCollection, PolyCollection

    scores = scores.nan_to_num(posinf=0.0)  # matplotlib raises at an opacity that is not a number
    strongest = float(scores.max()) or 1.0
    pairs = [(i, j) for j in range(len(right)) for i in range(len(left))]
    size = 0.8 / max(len(pairs), 3)
    cut, wires, frames, curves, opacities = [], [], [], [], []
    order = x.argsort(dim=0)
    for slot, (i, j) in enumerate(pairs):
        y = (slot + 0.5) / len(pairs)
        start, end, low, high = column + 0.42, column + 0.58, y - size / 2, y + size / 2
        if mask[i, j] == 0:
            cut.append([(column, left[i]), (start, y), (end, y), (column + 1, right[j])])
            continue
        wires += [[(column, left[i]), (start, y)], [(end, y), (column + 1, right[j])]]
        frames.append([(start, low), (end, low), (end, high), (start, high)])
        curve = torch.stack([x[order[:, i], i], values[order[:, i], i, j]], dim=1).cpu().double().numpy()
        curves.append(_fitted(curve, start, low, 0.16, size))
        opacities.append(0.15 + 0.85 * math.sqrt(max(float(scores[j, i]), 0.0) / strongest))
    axes.add_collection(LineCollection(cut, colors=GREY, alpha=0.4, linewidths=0.8, linestyles=":"))
    axes.add_collection(LineCollection(wires, colors=[(BLACK, a) for a in opacities for _ in "in"], linewidths=1.3))
    axes.add_collection(PolyCollection(frames, facecolors="white", edgecolors=GREY, linewidths=0.6, zorder=3))
    shades = [(BLUE, max(opacity, 0.4)) for opacity in opacities]
    axes.add_collection(LineCollection(curves, colors=shades, linewidths=1.2, zorder=3))


def _fitted(curve: Float64, left: float, bottom: float, width: float, height: float) -> Float64:
    """A curve, one row a point, moved and stretched to fill a rectangle but for a margin; a constant runs in its middle."""
    low, span = curve.min(axis=0), np.ptp(curve, axis=0)
    share = np.where(span > 0, (curve - low) / np.where(span > 0, span, 1), 0.5)
    return np.array((left, bottom)) + np.array((width, height)) * (0.05 + 0.9 * share)
