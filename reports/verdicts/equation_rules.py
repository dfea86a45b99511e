"""P1 to P3 and P5, criteria on equations (P4: pruning_rules). Each is its sentence in docs/reports.md, exactly.

"Every family" and "the best" are of networks: a classical solver is what they are held against, and is judged by none of them.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np

from harness.presets import DAGGER
from reports.reading.artifacts import Artifacts
from reports.reading.cells import Cell, by_model_and_preset, without_knowledge
from reports.reading.gone import Gone
from reports.reading.histories import Floats
from reports.reading.kinds import FIRST, is_network
from reports.reading.run import Run
from reports.reading.solvers import levels
from reports.verdicts.numbers import number
from reports.verdicts.problem_verdicts import Decide, median_seed, sizes
from reports.verdicts.record_rules import at_taken_epoch
from reports.verdicts.rules import Rule, metric_at_most, of_a_result
from reports.verdicts.verdict import (
    BEST_FIRST,
    Finding,
    ProblemVerdict,
    Verdict,
    Witness,
    below,
    median_figure,
    no_data,
    of_every,
    worst_figure,
)

LEAST_EPOCHS = 20
"""P3: fewer say nothing of a rank correlation."""
LEAST_CORRELATION = 0.8
"""P3."""
MOST_PARAMETERS = 300
"""P2: of a network, those that are active."""
INTERVALS = 100
"""P5: of the differences, on each axis: 101 x 101 points."""


def each_family(rule: Rule, larger_is_worse: bool = True, absent_too: bool = False) -> Decide:
    """It holds when it does, by the median seed, for each family of networks that was run; ``absent_too`` is whether one of
    the first families without a run leaves it open.
    """

    def decide(cells: Sequence[Cell], artifacts: Artifacts) -> ProblemVerdict:
        by_model: dict[str, list[Cell]] = defaultdict(list)
        for cell in cells:
            by_model[cell.model].append(cell)
        judge = median_seed(rule, larger_is_worse)
        found = {_named(some): judge(some, artifacts) for some in by_model.values()}
        absent = [name for name in FIRST if absent_too and name not in by_model]
        verdicts = [each.verdict for each in found.values()] + [Verdict.NO_DATA] * len(absent)
        figures = [each.figure for each in found.values() if each.figure is not None]
        return ProblemVerdict(
            cells[0].problem,
            of_every(verdicts),
            worst_figure(figures, larger_is_worse),
            (min(figures), max(figures)) if figures else None,
            verdicts.count(Verdict.PASS),
            len(verdicts),
            note="; ".join([*map(_said, found, found.values()), *(f"{name}: no run" for name in absent)]),
            witnesses=_witnesses(found.values()),
        )

    return decide


def best_family(rule: Rule) -> Decide:
    """It holds when it does for the best network, by the median seed, under its best preset. Shapes that know the solution are
    left out, as :func:`~reports.reading.cells.without_knowledge` has it.
    """

    def decide(cells: Sequence[Cell], artifacts: Artifacts) -> ProblemVerdict:
        groups = without_knowledge(by_model_and_preset(cells))
        judge = median_seed(rule)
        found = {f"{_named(some)}, {some[0].preset}": judge(some, artifacts) for some in groups.values()}

        def worth(name: str) -> tuple[int, float]:
            each = found[name]
            return BEST_FIRST.index(each.verdict), math.inf if each.figure is None else each.figure

        order = sorted(found, key=worth)
        note = "; ".join(_said(name, found[name]) for name in order)
        return replace(found[order[0]], note=note, witnesses=_witnesses(found.values()))

    return decide


def _witnesses(found: Iterable[ProblemVerdict]) -> tuple[Witness, ...]:
    return tuple(witness for each in found for witness in each.witnesses)


def _named(cells: Sequence[Cell]) -> str:
    return f"{cells[0].model}{DAGGER if any(cell.knows_target for cell in cells) else ''}"


def _said(name: str, found: ProblemVerdict) -> str:
    """A family and what came out: its figure, or why there is none."""
    if found.figure is None:
        return f"{name}: {found.note or found.verdict.value}"
    return f"{name} {number(found.figure)} ({found.count})"


def small_network_is_accurate(cells: Sequence[Cell], artifacts: Artifacts) -> ProblemVerdict:
    """P2. The least median relative L2 error of u is within 1e-6, of networks of at most 300 active parameters."""
    groups = without_knowledge(by_model_and_preset(cells))
    small = [cell for some in groups.values() for cell in _within(some, MOST_PARAMETERS)]
    if not small:
        why = f"no network of at most {MOST_PARAMETERS} active parameters has a result"
        return ProblemVerdict(cells[0].problem, Verdict.NO_DATA, note=why)
    return best_family(metric_at_most("final/rel_l2", 1e-6))(small, artifacts)


def _within(cells: Sequence[Cell], parameters: int) -> list[Cell]:
    """Of the cells of a model and preset, those of the variants that have so many active parameters at most, by the median."""
    size = sizes(cells)
    return [cell for cell in cells if size.get(cell.variant, math.inf) <= parameters]


@of_a_result
def residual_tells_the_error(cell: Cell, run: Run, artifacts: Artifacts) -> Finding:
    """P3. Spearman's rank correlation over the epochs of the residual at held-out points and the error of u."""
    history = artifacts.history(run)
    residual, error = history["val/residual"], history["test/mse"]
    known = np.isfinite(residual) & np.isfinite(error)
    return correlation(residual[known], error[known])


