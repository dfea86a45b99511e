"""One preset's models held against each other: advice, statistics, tables."""

from __future__ import annotations

from dataclasses import dataclass

from reports.comparing.advice import Advice, advice_on
from reports.comparing.classical import classical_of
from reports.comparing.competitors import competitor_tables
from reports.comparing.cuts import pruning_table
from reports.comparing.equations import equation_tables
from reports.comparing.groups import chosen, dagger, final_errors, floors_of, groups_of
from reports.comparing.statistics import performance_profile, win_matrix
from reports.comparing.sweeps import AXES, sweep_table
from reports.comparing.tables import Table, tables
from reports.reading.artifacts import Artifacts
from reports.reading.evidence import Evidence
from reports.reading.targets import in_order
from reports.verdicts.verdict import median_figure


@dataclass(frozen=True)
class Comparison:
    """What it comes to."""

    preset: str
    advice: tuple[Advice, ...]
    wins: dict[str, dict[str, float]]
    profile: dict[str, list[float]]
    tables: tuple[Table, ...]


def comparison_of(evidence: Evidence, artifacts: Artifacts, preset: str) -> Comparison:
    """That of a preset. A model that knows its target on one problem has the dagger in the statistics over all of them."""
    all_cells, classical = groups_of(evidence, preset), classical_of(evidence)
    floors = floors_of(all_cells)
    groups = {problem: chosen(group) for problem, group in all_cells.items()}
    named = {p: {model + dagger(cells): cells for model, cells in group.items()} for p, group in groups.items()}
    cells = {
        model: [c for group in groups.values() for c in group.get(model, ())] for g in groups.values() for model in g
    }
    names = {model: model + dagger(some) for model, some in cells.items()}
    errors = {p: {names[model]: final_errors(some) for model, some in group.items()} for p, group in groups.items()}
    medians = {
        problem: {m: v for m, values in by_model.items() if (v := median_figure(values)) is not None}
        for problem, by_model in errors.items()
    }
    return Comparison(
        preset,
        advice_on(
            {problem: named.get(problem, {}) for problem in in_order({*named, *classical})}, classical, artifacts
        ),
        win_matrix(errors, floors),
        performance_profile(medians, floors),
        (
            *tables(evidence, artifacts, preset),
            *equation_tables(preset, all_cells, classical),
            *competitor_tables(preset, all_cells, classical),
            pruning_table(preset, all_cells),
            *(sweep_table(preset, all_cells, axis) for axis in AXES),
        ),
    )
