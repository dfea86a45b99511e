"""The pictures of a study: matplotlib for its parent run, and one interactive page made with plotly."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import optuna
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from optuna.trial import FrozenTrial, TrialState
from optuna.visualization import (
    plot_optimization_history,
    plot_parallel_coordinate,
    plot_param_importances,
    plot_pareto_front,
    plot_slice,
)

from harness.figures.drawing import BLUE, DPI, GREEN, GREY, ORANGE, RED
from studies.definition import Study
from studies.space import Choice, Real
from studies.trials import can_be_weighed, feasible, succeeded


def figures(
    study: Study,
    trials: Sequence[FrozenTrial],
    best: Sequence[FrozenTrial],
    importance: Mapping[str, Mapping[str, float]],
) -> dict[str, Figure]:
    """The pictures that there is something to show on, by name."""
    found = succeeded(trials)
    if not found:
        return {}
    drawn = {"history": history_figure(study, trials), "slice": slice_figure(study, found)}
    if importance:
        drawn["importance"] = importance_figure(importance)
    if len(study.objectives) == 2:
        drawn["pareto"] = pareto_figure(study, found, best)
    return drawn


def history_figure(study: Study, trials: Sequence[FrozenTrial]) -> Figure:
    """Each objective over the trials, and the best so far; a trial without a result is a mark at the upper edge."""
    count = len(study.objectives)
    figure = Figure(figsize=(8, 3.6 * count), dpi=DPI, layout="constrained")
    found = succeeded(trials)
    numbers = {trial.number for trial in found}
    for index, (objective, axes) in enumerate(zip(study.objectives, _column(figure, count), strict=True)):
        kept = [trial for trial in found if feasible(trial)]
        x, y = [trial.number for trial in kept], [trial.values[index] for trial in kept]
        axes.plot(x, y, "o", color=BLUE, markersize=4, label="complete")
        if len(kept) < len(found):
            rest = [trial for trial in found if not feasible(trial)]
            at, values = [trial.number for trial in rest], [trial.values[index] for trial in rest]
            axes.plot(at, values, "o", color=GREY, fillstyle="none", markersize=4, label="violates a constraint")
        if kept:
            axes.step(x, np.minimum.accumulate(y), "-", where="post", color=ORANGE, linewidth=1.8, label="best so far")
        pruned = [trial.number for trial in trials if trial.state is TrialState.PRUNED]
        lost = [t.number for t in trials if t.state.is_finished() and t.number not in {*numbers, *pruned}]
        top = axes.get_xaxis_transform()
        for label, at, marker, colour in (("pruned", pruned, "v", GREY), ("without a result", lost, "x", RED)):
            if at:
                axes.plot(at, [0.97] * len(at), marker, color=colour, markersize=5, transform=top, label=label)
        axes.set(xlabel="trial", ylabel=objective.name)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(visible=True, alpha=0.25)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.14), ncols=5, frameon=False)
    return figure


def importance_figure(importance: Mapping[str, Mapping[str, float]]) -> Figure:
    """How much each hyperparameter counts for each objective (PED-ANOVA)."""
    rows = max(len(parts) for parts in importance.values())
    figure = Figure(figsize=(7.5, (0.8 + 0.4 * rows) * len(importance)), dpi=DPI, layout="constrained")
    for (objective, parts), axes in zip(importance.items(), _column(figure, len(importance)), strict=True):
        names = list(parts)[::-1]
        bars = axes.barh(names, [parts[name] for name in names], color=BLUE)
        axes.bar_label(bars, [f"{parts[name]:.0%}" for name in names], padding=3)
        axes.set(xlabel=f"importance for {objective}", xlim=(0, 1.1 * max(parts.values())))
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def slice_figure(study: Study, found: Sequence[FrozenTrial]) -> Figure:
    """Each objective over each hyperparameter; the colour is the order of the trials."""
    names = list(study.space)
    rows, columns = len(study.objectives), len(names)
    figure = Figure(figsize=(2.6 * columns, 2.9 * rows), dpi=DPI, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey="row")
    shown = None
    for index, objective in enumerate(study.objectives):
        for axes, name in zip(grid[index], names, strict=True):
            dimension = study.space[name]
            x: list[Any] = [trial.params[name] for trial in found]
            if isinstance(dimension, Choice):
                options = list(dimension.options)
                x = [options.index(each) for each in x]
                axes.set_xticks(range(len(options)), options, rotation=30, ha="right", fontsize=7)
            elif isinstance(dimension, Real) and dimension.log:
                axes.set(xscale="log", xlim=(dimension.low / 1.2, 1.2 * dimension.high))
                axes.xaxis.set_minor_formatter(NullFormatter())
                if dimension.high < 100 * dimension.low:
                    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:g}"))
            y, order = [t.values[index] for t in found], [t.number for t in found]
            shown = axes.scatter(x, y, c=order, cmap="viridis", s=16)
            axes.grid(visible=True, alpha=0.25)
            if index == rows - 1:
                axes.set_xlabel(name)
        grid[index][0].set_ylabel(objective.name)
    if shown is not None:
        figure.colorbar(shown, ax=grid.ravel().tolist(), label="trial", pad=0.01)
    return figure


def pareto_figure(study: Study, found: Sequence[FrozenTrial], best: Sequence[FrozenTrial]) -> Figure:
    """The two objectives against each other: trials that meet the constraints, those that don't, and the front."""
    figure = Figure(figsize=(7.5, 4.8), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    front = {trial.number for trial in best}
    groups = (
        ("violates a constraint", [t for t in found if not feasible(t)], GREY, "x"),
        ("meets the constraints", [t for t in found if feasible(t) and t.number not in front], BLUE, "o"),
    )
    for label, group, colour, marker in groups:
        if group:
            axes.plot([t.values[1] for t in group], [t.values[0] for t in group], marker, color=colour, label=label)
    if best:
        ordered = sorted(best, key=lambda trial: trial.values[1])
        x, y = [t.values[1] for t in ordered], [t.values[0] for t in ordered]
        axes.step(x, y, "-o", where="post", color=GREEN, label="Pareto front")
        for trial in ordered:
            axes.annotate(str(trial.number), (trial.values[1], trial.values[0]), (4, 5), textcoords="offset points")
    axes.set(xlabel=study.objectives[1].name, ylabel=study.objectives[0].name)
    axes.grid(visible=True, alpha=0.25)
    axes.legend(frameon=False)
    return figure


def page(study: Study, tuned: optuna.Study, title: str) -> str:
    """One HTML page with every interactive plot; plotly's script is in it, so that it needs no network."""
    parts: list[str] = []
    for index, objective in enumerate(study.objectives):
        shown: dict[str, Any] = {"target": lambda t, index=index: t.values[index], "target_name": objective.name}
        plots = [plot_optimization_history(tuned, **shown), plot_slice(tuned, **shown)]
        plots.append(plot_parallel_coordinate(tuned, **shown))
        if can_be_weighed(tuned):
            with suppress(RuntimeError, ValueError):  # all alike
                plots.append(plot_param_importances(tuned, **shown))
        parts += [_html(plot, first=not parts and number == 0) for number, plot in enumerate(plots)]
    if len(study.objectives) == 2:
        parts.append(_html(plot_pareto_front(tuned), first=False))
    name = html.escape(title)
    return f"<!doctype html><meta charset=utf-8><title>{name}</title><h1>{name}</h1>" + "\n".join(parts)


def _html(plot: Any, *, first: bool) -> str:
    return str(plot.to_html(full_html=False, include_plotlyjs=first))


def _column(figure: Figure, rows: int) -> list[Axes]:
    return list(figure.subplots(rows, 1, squeeze=False)[:, 0])
