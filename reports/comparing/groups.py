"""The cells of a preset by problem and model, and their errors."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping

from harness.presets import DAGGER
from reports.reading.cells import Cell
from reports.reading.evidence import Evidence
from reports.reading.kinds import by_kind, is_network
from reports.reading.targets import in_order, target_of
from reports.verdicts.problem_verdicts import chosen_variant, validation

Group = dict[str, list[Cell]]
"""The cells of a problem, by model."""
MOST = 8
"""Models that a picture shows by name."""
FOLDED = "Of each kind of model the one of least validation error; the others are in the tables."
"""What a picture says that shows fewer than there are."""


def groups_of(evidence: Evidence, preset: str) -> dict[str, Group]:
    """All cells of a preset by problem, in the order of declaration, and model.

    Networks are held against each other: classical methods are left out, unless there is nothing else.
    """
    found: dict[str, Group] = defaultdict(lambda: defaultdict(list))
    alone = not any(is_network(cell.model) for cell in evidence.cells)
    for cell in evidence.cells:
        if cell.preset == preset and (alone or is_network(cell.model)):
            found[cell.problem][cell.model].append(cell)
    return {problem: dict(found[problem]) for problem in in_order(set(found))}


def floors_of(groups: Mapping[str, Group]) -> dict[str, float]:
    """By problem, the difference of two NMSE that is none, where a run says what the problem is."""
    known = {problem: target_of(itertools.chain(*group.values())) for problem, group in groups.items()}
    return {problem: each.resolution for problem, each in known.items() if each is not None}


def chosen(group: Group) -> Group:
    """Of each model, the cells of the variant with the least validation error."""
    return {model: chosen_variant(cells)[0] for model, cells in group.items()}


def final_errors(cells: Iterable[Cell]) -> list[float]:
    """Dense NMSE of the cells that have a result; infinite where it was not reached."""
    return [error for cell in cells if (error := cell.error()) is not None]


def dagger(cells: Iterable[Cell]) -> str:
    """The mark of a model whose shape was chosen with knowledge of the target; nothing for any other."""
    return DAGGER if any(cell.knows_target for cell in cells) else ""


def in_front(group: Group) -> Group:
    """What a picture shows of a problem: all models, or where these are more than ``MOST`` of each kind the one of least
    validation error.
    """
    if len(group) <= MOST:
        return group
    best = {min(some, key=lambda model: validation(group[model])) for some in by_kind(group).values()}
    return {model: cells for model, cells in group.items() if model in best}
