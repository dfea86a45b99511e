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
        where = "dense" if problem.table is None else "held-out"
        lines += ["", f"| {where} MSE | NMSE | largest error | active parameters |", "|---|---|---|---|"]
        lines.append(f"| {' | '.join(cells)} |")
        lines += _beside(config, problem, metrics)
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


def _beside(config: RunConfig, problem: Problem, metrics: Mapping[str, float]) -> list[str]:
    """What has to be known of the errors of a sample, of rows of a file, and of several outputs."""
    lines = []
    if "final/dense_nmse_low" in metrics:
        ends = metrics["final/dense_nmse_low"], metrics["final/dense_nmse_high"]
        lines += ["", f"95% interval of the NMSE: {ends[0]:.3g} to {ends[1]:.3g}."]
    if problem.table is not None:
        rows = "pixels" if problem.table.image else "rows"
        lines[-1] += f" Errors are of {config.n_test:,} {rows} that were held out."
        if "final/psnr" in metrics:
            lines[-1] += f" Their PSNR is {metrics['final/psnr']:.1f} dB."
        lines += ["", f"Nothing is known between the {rows}, so there is no H1 error."]
        floor = fmean(problem.table.spread or (math.nan,))
        if floor > 0:  # not where no two rows have equal inputs
            said = f"Rows of equal inputs differ in the target by a variance of {floor:.3g}: a floor of the MSE on new rows."
            if metrics["final/dense_mse"] < floor:
                said += " **The held-out MSE is below it**: too few rows to tell, or a leak."
            lines += ["", said]
        if problem.table.dropped:
            lines += ["", f"{problem.table.dropped:,} rows were dropped, since they lack a value."]
    of_outputs = {name: value for name, value in metrics.items() if name.startswith("final/dense_nmse/")}
    if of_outputs:
        each = ", ".join(f"{markdown(name.rsplit('/', 1)[1])} {value:.3g}" for name, value in of_outputs.items())
        lines += ["", f"NMSE of each output: {each}."]
    return lines


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
