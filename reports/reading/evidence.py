"""From the store to evidence: the cells that were planned, and for each its best run."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict

from harness.errors import BadInput, quoted
from harness.outcome import TERMINAL
from harness.protocol import COMPARABILITY
from harness.registry import nearest
from reports.reading.cells import Cell, with_facts, with_variants
from reports.reading.run import METRICS, Run
from reports.reading.store import fill, heads, read_text

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient


@dataclass(frozen=True)
class Selection:
    """Which runs a report is about. Without any of the first three: the latest benchmark, or all runs if there is none."""

    benchmark: str | None = None
    """Its id; several with commas between them, for one report on all of them."""
    experiment: str | None = None
    tag: tuple[str, str] | None = None
    presets: tuple[str, ...] = ()

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """The ids of the benchmarks."""
        return tuple(filter(None, map(str.strip, (self.benchmark or "").split(","))))

    def __str__(self) -> str:
        parts = [f"benchmark {self.benchmark}" if self.benchmark else ""]
        parts += [f"experiment {self.experiment}" if self.experiment else ""]
        parts += [f"tag {self.tag[0]} = {self.tag[1]}" if self.tag else ""]
        return ", ".join(part for part in parts if part) or "all runs"


@dataclass(frozen=True)
class Evidence:
    """All that a report is made from, except what lies in the artifacts of the runs."""

    selection: Selection
    cells: tuple[Cell, ...]
    planned: bool
    """Whether there is a plan that says which cells should be there; without one, only those that are there are known."""
    comparability: str
    left_out: Mapping[str, int]
    """Runs of other comparability versions, which are not compared with these: how many, by version."""
    parent: str | None = None
    """The benchmark's parent run."""
    parent_experiment: str = ""

    @cached_property
    def presets(self) -> list[str]:
        """The presets that occur; the first is the headline: that which was selected first, else ``tuned``."""
        wanted = [*self.selection.presets, "tuned"]
        found = {cell.preset for cell in self.cells}
        return sorted(found, key=lambda name: (wanted.index(name) if name in wanted else len(wanted), name))

    @cached_property
    def unsettled(self) -> list[Cell]:
        """Cells that are at work or have no run; where there are some, the report is a partial one."""
        return [cell for cell in self.cells if cell.running or cell.outcome in ("missing", "running")]

    @cached_property
    def failed(self) -> list[Cell]:
        """Cells whose run has ended without a result; where there are some, the report is a partial one too."""
        open_ = ("missing", "running")
        return [cell for cell in self.cells if not (cell.has_result or cell.running or cell.outcome in open_)]

    @property
    def partial(self) -> str:
        """What is lacking, in words; empty where every cell has a result."""
        ended = Counter(cell.outcome for cell in self.failed)
        how = ", ".join(f"{count} {outcome}" for outcome, count in sorted(ended.items()))
        parts = (
            (len(self.unsettled), "are at work, left open, or not computed yet"),
            (len(self.failed), f"have ended without a result ({how})"),
        )
        return "; ".join(f"{count} of {len(self.cells)} cells {what}" for count, what in parts if count)

    def frame(self) -> pd.DataFrame:
        """A row for each cell; a metric that is absent and one that is NaN are both NaN in its column, and the column
        ``nan_metrics`` names those that were logged as NaN.
        """
        import pandas as pd  # late: a report makes none

        return pd.DataFrame([row_of(cell) for cell in self.cells], columns=list(ROW))


ROW = (
    *("model", "problem", "preset", "seed", "variant", "epochs", "outcome", "reason", "run_id", "experiment"),
    *("seconds", "fingerprint", "nan_metrics", "knows_target", "cut_short", "preset_digest", "commit", "dirty"),
    *METRICS,
)
"""What is told of each cell."""


