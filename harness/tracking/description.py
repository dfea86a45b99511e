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
from harness.problems import Equation, Problem
from harness.problems.equation import Condition
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
    if problem.equation is not None:
        lines += ["", _task(config, problem, problem.equation)]
    if metrics and "final/dense_mse" in metrics:
        lines += ["", *_errors(problem, metrics), *_beside(config, problem, metrics)]
    for event in events[:1]:
        where = f"epoch {event.epoch}, stage {event.stage}, evaluation {event.evaluation}"
        first = "Exceeds 10^6 times its start" if event.exceeds else "First non-finite number"
        lines += ["", f"{first}: {event.what} = {event.value:.3g} at {where} (`nan_events.json`)."]
    target = "Target" if problem.equation is None else "Reference solution"
    lines += ["", f"{target}: {code(problem.formula)} ({markdown(problem.citation)})."]
    if formula is not None:
        lines += ["", f"Formula found: {code(formula)}."]
        if metrics and "symbolic/dense_nmse" in metrics:
            lines[-1] += f" Its NMSE is {metrics['symbolic/dense_nmse']:.3g}."
    return "\n".join(lines)


def _task(config: RunConfig, problem: Problem, equation: Equation) -> str:
    """What is solved, and what a training knows of it."""
    u = markdown(problem.outputs[0])
    ranges = zip(problem.inputs, problem.bounds, strict=True)
    where = ", ".join(f"{markdown(name)} from {low:g} to {high:g}" for name, (low, high) in ranges)
    given = "; ".join(_given(problem, condition) for condition in equation.conditions)
    return (
        f"Solved: {code(equation.formula)}, for {where}, with given {given}.\n\n"
        f"The model is {u}. Training changes it until the equation holds at {config.n_train:,} points inside and what is given "
        "on the boundary is met there; how far it is from that is the residual. Inside, no value of the solution is known to "
        f"training, stopping or any choice: the error of {u} is read afterwards, against the reference solution."
    )


def _given(problem: Problem, condition: Condition) -> str:
    what = f"{'values' if condition.order == 0 else 'slopes'} of {markdown(problem.outputs[0])}"
    if not condition.sides:
        return f"{what} {'on all sides' if problem.dimension > 1 else 'at both ends'}"
    ends = ((markdown(problem.inputs[axis]), problem.bounds[axis][end == "high"]) for axis, end in condition.sides)
    return f"{what} at {', '.join(f'{name} = {value:g}' for name, value in ends)}"


def _errors(problem: Problem, metrics: Mapping[str, float]) -> list[str]:
    """The table of the final errors; of an equation with what they mean."""
    active, said = f"{metrics['model/active_params']:.0f}", []
    if problem.equation is None:
        where = "dense" if problem.table is None else "held-out"
        columns = {f"{where} MSE": "dense_mse", "NMSE": "dense_nmse", "largest error": "linf"}
    else:
        u = markdown(problem.outputs[0])
        columns = {f"relative L2 of {u}": "rel_l2", "residual NMSE": "residual_nmse", f"largest error of {u}": "linf"}
        unit = "that of the forcing" if problem.equation.scale is None else f"the square of {problem.equation.scale:g}"
        said = [
            "",
            f"Relative L2: root mean square of the error of {u} over that of {u}. Residual NMSE: mean square of the equation's "
            f"left minus its right side, over {unit}. Both are read on the dense points inside and on the boundary.",
        ]
    cells = [*(f"{metrics.get(f'final/{name}', math.nan):.3g}" for name in columns.values()), active]
    return [
        f"| {' | '.join([*columns, 'active parameters'])} |",
        "|---|---|---|---|",
        f"| {' | '.join(cells)} |",
        *said,
    ]


def _beside(config: RunConfig, problem: Problem, metrics: Mapping[str, float]) -> list[str]:
    """What has to be known of the errors of a sample, of rows of a file, and of several outputs."""
    lines = []
    if "final/dense_nmse_low" in metrics:
        of_solution = "" if problem.equation is None else f" of {markdown(problem.outputs[0])}"
        ends = metrics["final/dense_nmse_low"], metrics["final/dense_nmse_high"]
        lines += ["", f"95% interval of the NMSE{of_solution}: {ends[0]:.3g} to {ends[1]:.3g}."]
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
    if problem.equation is not None:
        known["equation"] = problem.equation.formula[:FORMULA]
    return json.dumps(known | _floor(problem, dense), ensure_ascii=False)


def _floor(problem: Problem, dense: Sample) -> dict[str, float]:
    """Of the rows of a file: the NMSE that rows of equal inputs leave to any function of the inputs, where there are some."""
    if problem.table is None:
        return {}
    of_outputs = zip(problem.table.spread, dense.y.double().split(1, dim=1), strict=True)
    floor = fmean(spread / scale2(y) for spread, y in of_outputs)
    return {"floor": floor} if math.isfinite(floor) else {}
