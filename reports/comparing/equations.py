"""Equations: how well each family solves each, with the classical solvers in the same table."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

from reports.comparing.advice import CLOCK
from reports.comparing.groups import Group, chosen
from reports.comparing.statistics import estimate
from reports.comparing.tables import Entry, Table, marked, noted, without_dashes
from reports.reading.cells import Cell
from reports.reading.kinds import is_network
from reports.reading.targets import in_order, target_of


def equation_tables(preset: str, groups: Mapping[str, Group], solvers: Mapping[str, Group]) -> list[Table]:
    """Table 12, where there is an equation: a row for each problem and family, the classical ones last."""
    rows: list[tuple[Entry, ...]] = []
    for problem in in_order({*groups, *solvers}):
        group = groups.get(problem, {})
        known = target_of(itertools.chain(*group.values(), *solvers.get(problem, {}).values()))
        if known is not None and known.is_equation:
            both = {**chosen(group), **solvers.get(problem, {})}
            rows += [(problem, model, *_row(model, cells)) for model, cells in both.items()]
    if not rows:
        return []
    note = (
        "Median of the seeds (least to largest). Relative L2 error of the solution u on the dense points, which no training "
        "reads; NMSE of the equation's residual there, which it lowers, in units of the forcing. Seconds of training; of a "
        "classical solver those of all its solves, coarse to fine, and its parameters are its unknowns."
    )
    columns = (
        "problem",
        "family",
        "kind",
        "relative L2 of u",
        "residual NMSE",
        "seconds",
        "active parameters",
        "seeds",
    )
    return [noted(without_dashes(Table(12, "Equations", preset, note, columns, tuple(rows), spread=True)))]


def _row(model: str, cells: Sequence[Cell]) -> tuple[Entry, ...]:
    ended = [error for cell in cells if (error := cell.error("final/rel_l2")) is not None]
    if not ended:
        return ("", None, None, None, None, "")
    return (
        "network" if is_network(model) else "classical",
        marked(estimate(ended), cells),
        estimate([cell.error("final/residual_nmse") for cell in cells]),
        estimate(list(_of_completed(cells, CLOCK))),
        estimate(list(_of_completed(cells, "model/active_params"))),
        str(len(ended)),
    )


def _of_completed(cells: Iterable[Cell], metric: str) -> Iterable[float | None]:
    return (cell.metric(metric) for cell in cells if cell.outcome == "completed")