def row_of(cell: Cell) -> dict[str, Any]:
    """``ROW`` of a cell; a metric that was not logged is NaN."""
    run = cell.run
    metrics = {} if run is None else run.metrics
    return {
        **{name: getattr(cell, name) for name in ROW[:7]},
        "reason": run.reason if run else "",
        "run_id": run.run_id if run else "",
        "experiment": run.experiment if run else "",
        "seconds": run.seconds if run else math.nan,
        "fingerprint": cell.fingerprint,
        "knows_target": cell.knows_target,
        "cut_short": cell.cut_short,
        "nan_metrics": ",".join(sorted(name for name, value in metrics.items() if math.isnan(value))),
        "preset_digest": run.tags.get("preset.digest", "") if run else "",
        "commit": run.tags.get("mlflow.source.git.commit", "") if run else "",
        "dirty": run.tags.get("mlflow.source.git.dirty", "") if run else "",
        **{name: metrics.get(name, math.nan) for name in METRICS},
    }


def gather(client: MlflowClient, selection: Selection, own_first: bool = False) -> Evidence:
    """Read what the store has of a selection. Of several results of a cell the latest counts; with ``own_first`` the latest that
    the benchmark itself has computed, where there is one.

    Raises BadInput, with the nearest known name, for a benchmark, experiment or preset that the store does not have.
    """
    runs = heads(client, (selection.tag[0],) if selection.tag else ())
    parents = _parents(runs)
    if parents and not (selection.benchmark or selection.experiment or selection.tag):
        selection = Selection(_at_work_last(runs, parents), presets=selection.presets)
    for name in selection.benchmarks:
        if name not in parents:
            raise BadInput(f"benchmark = {quoted(name)} is not in the store; {_nearest(name, parents)}")
    chosen = [parents[name] for name in selection.benchmarks]
    plan = _plan_of(client, chosen)
    wanted = [run for run in runs if "fingerprint" in run.tags and _is_selected(run, selection, plan)]
    _refuse_what_selects_nothing(selection, runs, wanted)
    wanted, version, left_out = _of_one_version(wanted)
    fill(client, wanted)
    parent = chosen[0] if len(chosen) == 1 else None
    own = selection.benchmarks if own_first else ()
    return Evidence(
        selection,
        tuple(with_variants(_of_presets(_cells(wanted, plan, own), selection.presets))),
        plan is not None,
        version,
        left_out,
        parent.run_id if parent else None,
        parent.experiment_id if parent else "",
    )


def _parents(runs: Iterable[Run]) -> dict[str, Run]:
    """The latest parent run of each benchmark."""
    return {
        run.tags["benchmark"]: run
        for run in sorted(runs, key=lambda run: run.started)
        if "benchmark" in run.tags and "mlflow.parentRunId" not in run.tags
    }


def _at_work_last(runs: Iterable[Run], parents: Container[str]) -> str:
    """The benchmark of which a cell, or the parent, ended last or has begun since: one that is gone on with keeps its start."""
    of_a_benchmark = [run for run in runs if run.tags.get("benchmark") in parents]
    return max(of_a_benchmark, key=lambda run: run.started + run.seconds).tags["benchmark"]


def _refuse_what_selects_nothing(selection: Selection, runs: Sequence[Run], wanted: Sequence[Run]) -> None:
    if selection.experiment is not None and selection.experiment not in (known := {run.experiment for run in runs}):
        raise BadInput(
            f"experiment = {quoted(selection.experiment)} is not in the store; {_nearest(selection.experiment, known)}"
        )
    if selection.tag is not None and not wanted:
        name, value = selection.tag
        values = {run.tags[name] for run in runs if "fingerprint" in run.tags and name in run.tags}
        rest = _nearest(value, values) if values else f"no run has a tag {name}."
        raise BadInput(f"tag = {quoted(f'{name}={value}')} is on no run of the store; {rest}")
    if selection.experiment is not None and not wanted:
        raise BadInput(f"experiment = {quoted(selection.experiment)} has no run of a model in it.")


