"""What a run says of itself: the Markdown note on its page, and the facts of its problem."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from statistics import fmean

from harness.config import RunConfig
from harness.data import Sample, scale2
from harness.escaping import code, markdown
from harness.outcome import Ending
from harness.presets import KNOWS_TARGET, knows_target
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
    ended = "at work." if ending is None else f"**{ending.outcome.value}**. {markdown(ending.reason)}"
    lines = [f"{title}: {ended}"]
    if knows_target(config):
        lines += ["", f"{KNOWS_TARGET}."]
    if metrics and "final/dense_mse" in metrics:
        cells = [f"{metrics[f'final/{name}']:.3g}" for name in ("dense_mse", "dense_nmse", "linf")]
        cells.append(f"{metrics['model/active_params']:.0f}")
        lines += ["", "| dense MSE | NMSE | largest error | active parameters |", "|---|---|---|---|"]
        lines.append(f"| {' | '.join(cells)} |")
    for event in events[:1]:
        where = f"epoch {event.epoch}, stage {event.stage}, evaluation {event.evaluation}"
        first = "Exceeds 10^6 times its start" if event.exceeds else "First non-finite number"
        lines += ["", f"{first}: {event.what} = {event.value:.3g} at {where} (`nan_events.json`)."]
    lines += ["", f"Target: {code(problem.formula)} ({markdown(problem.citation)})."]
    if formula is not None:
        lines += ["", f"Formula found: {code(formula)}."]
        if metrics and "symbolic/dense_nmse" in metrics:
            lines[-1] += f" Its NMSE is {metrics['symbolic/dense_nmse']:.3g}."
    return "\n".join(lines)


FORMULA = 1000
"""Characters of a formula that are kept: a tag has room for 8000."""


def facts(problem: Problem, dense: Sample) -> str:
    """What a report needs to know of a problem, as JSON, so that it can do without the plug-in that declares it."""
    known = {
        "dimension": problem.dimension,
        "inputs": list(problem.inputs),
        "outputs": list(problem.outputs),
        "kind": problem.kind,
        "scale2": scale2(dense.y.double()),
        "smooth": problem.smooth,
        "sections": list(problem.sections),
        "formula": problem.formula[:FORMULA],
    }
    return json.dumps(known | _floor(problem, dense), ensure_ascii=False)


def _floor(problem: Problem, dense: Sample) -> dict[str, float]:
    """Of the rows of a file: the NMSE that rows of equal inputs leave to any function of the inputs, where there are some."""
    if problem.table is None:
        return {}
    of_outputs = zip(problem.table.spread, dense.y.double().split(1, dim=1), strict=True)
    floor = fmean(spread / scale2(y) for spread, y in of_outputs)
    return {"floor": floor} if math.isfinite(floor) else {}
