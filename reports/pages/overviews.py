"""The pictures over all problems, and the list of all pictures of a preset."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from harness.escaping import drawn
from harness.presets import KNOWS_TARGET
from reports.comparing.pruning import pruning_path
from reports.comparing.statistics import on_front
from reports.comparing.tables import Group, chosen, final_errors, groups_of
from reports.pages.pictures import DPI, LEAST, Picture, colour, label_panels, margins, panel_grid, png, said
from reports.pages.plots import fits, heatmaps, loss_curves
from reports.reading.artifacts import Artifacts
from reports.reading.cells import Cell
from reports.reading.evidence import Evidence
from reports.reading.targets import target_of
from reports.verdicts.verdict import median_figure


def pictures(evidence: Evidence, artifacts: Artifacts, preset: str) -> list[Picture]:
    """All pictures of a preset, those over all problems first."""
    groups = groups_of(evidence, preset)
    found = [pareto(preset, groups), nan_timeline(preset, groups)] if groups else []
    found += [path] if (path := pruning_path(preset, groups)) is not None else []
    for group in groups.values():
        known = target_of(itertools.chain(*group.values()))
        if known is None:
            continue
        found.append(loss_curves(known, preset, chosen(group), artifacts))
        found.append((fits if known.dimension == 1 else heatmaps)(known, preset, chosen(group), artifacts))
    return found


def pareto(preset: str, groups: Mapping[str, Group]) -> Picture:
    """Final NMSE against active parameters: every run small, the median of each variant large, the front as a line."""
    figure, panels = panel_grid(len(groups))
    seen: dict[str, None] = {}
    for axes, group in zip(panels, groups.values(), strict=True):
        points: list[tuple[float, float]] = []
        for model, cells in group.items():
            sizes: dict[str, list[Cell]] = {}
            for cell in cells:
                if cell.metric("model/active_params") is not None and cell.error() is not None:
                    sizes.setdefault(cell.variant, []).append(cell)
            for some in sizes.values():
                x = [cell.metric("model/active_params") or 1.0 for cell in some]
                y = [max(error, LEAST) for error in final_errors(some)]
                mark: Any = {"color": colour(model, list(group)), "linestyle": "none"}
                axes.plot(x[:200], y[:200], ".", markersize=3, alpha=0.4, **mark)
                point = (median_figure(x) or 1.0, median_figure(y) or math.inf)
                axes.plot(*point, "o", markersize=7, label=None if model in seen else drawn(model), **mark)
                seen[model] = None
                points.append(point)
        points.sort()
        front = [point for point, leads in zip(points, on_front(points), strict=True) if leads]
        axes.plot(*zip(*front, strict=True), color="#8c8c8c", linewidth=0.8, zorder=0) if front else None
        axes.set(xscale="log", yscale="log")
    handles = [axes.get_legend_handles_labels() for axes in panels]
    figure.legend(
        [h for hs, _ in handles for h in hs],
        [n for _, ns in handles for n in ns],
        loc="lower center",
        ncols=5,
        fontsize=8,
    )
    lost = [
        f"{model} on {problem}" for problem, group in groups.items() for model in group if not _has_size(group[model])
    ]
    label_panels(figure, panels, list(groups), "active parameters", "final NMSE")
    title = f"Error against parameters, {preset}"
    sentence = "Every run (small), the median of each variant (large), the Pareto front (line)."
    known = [f"{m} on {p}" for p, group in groups.items() for m in group if any(c.knows_target for c in group[m])]
    sentence += f" {KNOWS_TARGET}: {', '.join(known)}." if known else ""
    return Picture(
        f"pareto-{preset}", title, said(sentence, [f"no completed run: {name}" for name in lost]), png(figure, title)
    )


def _has_size(cells: Sequence[Cell]) -> bool:
    return any(cell.metric("model/active_params") is not None for cell in cells)


def nan_timeline(preset: str, groups: Mapping[str, Group]) -> Picture:
    """When each model met its first number that is not finite, by problem, as part of the planned epochs; a sentence where none
    did.
    """
    figure = Figure(figsize=(9, 0.9 + 0.26 * max(len(groups), 3)), dpi=DPI)
    axes = figure.subplots()
    events, known = 0, 0
    for row, (_, group) in enumerate(groups.items()):
        for model, cells in group.items():
            first = [
                step / max(cell.epochs, 1)
                for cell in cells
                if (step := cell.metric("nan/first_step")) is not None and step >= 0
            ]
            known += sum(cell.metric("nan/first_step") is not None for cell in cells)
            events += len(first)
            axes.plot(
                first,
                [row] * len(first),
                "X",
                color=colour(model, list(group)),
                markersize=7,
                label=drawn(model),
                alpha=0.7,
            )
    axes.set(xlim=(0, 1.02), ylim=(len(groups) - 0.5, -0.5), xlabel="part of the planned epochs")
    axes.set_yticks(range(len(groups)), [drawn(problem) for problem in groups], fontsize=8)
    axes.grid(visible=True, alpha=0.25)
    title = f"First number that is not finite, {preset}"
    if not events:
        sentence = f"none of {known} runs met a NaN or an infinity." if known else "no run has recorded this."
        return Picture(f"nan-{preset}", title, sentence, None)
    by_label = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(by_label.values(), by_label.keys(), loc="center right", fontsize=8)
    margins(figure, left=1.7, right=1.5)
    sentence = f"{events} of {known} runs met a NaN or an infinity."
    return Picture(f"nan-{preset}", title, sentence, png(figure, title))
