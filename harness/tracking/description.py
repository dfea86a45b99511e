"""The Markdown note on a run's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.config import RunConfig
from harness.outcome import Ending
from harness.problems import Problem
from harness.training import NonFinite


def describe(
    config: RunConfig,
    problem: Problem,
    ending: Ending | None = None,
    metrics: Mapping[str, float] | None = None,
    events: Sequence[NonFinite] = (),
    formula: str | None = None,
) -> str:
    """What the run is, and once it has an ``ending``, how it went."""
    title = f"**{config.model}** on **{config.problem}**, seed {config.seed}, preset `{config.preset}`"
    lines = [f"{title}: at work." if ending is None else f"{title}: **{ending.outcome.value}**. {ending.reason}"]
    if metrics and "final/dense_mse" in metrics:
        cells = [f"{metrics[f'final/{name}']:.3g}" for name in ("dense_mse", "dense_nmse", "linf")]
        cells.append(f"{metrics['model/active_params']:.0f}")
        lines += ["", "| dense MSE | NMSE | largest error | active parameters |", "|---|---|---|---|"]
        lines.append(f"| {' | '.join(cells)} |")
    for event in events[:1]:
        where = f"epoch {event.epoch}, stage {event.stage}, evaluation {event.evaluation}"
        lines += ["", f"First non-finite number: {event.what} = {event.value:.3g} at {where} (`nan_events.json`)."]
    lines += ["", f"Target: `{problem.formula}` ({problem.citation})."]
    if formula is not None:
        lines += ["", f"Formula found: `{formula}`."]
        if metrics and "symbolic/dense_nmse" in metrics:
            lines[-1] += f" Its NMSE is {metrics['symbolic/dense_nmse']:.3g}."
    return "\n".join(lines)
