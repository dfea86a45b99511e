"""Error against parameters over all problems."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from harness.escaping import drawn
from harness.presets import KNOWS_TARGET
from harness.protocol import FLOOR
from reports.comparing.groups import Group, final_errors, floors_of
from reports.comparing.statistics import on_front
from reports.pages.pictures import LEAST, Picture, colour, label_panels, panel_grid, png, said
from reports.reading.cells import Cell
from reports.verdicts.verdict import median_figure


def pareto_front(preset: str, groups: Mapping[str, Group]) -> Picture:
    """Final NMSE against active parameters: every run small, the median of each variant large, the front as a line."""
    figure, panels = panel_grid(len(groups))
    seen: dict[str, None] = {}
    floors = floors_of(groups)
    for axes, (problem, group) in zip(panels, groups.items(), strict=True):
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
        front = [
            point for point, leads in zip(points, on_front(points, floors.get(problem, FLOOR)), strict=True) if leads
        ]
        axes.plot(*zip(*front, strict=True), color="#8c8c8c", linewidth=0.8, zorder=0) if front else None
        axes.set(xscale="log", yscale="log")
    handles = {name: mark for axes in panels for mark, name in zip(*axes.get_legend_handles_labels(), strict=True)}
    lost = [
        f"{model} on {problem}" for problem, group in groups.items() for model in group if not _has_size(group[model])
    ]
    label_panels(figure, panels, list(groups), "active parameters", "final NMSE", handles, 5)
    title = f"Error against parameters, {preset}"
    sentence = "Every run (small), the median of each variant (large), the Pareto front (line)."
    known = [f"{m} on {p}" for p, group in groups.items() for m in group if any(c.knows_target for c in group[m])]
    sentence += f" {KNOWS_TARGET}: {', '.join(known)}." if known else ""
    return Picture(
        f"pareto-{preset}", title, said(sentence, [f"no completed run: {name}" for name in lost]), png(figure, title)
    )


def _has_size(cells: Sequence[Cell]) -> bool:
    return any(cell.metric("model/active_params") is not None for cell in cells)
