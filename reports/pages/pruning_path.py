"""How far a KAN can be cut, as a picture: its error in relation to the unpruned twin's against what is gone."""

from __future__ import annotations

from collections.abc import Mapping

from reports.comparing.cuts import MODEL, paths
from reports.comparing.groups import Group
from reports.pages.pictures import COLOURS, Picture, label_panels, panel_grid, png, said
from reports.verdicts.pruning_rules import LARGEST_LOSS

SHOWN = (1e-3, 1e6)
"""The ratios that a panel has room for; what lies beyond is drawn at its edge."""


def pruning_path(preset: str, groups: Mapping[str, Group]) -> Picture | None:
    """A panel a problem: the error ratio to the unpruned twin against what was cut, every seed a point, medians a line."""
    found = paths(groups)
    if not found:
        return None
    figure, panels = panel_grid(len(found))
    for axes, of in zip(panels, found.values(), strict=True):
        for cut in of:
            ends = [(x, _within(r), _within(raw)) for x, r, raw in zip(cut.reached, cut.ratios, cut.raw, strict=False)]
            axes.plot(
                [x for x, _, _ in ends], [r for _, _, r in ends], "x", color="#8c8c8c", markersize=4, label="raw ratio"
            )
            axes.plot([x for x, _, _ in ends], [r for _, r, _ in ends], ".", color=COLOURS[MODEL], label="ratio (K2)")
        line = [(cut.reduction, _within(cut.ratio)) for cut in of if cut.reached]
        axes.plot(*zip(*line, strict=True), color=COLOURS[MODEL], linewidth=1.2) if line else None
        axes.axhline(LARGEST_LOSS, color="#8c8c8c", linewidth=0.8, linestyle="--")
        axes.set(yscale="log", xlim=(0, 1))
    handles = dict(zip(*reversed(panels[0].get_legend_handles_labels()), strict=True))
    label_panels(figure, panels, list(found), "parameters removed", "error / twin's", handles, 2)
    title = f"Pruning path, {preset}"
    sentence = (
        "Error in relation to the unpruned twin's against the part of the active parameters that is really gone: every seed a "
        "point, medians of what was told a line, 2x dashed; crosses without the floor of K2. A greedy cut stops where the "
        "validation error does not bear more."
    )
    lost = [
        f"{len(cut.ratios) - len(cut.reached)} diverged on {problem} told {cut.asked}"
        for problem, of in found.items()
        for cut in of
        if len(cut.ratios) > len(cut.reached)
    ]
    return Picture(f"pruning-{preset}", title, said(sentence, lost), png(figure, title))


def _within(ratio: float) -> float:
    return min(max(ratio, SHOWN[0]), SHOWN[1])