def correlation(residual: Floats, error: Floats) -> Finding:
    """P3 of two curves; fewer epochs than 20, or a curve that never moves, are NO DATA."""
    if len(residual) < LEAST_EPOCHS:
        return no_data(f"{len(residual)} epochs with a residual at held-out points; {LEAST_EPOCHS} are asked for")
    if np.ptp(residual) == 0 or np.ptp(error) == 0:
        return no_data("the residual or the error is the same in all epochs")
    import pandas as pd  # late: most reports have no equation

    found = float(np.corrcoef([pd.Series(curve).rank().to_numpy() for curve in (residual, error)])[0, 1])
    return Finding(Verdict.PASS if found >= LEAST_CORRELATION else Verdict.FAIL, found, f"over {len(residual)} epochs")


def beats_differences(cells: Sequence[Cell], artifacts: Artifacts) -> ProblemVerdict:
    """P5. The root mean square error of the best network, over that of second-order differences on 101 x 101 points; both on
    the test points.
    """
    networks = [cell for cell in cells if is_network(cell.model)]
    errors = [
        error
        for cell in cells
        if cell.model == "finite_difference" and (error := _on_grid(cell, artifacts, INTERVALS)) is not None
    ]
    reference = median_figure(errors)
    points = f"{INTERVALS + 1} x {INTERVALS + 1} points"
    if not networks or reference is None:
        why = "no network was run" if not networks else f"no run of finite_difference has a result on {points}"
        return ProblemVerdict(cells[0].problem, Verdict.NO_DATA, note=why)
    found = best_family(_over(reference))(networks, artifacts)
    return replace(found, note=f"differences on {points}: RMS error of u {number(math.sqrt(reference))}; {found.note}")


def _over(reference: float) -> Callable[[Cell, Artifacts], Finding]:
    @of_a_result
    def rule(cell: Cell, run: Run, artifacts: Artifacts) -> Finding:
        error = at_taken_epoch(run, "test/mse", artifacts)
        if error is None:
            return no_data("test/mse was not recorded")
        ratio = math.sqrt(error / reference) if reference > 0 else math.inf if error > 0 else 1.0
        return below(ratio, 1.0, f"RMS error of u {number(math.sqrt(error))}")

    return rule


def _on_grid(cell: Cell, artifacts: Artifacts, intervals: int) -> float | None:
    """The test MSE of differences on that grid; None where their run has none."""
    if cell.run is None or cell.outcome == "running":
        return None
    try:
        history = artifacts.history(cell.run)
    except Gone:
        return None
    errors = dict(zip(levels(cell.model, cell.run, history), history["test/mse"], strict=True))
    found = float(errors.get(intervals, math.nan))
    return found if math.isfinite(found) else None
