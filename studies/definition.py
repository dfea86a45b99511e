"""The declaration of a study: a search space, objectives and constraints, nothing else."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.errors import BadInput
from harness.registry import Registry, check_name
from studies.measures import Measured
from studies.space import Space, described


@dataclass(frozen=True)
class SearchObjective:
    """A figure of a run that is to be small; a trial's is the mean over problems of the median over seeds."""

    name: str
    of: Callable[[Measured], float]
    penalty: float
    """What a run without a result counts as; finite, and worse than any result."""


Objective = SearchObjective
"""Its earlier name, which plug-ins have. What an optimizer minimises is another thing (:mod:`harness.methods`)."""


@dataclass(frozen=True)
class Constraint:
    """A figure of a run that must not exceed 0; it is held for each problem by its median over seeds."""

    name: str
    of: Callable[[Measured], float]
    penalty: float = 1.0
    """What a run without that figure counts as: no data is never a pass."""


@dataclass(frozen=True)
class Study:
    """A study. Raises BadInput for a name or a search space that can't be used."""

    name: str
    model: str
    summary: str
    space: Space
    objectives: tuple[SearchObjective, ...]
    constraints: tuple[Constraint, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the run configuration that are the same in all trials."""

    def __post_init__(self) -> None:
        check_name("study", self.name)
        for name, dimension in self.space.items():
            if fault := dimension.fault():
                raise BadInput(f"study {self.name!r} can't be used: {name} {fault}.")
        if not self.space or not self.objectives:
            raise BadInput(f"study {self.name!r} can't be used: it needs a search space and an objective.")

    def described(self) -> dict[str, Any]:
        """The definition as plain data, to be compared with another."""
        return {
            "study": self.name,
            "model": self.model,
            "space": described(self.space),
            "objectives": [objective.name for objective in self.objectives],
            "constraints": [constraint.name for constraint in self.constraints],
            "fields": dict(self.fields),
        }


def median(figure: SearchObjective | Constraint, runs: Sequence[Measured]) -> float:
    """The median over runs of a figure; a run without a result, or whose figure is NaN, counts with the penalty."""
    values = [figure.of(run) if run.has_result else figure.penalty for run in runs]
    return statistics.median(figure.penalty if value != value else value for value in values)


STUDIES: Registry[Study] = Registry("study", "harness.studies", Study)


def register(study: Study) -> Study:
    """Make a study known under its name. Raises BadInput when the name is taken."""
    return STUDIES.register(study.name, study)
