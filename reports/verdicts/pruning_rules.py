"""Rules on what a cut costs and brings: K2 to K4, P4. Each is its sentence in docs/reports.md, exactly."""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np

from reports.reading.artifacts import Artifacts
from reports.reading.cells import Cell
from reports.reading.run import Run
from reports.verdicts.numbers import number
from reports.verdicts.rules import known_target, of_a_result
from reports.verdicts.verdict import Finding, Verdict, at_most, no_data

LARGEST_LOSS = 2.0
"""K2, P4: of a pruned network's error over that of its unpruned twin."""
LEAST_REDUCTION = 0.2 - 1e-12
"""K4, P4: of the part of the active parameters that is gone, with room for its rounding."""


@of_a_result
def is_near_its_twin(cell: Cell, run: Run, artifacts: Artifacts) -> Finding:
    """K2. Dense MSE at most twice that of the unpruned twin; with the raw ratio, and whether it or the floor decided."""
    pruned, base = cell.metric("prune/mse_final"), cell.metric("prune/base_dense_mse")
    if pruned is None or base is None:
        return no_data("the unpruned twin has no result" if base is None else "prune/mse_final was not recorded")
    return nearness(pruned, base, known_target(cell).floor)


def nearness(pruned: float, base: float, floor: float) -> Finding:
    """K2 of two errors. The floor decided where the raw ratio would fail, or where both errors are below it."""
    raw = pruned / base if base > 0 else math.inf if pruned > 0 else 1.0
    ratio = (pruned + floor) / (base + floor)
    by_floor = ratio <= LARGEST_LOSS and (raw > LARGEST_LOSS or max(pruned, base) < floor)
    decided = f"the floor of {number(floor)} decided" if by_floor else "the ratio decided"
    return at_most(
        ratio,
        LARGEST_LOSS,
        f"MSE {number(pruned)}, twin {number(base)}: raw ratio {number(raw, 'infinite')}; {decided}",
    )


@of_a_result
def has_three_stages(cell: Cell, run: Run, artifacts: Artifacts) -> Finding:
    """K3. Sparsify, prune, retrain in this order, each with epochs that have a time and an error."""
    if "stages" not in run.tags:
        return no_data("the tag stages was not recorded")
    order = run.tags["stages"].split(",")
    where = [order.index(name) if name in order else -1 for name in ("sparsify", "prune", "retrain")]
    if -1 in where or where != sorted(where):
        return Finding(Verdict.FAIL, None, f"stages are {run.tags['stages']}")
    history = artifacts.history(run)
    recorded = np.isfinite(history["train/mse"]) & np.isfinite(history["time/train_s"])
    counts = Counter(itertools.compress(history.stage, recorded.tolist()))
    epochs = {name: counts[name] for name in order}
    empty = [name for name in ("sparsify", "prune", "retrain") if not epochs[name]]
    shown = ", ".join(f"{name} {count}" for name, count in epochs.items())
    return Finding(Verdict.FAIL if empty else Verdict.PASS, None, f"epochs: {shown}")


@of_a_result
def is_reduced(cell: Cell, run: Run, artifacts: Artifacts) -> Finding:
    """K4. A fifth of the active parameters gone, or more. Greedy pruning stops once what it was told to cut is gone."""
    reduction = cell.metric("prune/reduction")
    if reduction is None:
        return no_data("prune/reduction was not recorded")
    notes = ["beyond 50%"] if reduction > 0.5 else []
    if run.field("prune_mode") == "greedy":
        notes.append(f"where the greedy cut stops, told to cut {run.field('reduction')}; not how far one could cut")
    return Finding(Verdict.PASS if reduction >= LEAST_REDUCTION else Verdict.FAIL, reduction, "; ".join(notes))


@of_a_result
def keeps_the_solution(cell: Cell, run: Run, artifacts: Artifacts) -> Finding:
    """P4. Relative L2 error at most twice that of the unpruned twin, with a fifth of the active parameters gone or more."""
    pruned, base, gone = (cell.metric(f"prune/{name}") for name in ("mse_final", "base_dense_mse", "reduction"))
    if base is None:
        return no_data("the unpruned twin has no result")
    if pruned is None or gone is None:
        return no_data("prune/mse_final or prune/reduction was not recorded")
    ratio = math.sqrt(pruned / base) if base > 0 else math.inf if pruned > 0 else 1.0
    near = at_most(ratio, LARGEST_LOSS)
    enough = gone >= LEAST_REDUCTION
    note = f"{gone:.0%} of the parameters are gone{'' if enough else ', which is too little'}"
    return Finding(near.verdict if enough else Verdict.FAIL, ratio, note)
