"""When a number was not finite any more, over all problems."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.figure import Figure

from harness.escaping import drawn
from reports.comparing.groups import Group
from reports.pages.pictures import DPI, Picture, colour, margins, png


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
