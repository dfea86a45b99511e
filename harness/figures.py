"""The pictures of a run: data in, a matplotlib figure out. Nothing here touches pyplot, a file or a global setting."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from harness.data import Data
from harness.evaluation import as_grid
from harness.models import KAN
from harness.problems import Problem
from harness.training import NonFinite

# Okabe and Ito 2008, "Color Universal Design": told apart with any kind of colour vision.
BLACK, BLUE, ORANGE, GREEN, RED, GREY = "#000000", "#0072B2", "#E69F00", "#009E73", "#D55E00", "#8c8c8c"
DPI = 120


def loss_figure(history: pd.DataFrame, events: Sequence[NonFinite], title: str) -> Figure:
    """Training and test MSE over the epochs, with the stages, changes of the learning rate, and every non-finite event.

    ``history`` has a row for each planned epoch (``epoch``, ``stage``, ``train/mse``, ``test/mse``, ``lr``); NaN leaves a gap.
    """
    figure = Figure(figsize=(8, 4.5), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    epoch = history["epoch"].to_numpy()
    # An MSE of exactly 0 has no place on a logarithmic axis; it is drawn at the least positive one.
    lines = [("train", history["train/mse"], BLUE, 1.8, "-"), ("test", history["test/mse"], ORANGE, 1.4, "--")]
    for label, values, colour, width, style in lines:
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
        ylabel="MSE (squared units of the target)",
        xlim=(min(0.5, epoch.min() - 0.5), epoch.max() + 0.5),
    )
    axes.grid(visible=True, which="major", alpha=0.25)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _mark_stages(axes, history)
    _mark_rates(axes, history)
    for event in events:
        _mark_event(axes, event)
    if not history["train/mse"].notna().any():
        axes.text(0.5, 0.5, "no epoch ended with a finite error", ha="center", transform=axes.transAxes)
        axes.set_yticks([])
    axes.legend(loc="best", framealpha=0.9, fontsize=9)
    figure.suptitle(title, fontsize=11)
    return figure


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
            f"lr = {rates.loc[index]:.3g}",
            (epoch - 0.5, 0.02),
            xycoords=("data", "axes fraction"),
            xytext=(3, 0),
            textcoords="offset points",
            fontsize=8,
            color=GREEN,
        )


def _mark_event(axes: Axes, event: NonFinite) -> None:
    left = event.epoch < np.mean(axes.get_xlim())
    axes.axvline(event.epoch, color=RED, linewidth=1.2)
    if math.isfinite(event.last_finite_loss) and event.last_finite_loss > 0:
        axes.plot(
            [event.epoch],
            [event.last_finite_loss],
            "X",
            color=RED,
            markersize=9,
            label="last finite MSE",
            clip_on=False,
            zorder=5,
        )
    axes.annotate(
        f"{event.what} = {event.value:.2g}\nepoch {event.epoch}, evaluation {event.evaluation}",
        (event.epoch, 0.5),
        xycoords=("data", "axes fraction"),
        xytext=(8 if left else -8, 0),
        textcoords="offset points",
        ha="left" if left else "right",
        fontsize=8,
        color=RED,
    )


def fit_figure(problem: Problem, data: Data, prediction: Tensor, title: str) -> Figure:
    """A 1D fit: target and prediction on the target's scale, and the residual in a panel of its own."""
    figure = Figure(figsize=(8, 5.5), dpi=DPI, layout="constrained")
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2.2, 1])
    x, y = (tensor.detach().cpu().double().flatten().numpy() for tensor in (data.dense.x, data.dense.y))
    p = prediction.detach().cpu().double().flatten().numpy()
    top.plot(x, y, color=BLACK, linewidth=2.6, alpha=0.35, label=f"target  {problem.formula}")
    top.plot(x, p, "--", color=BLUE, linewidth=1.3, label="prediction")
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
    top.set(ylim=(low - 0.35 * spread, high + 0.35 * spread), ylabel="value")
    figure.legend(*top.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    residual = p - y
    bottom.plot(x, residual, color=ORANGE, linewidth=1.0)
    bottom.axhline(0, color=BLACK, linewidth=0.6)
    largest = float(np.abs(residual).max())
    if np.isfinite(largest) and largest > 0:
        bottom.set_ylim(-1.15 * largest, 1.15 * largest)
    bottom.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    bottom.set(xlabel="x", ylabel="residual", xlim=(problem.low, problem.high))
    for axes in (top, bottom):
        axes.grid(visible=True, alpha=0.25)
    figure.suptitle(f"{title}\ndense MSE {np.mean(residual**2):.3g}, largest error {largest:.3g}", fontsize=11)
    return figure


def heatmap_figure(problem: Problem, data: Data, prediction: Tensor, title: str) -> Figure:
    """A 2D fit: target and prediction on one colour scale, and the signed error on its own."""
    figure = Figure(figsize=(11.5, 4.2), dpi=DPI, layout="constrained")
    panels = figure.subplots(1, 3, sharex=True, sharey=True)
    target, fitted = (as_grid(tensor.detach().cpu().double()).numpy() for tensor in (data.dense.y, prediction))
    error = fitted - target
    largest = float(np.abs(error).max())
    bound = largest if np.isfinite(largest) and largest > 0 else 1.0
    scales = [
        ("target", target, "viridis", float(target.min()), float(target.max())),
        ("prediction", fitted, "viridis", float(target.min()), float(target.max())),
        ("error", error, "PuOr", -bound, bound),
    ]
    for axes, (name, values, cmap, low, high) in zip(panels, scales, strict=True):
        image = axes.imshow(
            values.T,
            origin="lower",
            extent=(problem.low, problem.high) * 2,
            cmap=cmap,
            vmin=low,
            vmax=high,
            interpolation="nearest",
        )
        axes.set(title=name, xlabel="x")
        if name != "target":
            # One bar for the two panels that share a scale, with arrows where the prediction leaves it.
            outside = (values.min() < low, values.max() > high)
            extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}[
                bool(outside[0]), bool(outside[1])
            ]
            figure.colorbar(image, ax=axes, shrink=0.82, extend=extend, format="%.3g")
    panels[0].set_ylabel("y")
    figure.suptitle(
        f"{title}\n{problem.formula}:  dense MSE {np.mean(error**2):.3g}, largest error {largest:.3g}", fontsize=11
    )
    return figure


