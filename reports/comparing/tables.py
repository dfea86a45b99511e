"""Tables 1 to 7 of the original's plan, each for one preset."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.presets import DAGGER, KNOWS_TARGET
from harness.protocol import FLOOR
from reports.comparing.curves import CLOCKS, costs_to, equal_budget, errors_at, errors_by_grid
from reports.comparing.groups import MOST, Group, chosen, final_errors, floors_of, groups_of
from reports.comparing.statistics import Estimate, estimate, on_front
from reports.reading.artifacts import Artifacts
from reports.reading.cells import Cell
from reports.reading.evidence import Evidence
from reports.reading.kinds import NAMES, by_kind
from reports.reading.targets import target_of
from reports.verdicts.numbers import number
from reports.verdicts.problem_verdicts import chosen_variant, sizes

Entry = str | Estimate | None
REACHED = 1e-4
"""The NMSE whose cost Table 5 gives: that of criterion B1."""
ROOM = 1.1
"""A network of so many times the parameters still counts as equal: sizes are whole units of width."""


@dataclass(frozen=True)
class Table:
    """A table of a report: the first ``heads`` columns say what a row is about, the others hold estimates."""

    number: int
    title: str
    preset: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    heads: int = 2
    spread: bool = False
    """Whether beside a median stand the least and the largest of the seeds, and not the interval of the median."""


def tables(evidence: Evidence, artifacts: Artifacts, preset: str) -> list[Table]:
    """All seven, and an eleventh of the problems that the original does not have, where there are some."""
    groups = groups_of(evidence, preset)
    held = {model for group in groups.values() for model in group}
    models = list(dict.fromkeys(cell.model for cell in evidence.cells if cell.preset == preset and cell.model in held))

    def section(number: int, title: str, name: str) -> Table:
        some = {problem: group for problem, group in groups.items() if name in _sections(group)}
        return _accuracy(number, title, preset, some, models, artifacts)

    found = [
        section(1, "Function approximation (Section 1.1)", "section1_1"),
        section(2, "1D Poisson forcings (Section 1.2)", "section1_2"),
        section(3, "2D Poisson forcings (Section 1.3)", "section1_3"),
        _parameters(preset, groups),
        _efficiency(preset, groups, models, artifacts),
        _grids(preset, groups, artifacts),
        _depths(preset, groups),
    ]
    sections = {"section1_1", "section1_2", "section1_3"}
    others = {problem: group for problem, group in groups.items() if not sections & {*_sections(group)}}
    if others:
        found.append(_accuracy(11, "Other problems", preset, others, models, artifacts))
        found[:3] = [table for table in found[:3] if table.rows]
    return [each for table in found for each in _of_kinds(noted(without_dashes(table)), models)]


def _of_kinds(table: Table, models: Sequence[str]) -> list[Table]:
    """The table, or where it has a column for each of more than ``MOST`` models one for each kind of model."""
    if len(models) <= MOST or table.columns[table.heads :] != tuple(models):
        return [table]
    found = []
    for kind, some in by_kind(models).items():
        at = [*range(table.heads), *(table.heads + models.index(model) for model in some)]
        columns, rows = tuple(table.columns[i] for i in at), tuple(tuple(row[i] for i in at) for row in table.rows)
        found.append(replace(table, title=f"{table.title}: {NAMES[kind]}", columns=columns, rows=rows))
    return found


def marked(found: Estimate | None, cells: Iterable[Cell]) -> Estimate | None:
    """The estimate, marked where it is of runs whose shape was chosen with knowledge of the target."""
    return replace(found, knows_target=True) if found and any(cell.knows_target for cell in cells) else found


def noted(table: Table) -> Table:
    """The table, with what the dagger means where there is one."""
    return replace(table, note=f"{table.note} {KNOWS_TARGET}.") if _has_mark(table) else table


def without_dashes(table: Table) -> Table:
    """The table without the rows that have no entry; the note says how many there were, and why."""
    rows = tuple(row for row in table.rows if any(entry not in (None, "") for entry in row[table.heads :]))
    count = len(table.rows) - len(rows)
    if not count:
        return table
    one = "row is" if count == 1 else "rows are"
    return replace(table, rows=rows, note=f"{table.note} {count} {one} left out: no run of theirs has an entry.")


def _has_mark(table: Table) -> bool:
    return any(
        entry.knows_target if isinstance(entry, Estimate) else DAGGER in (entry or "")
        for row in table.rows
        for entry in row
    )


def _sections(group: Group) -> tuple[str, ...]:
    known = target_of(itertools.chain(*group.values()))
    return known.sections if known else ()


def _accuracy(
    nth: int, title: str, preset: str, groups: Mapping[str, Group], models: Sequence[str], artifacts: Artifacts
) -> Table:
    rows: list[tuple[Entry, ...]] = []
    alone = 0
    for problem, group in groups.items():
        best = chosen(group)

        def row(measure: str, value: Callable[[str], Entry], problem: str = problem) -> None:
            rows.append((problem, measure, *(value(model) for model in models)))

        def of(model: str, errors: Sequence[float | None], best: Group = best) -> Entry:
            return marked(estimate(errors), best.get(model, ()))

        row("final", lambda model, best=best, of=of: of(model, final_errors(best.get(model, ()))))  # type: ignore[misc]
        for clock, unit in CLOCKS.items():
            budget = equal_budget(best.values(), clock)
            if budget is not None:
                at = {model: of(model, errors_at(cells, artifacts, clock, budget)) for model, cells in best.items()}
                row(f"after {number(budget)} {unit}", at.get)
        size, small = at_equal_parameters(group)
        alone += len(small) == 1 < len(group)
        if size is not None and not len(small) == 1 < len(group):
            row(f"<= {ROOM * size:.0f} parameters", lambda model, small=small, of=of: of(model, small.get(model, ())))  # type: ignore[misc]
    files = any(known.of_rows for group in groups.values() if (known := target_of(itertools.chain(*group.values()))))
    where = "at the dense points (of a file, the held-out rows)" if files else "on the dense grid"
    note = (
        f"NMSE: final {where}; at equal cost on the test points, read off the curve at the most that every model "
        "has spent; at equal active parameters on the dense grid, within the smallest of the models' largest sizes (–: a model "
        "has no network that small)."
    )
    if any(known.is_equation for group in groups.values() if (known := target_of(itertools.chain(*group.values())))):
        note += " Of an equation it is that of its solution u, which no training reads."
    if alone:
        problems = f"{alone} problem{'s' if alone > 1 else ''}"
        note += f" On {problems} only one model has a network that small, and there is no row at equal parameters."
    return Table(nth, title, preset, note, ("problem", "at", *models), tuple(rows))


def at_equal_parameters(group: Group) -> tuple[float | None, dict[str, list[float]]]:
    """The largest number of active parameters that every model has a network of, and the final NMSE of those within it.

    A model with several variants within it is seen at that of least validation error.
    """
    of_models = {model: by_variant for model, cells in group.items() if (by_variant := sizes(cells))}
    if not of_models:
        return None, {}
    size = min(max(by_variant.values()) for by_variant in of_models.values())
    found = {}
    for model, by_variant in of_models.items():
        small = [cell for cell in group[model] if by_variant.get(cell.variant, float("inf")) <= ROOM * size]
        if small:
            found[model] = final_errors(chosen_variant(small)[0])
    return size, found


def _parameters(preset: str, groups: Mapping[str, Group]) -> Table:
    floors = floors_of(groups)
    rows: list[tuple[Entry, ...]] = []
    for problem, group in groups.items():
        points: list[tuple[str, str, float, Estimate]] = []
        for model, cells in group.items():
            for variant, size in sizes(cells).items():
                some = [cell for cell in cells if cell.variant == variant]
                found = marked(estimate(final_errors(some)), some)
                if found is not None:
                    points.append((model, variant, size, found))
        points.sort(key=lambda point: point[2])
        front = on_front([(size, found.median) for _, _, size, found in points], floors.get(problem, FLOOR))
        for (model, variant, size, found), leads in zip(points, front, strict=True):
            label = f"{model} ({variant})" if variant else model
            rows.append((problem, label, estimate([size]), found, "on the front" if leads else ""))
    note = (
        "Active parameters (median seed) against the final dense NMSE; on the front: no smaller network has an error as small, "
        "where a difference below 1e-8, of an equation below 1e-12, is none."
    )
    columns = ("problem", "model", "parameters", "NMSE", "Pareto front")
    return Table(4, "Parameter efficiency", preset, note, columns, tuple(rows))


def _efficiency(preset: str, groups: Mapping[str, Group], models: Sequence[str], artifacts: Artifacts) -> Table:
    rows: list[tuple[Entry, ...]] = []
    for problem, group in groups.items():
        best = chosen(group)
        for clock, unit in CLOCKS.items():
            spent = {model: estimate([cell.metric(clock) for cell in cells]) for model, cells in best.items()}
            rows.append((problem, f"{unit}, all", *(spent.get(model) for model in models)))
        for clock, unit in CLOCKS.items():
            costs = {
                model: marked(estimate(costs_to(cells, artifacts, clock, REACHED)), cells)
                for model, cells in best.items()
            }
            rows.append((problem, f"{unit} to NMSE {number(REACHED)}", *(costs.get(model) for model in models)))
    note = f"Training only. NMSE {number(REACHED)} on the test points; a run that never reached it counts as infinite."
    return Table(5, "Training efficiency", preset, note, ("problem", "cost", *models), tuple(rows))


def _grids(preset: str, groups: Mapping[str, Group], artifacts: Artifacts) -> Table:
    found = {
        (problem, model): errors_by_grid(cells, artifacts)
        for problem, group in groups.items()
        for model, cells in chosen(group).items()
    }
    grids = sorted({grid for by_grid in found.values() for grid in by_grid})
    rows = tuple(
        (problem, model, *(estimate(by_grid.get(grid, ())) for grid in grids))
        for (problem, model), by_grid in found.items()
        if by_grid
    )
    note = "NMSE on the test points at the end of each grid's stage; one training goes through the grids from left to right."
    return Table(6, "Grid ablation", preset, note, ("problem", "model", *(f"G = {grid}" for grid in grids)), rows)


def _depths(preset: str, groups: Mapping[str, Group]) -> Table:
    rows, depths = [], set()
    found: dict[tuple[str, str], dict[int, list[Cell]]] = {}
    for problem, group in groups.items():
        for model, cells in group.items():
            by_depth: dict[int, list[Cell]] = defaultdict(list)
            for cell in cells:
                if cell.run is not None and (depth := cell.run.whole("depth")) is not None:
                    by_depth[depth].append(cell)
            if len(by_depth) > 1:
                found[problem, model] = by_depth
                depths |= set(by_depth)
    for (problem, model), by_depth in found.items():
        values = (
            marked(estimate(final_errors(some := chosen_variant(by_depth[d])[0])), some) if d in by_depth else None
            for d in sorted(depths)
        )
        rows.append((problem, model, *values))
    note = "Final dense NMSE by hidden layers; of several variants of a depth, that of least validation error."
    if not rows:
        note = "No model of this selection was trained at more than one depth; the suite seed_matrix does so."
    columns = ("problem", "model", *(f"depth {depth}" for depth in sorted(depths)))
    return Table(7, "Depth ablation", preset, note, columns, tuple(rows))
