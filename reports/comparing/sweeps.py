"""Error against noise, and against the number of training points, where runs differ in these."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reports.comparing.groups import Group, final_errors
from reports.comparing.statistics import Estimate, estimate
from reports.comparing.tables import Entry, Table, marked, noted, without_dashes
from reports.reading.cells import Cell
from reports.verdicts.problem_verdicts import chosen_variant


@dataclass(frozen=True)
class Axis:
    """A field of a run that is swept."""

    field: str
    number: int
    """Of its table."""
    title: str
    label: str
    note: str


AXES = (
    Axis(
        "target_noise",
        9,
        "Error against noise",
        "noise, deviations of the target",
        "Final NMSE against the noise on the training targets, in standard deviations of the target. The error is that "
        "against the target without noise; of the rows of a file, against the held-out rows as they are.",
    ),
    Axis(
        "n_train",
        10,
        "Error against the number of points",
        "training points",
        "Final NMSE against the number of training points.",
    ),
)


def sweep(cells: Iterable[Cell], axis: Axis) -> dict[float, list[Cell]]:
    """The cells of a model on a problem by the value of the field, rising; of several variants at a value, that of least
    validation error. Empty unless it was varied.
    """
    cells = list(cells)
    if not any(f"{axis.field}=" in cell.variant for cell in cells):
        return {}
    by_value: dict[float, list[Cell]] = defaultdict(list)
    for cell in cells:
        if cell.run is not None and (value := cell.run.real(axis.field)) is not None:
            by_value[value].append(cell)
    return {value: chosen_variant(by_value[value])[0] for value in sorted(by_value)} if len(by_value) > 1 else {}


def sweeps(groups: Mapping[str, Group], axis: Axis) -> dict[str, dict[str, dict[float, Estimate]]]:
    """NMSE over the seeds by problem, model and value; without problems and models on which nothing was swept."""
    found: dict[str, dict[str, dict[float, Estimate]]] = {}
    for problem, group in groups.items():
        for model, cells in group.items():
            known = {
                value: each
                for value, some in sweep(cells, axis).items()
                if (each := marked(estimate(final_errors(some)), some)) is not None
            }
            if known:
                found.setdefault(problem, {})[model] = known
    return found


def sweep_table(preset: str, groups: Mapping[str, Group], axis: Axis) -> Table:
    """A row for each problem and model, a column for each value."""
    found = sweeps(groups, axis)
    values = sorted({value for by_model in found.values() for known in by_model.values() for value in known})
    rows: list[tuple[Entry, ...]] = [
        (problem, model, *(known.get(value) for value in values))
        for problem, by_model in found.items()
        for model, known in by_model.items()
    ]
    note = axis.note
    if not rows:
        note = f"No model of this selection was trained at more than one {axis.field}."
    columns = ("problem", "model", *(f"{axis.field} = {value:g}" for value in values))
    return noted(without_dashes(Table(axis.number, axis.title, preset, note, columns, tuple(rows))))