def _of_presets(cells: list[Cell], presets: Sequence[str]) -> list[Cell]:
    """The cells of these presets; all, where none is named."""
    known = {cell.preset for cell in cells}
    for preset in presets:
        if preset not in known:
            raise BadInput(f"preset = {quoted(preset)} is not among these runs; {_nearest(preset, known)}")
    return [cell for cell in cells if cell.preset in presets] if presets else cells


def _nearest(name: str, known: Iterable[str]) -> str:
    return nearest(name, known) if (known := set(known)) else "it has none."


def _text(value: str) -> str:
    value.encode()  # JSON can spell half of a surrogate pair, which no file could hold
    return value


Text = Annotated[str, AfterValidator(_text)]


class Planned(BaseModel):
    """A row of a plan."""

    model_config = ConfigDict(strict=True, frozen=True)

    fingerprint: Text
    model: Text
    problem: Text
    preset: Text
    seed: int
    epochs: int


def _plan_of(client: MlflowClient, parents: Sequence[Run]) -> dict[str, Planned] | None:
    """The planned cells of these benchmarks; None where there is no benchmark, or a plan is missing."""
    plans = [_plan(client, parent) for parent in parents]
    if not plans or None in plans:
        return None
    return {fingerprint: row for plan in plans for fingerprint, row in (plan or {}).items()}


def _plan(client: MlflowClient, parent: Run) -> dict[str, Planned] | None:
    """The planned cells by fingerprint; None when the plan is gone or damaged."""
    text = read_text(client, parent.run_id, "plan.json")
    try:
        table = json.loads(text or "")
        rows = [Planned.model_validate(dict(zip(table["columns"], row, strict=True))) for row in table["data"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return {row.fingerprint: row for row in rows}


def _is_selected(run: Run, selection: Selection, plan: Mapping[str, Any] | None) -> bool:
    if selection.benchmarks:
        # A run that another benchmark computed counts for a cell of this one too.
        return (
            run.tags["fingerprint"] in plan if plan is not None else run.tags.get("benchmark") in selection.benchmarks
        )
    if selection.experiment is not None and run.experiment != selection.experiment:
        return False
    return selection.tag is None or run.tags.get(selection.tag[0]) == selection.tag[1]


def _of_one_version(runs: list[Run]) -> tuple[list[Run], str, dict[str, int]]:
    """The runs of this code's comparability version, or of the latest run's if there are none, and a count of the others."""
    counts = Counter(run.tags.get("comparability", "unknown") for run in runs)
    version = COMPARABILITY
    if runs and version not in counts:
        version = max(runs, key=lambda run: run.started).tags.get("comparability", "unknown")
    kept = [run for run in runs if run.tags.get("comparability", "unknown") == version]
    return kept, version, {other: count for other, count in sorted(counts.items()) if other != version}


def _cells(runs: list[Run], plan: Mapping[str, Planned] | None, own: Collection[str]) -> list[Cell]:
    """The cells; runs of the benchmarks ``own`` come before those of others."""

    def weight(run: Run) -> tuple[int, bool, float]:
        ended = 2 if run.outcome in TERMINAL else 0 if run.outcome == "running" else 1
        return ended, run.tags.get("benchmark") in own, run.started

    found: dict[str, list[Run]] = {} if plan is None else {fingerprint: [] for fingerprint in plan}
    for run in sorted(runs, key=lambda run: run.started):
        found.setdefault(run.tags["fingerprint"], []).append(run)
    cells = []
    for fingerprint, attempts in found.items():
        row = (plan or {}).get(fingerprint)
        best = max(attempts, key=weight, default=None)
        fields = row.model_dump(exclude={"fingerprint"}) if row else _fields(best)
        running = any(run.outcome == "running" for run in attempts)
        cells.append(Cell(fingerprint, **fields, run=best, running=running))
    return with_facts(cells)


def _fields(run: Run | None) -> dict[str, Any]:
    """The fields of a cell that is in no plan, from its run."""
    assert run is not None
    numbers = {name: run.whole(name) or 0 for name in ("seed", "epochs")}
    return {name: run.field(name) or "unknown" for name in ("model", "problem", "preset")} | numbers
