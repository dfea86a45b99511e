"""One cell of a benchmark, and its run."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from harness.outcome import TERMINAL
from reports.reading.run import Run

Key = TypeVar("Key")
NOT_A_VARIANT = frozenset({"cfg/model", "cfg/problem", "cfg/preset", "cfg/seed"})


@dataclass(frozen=True)
class Cell:
    """One (model, problem, preset, seed) and variant: planned, or found in the store."""

    fingerprint: str
    model: str
    problem: str
    preset: str
    seed: int
    epochs: int
    run: Run | None
    """The latest ``completed`` or ``diverged`` run, else the latest that ended, else the one at work; None if there is none."""
    running: bool = False
    """Whether a run of the cell is at work, or was left open."""
    facts: str = ""
    """What its run, or the latest of its problem that says so, has recorded of the problem (tag ``problem.facts``)."""
    variant: str = ""
    """The fields, with their values, by which it differs from other cells of its model, problem and preset."""

    @cached_property
    def outcome(self) -> str:
        """How its run ended; ``missing`` without one."""
        return "missing" if self.run is None else self.run.outcome

    @property
    def has_result(self) -> bool:
        """Whether its run has ended in one."""
        return self.outcome in TERMINAL

    @property
    def cut_short(self) -> bool:
        """Whether the seconds of a classical method were over before its largest size: the machine has decided its result."""
        return self.run is not None and bool(self.run.tags.get("search.cut_short"))

    @property
    def knows_target(self) -> bool:
        """Whether its preset was chosen with knowledge of the target: its numbers are marked wherever they stand."""
        return self.run is not None and self.run.tags.get("preset.knows_target") == "true"

    @property
    def noise(self) -> float:
        """The noise on its training targets, in standard deviations of the target; 0 where no run says anything of it."""
        return 0.0 if self.run is None else max(self.run.real("target_noise") or 0.0, 0.0)

    def metric(self, name: str) -> float | None:
        """A final metric of its run: None when it was not logged, NaN when it was logged as NaN."""
        return None if self.run is None else self.run.metrics.get(name)

    def error(self, name: str = "final/dense_nmse") -> float | None:
        """A final error of which less is better: infinity if it was not reached (NaN, or the run diverged), None if no run has
        ended in a result yet, or a completed one has no record of it.
        """
        if not self.has_result:
            return None
        if self.outcome != "completed":
            return math.inf
        value = self.metric(name)
        return math.inf if value is not None and math.isnan(value) else value

    def validation_error(self) -> float | None:
        """What a choice may go by: the validation MSE, or of an equation the residual at held-out points; that of the epoch that
        was taken, where a run took its best one, else of the last.
        """
        kind = "mse" if self.metric("val/residual") is None else "residual"
        best = f"val/best_{kind}"
        return self.error(f"val/{kind}" if self.metric(best) is None else best)


def by_model_and_preset(cells: Iterable[Cell]) -> dict[tuple[str, str], list[Cell]]:
    """The cells, each group in their order."""
    groups: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[cell.model, cell.preset].append(cell)
    return groups


def without_knowledge(groups: Mapping[Key, list[Cell]]) -> dict[Key, list[Cell]]:
    """The groups, of one problem, whose shapes were not chosen with knowledge of the target, which nobody has who has the
    target still to find; all of them where no other has a result.
    """
    others = {key: cells for key, cells in groups.items() if not any(cell.knows_target for cell in cells)}
    return others if any(cell.has_result for cells in others.values() for cell in cells) else dict(groups)


def with_facts(cells: list[Cell]) -> list[Cell]:
    """The cells, each with what its run has recorded of its problem, or the latest run of that problem."""
    runs = sorted(
        (cell for cell in cells if cell.run is not None), key=lambda cell: cell.run.started if cell.run else 0
    )
    latest = {cell.problem: facts for cell in runs if cell.run and (facts := cell.run.tags.get("problem.facts"))}
    return [
        replace(cell, facts=(cell.run.tags if cell.run else {}).get("problem.facts", latest.get(cell.problem, "")))
        for cell in cells
    ]


def _decided_by_seed(settings: Collection[Mapping[str, str]]) -> set[str]:
    """Numbers of points that the split of a file decides: each seed has one, and another seed perhaps another."""
    if not all(params.get("cfg/data") for params in settings):
        return set()

    def values(name: str) -> set[tuple[str | None, str | None]]:
        return {(params.get("cfg/seed"), params.get(name)) for params in settings}

    seeds = {params.get("cfg/seed") for params in settings}
    return {name for name in ("cfg/n_train", "cfg/n_val", "cfg/n_test") if len(values(name)) == len(seeds)}


def with_variants(cells: list[Cell]) -> list[Cell]:
    """The cells, each with the fields by which it differs from others of its model, problem and preset."""
    groups: dict[tuple[str, str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[cell.model, cell.problem, cell.preset].append(cell)
    labels: dict[str, str] = {}
    for group in groups.values():
        settings = {cell.fingerprint: cell.run.params for cell in group if cell.run is not None}
        values: dict[str, set[str | None]] = defaultdict(set)
        fixed = NOT_A_VARIANT | _decided_by_seed(settings.values())
        for params in settings.values():
            for name in {*params, *values} - fixed:
                values[name].add(params.get(name))
        differing = sorted(name for name, several in values.items() if len(several) > 1)
        for fingerprint, params in settings.items():
            labels[fingerprint] = ", ".join(f"{n.removeprefix('cfg/')}={params[n]}" for n in differing if n in params)
    return [replace(cell, variant=labels.get(cell.fingerprint, "")) for cell in cells]
