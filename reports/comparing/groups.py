"""The cells of a preset by problem and model, and their errors."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from harness.presets import DAGGER
from reports.reading.cells import Cell
from reports.reading.evidence import Evidence
from reports.reading.targets import in_order
from reports.verdicts.problem_verdicts import chosen_variant

Group = dict[str, list[Cell]]
"""The cells of a problem, by model."""


def groups_of(evidence: Evidence, preset: str) -> dict[str, Group]:
    """All cells of a preset by problem, in the order of declaration, and model."""
    found: dict[str, Group] = defaultdict(lambda: defaultdict(list))
    for cell in evidence.cells:
        if cell.preset == preset:
            found[cell.problem][cell.model].append(cell)
    return {problem: dict(found[problem]) for problem in in_order(set(found))}


def chosen(group: Group) -> Group:
    """Of each model, the cells of the variant with the least validation error."""
    return {model: chosen_variant(cells)[0] for model, cells in group.items()}


def final_errors(cells: Iterable[Cell]) -> list[float]:
    """Dense NMSE of the cells whose run has ended; infinite where it was not reached."""
    return [error for cell in cells if (error := cell.error()) is not None]


def dagger(cells: Iterable[Cell]) -> str:
    """The mark of a model whose shape was chosen with knowledge of the target; nothing for any other."""
    return DAGGER if any(cell.knows_target for cell in cells) else ""