def kan_figure(network: KAN, inputs: Tensor, title: str) -> Figure:
    """A KAN as a diagram: each live edge with its function, the darker the higher its attribution score; cut edges dotted."""
    sizes = [layer.mask.shape[0] for layer in network] + [list(network)[-1].mask.shape[1]]
    edges = max(a * b for a, b in itertools.pairwise(sizes))
    figure = Figure(figsize=(3.2 + 3.0 * (len(sizes) - 1), min(2.2 + 0.55 * edges, 9.0)), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(-0.25, len(sizes) - 0.75), ylim=(-0.06, 1.06))
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
    figure.suptitle(
        f"{title}\nG = {network.grid}, {network.active_edges()} live edges of {sum(layer.mask.numel() for layer in network)}",
        fontsize=11,
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
    """The edges between two columns of nodes; each live one passes through a small plot of its function."""
    scores = scores.nan_to_num(posinf=0.0)  # matplotlib raises at an opacity that is not a number
    strongest = float(scores.max()) or 1.0
    pairs = [(i, j) for j in range(len(right)) for i in range(len(left))]
    size = 0.8 / max(len(pairs), 3)
    for slot, (i, j) in enumerate(pairs):
        y = (slot + 0.5) / len(pairs)
        if mask[i, j] == 0:
            axes.plot(
                [column, column + 0.42, column + 0.58, column + 1],
                [left[i], y, y, right[j]],
                ":",
                color=GREY,
                alpha=0.4,
                linewidth=0.8,
            )
            continue
        strength = 0.15 + 0.85 * math.sqrt(max(float(scores[j, i]), 0.0) / strongest)
        axes.plot([column, column + 0.42], [left[i], y], color=BLACK, alpha=strength, linewidth=1.3)
        axes.plot([column + 0.58, column + 1], [y, right[j]], color=BLACK, alpha=strength, linewidth=1.3)
        order = x[:, i].argsort()
        curve_x, curve_y = x[order, i].cpu().numpy(), values[order, i, j].cpu().numpy()
        panel = axes.inset_axes((column + 0.42, y - size / 2, 0.16, size), transform=axes.transData, zorder=3)
        panel.plot(curve_x, curve_y, color=BLUE, alpha=max(strength, 0.4), linewidth=1.2)
        panel.set(xticks=[], yticks=[])
        for spine in panel.spines.values():
            spine.set(color=GREY, linewidth=0.6)
