"""Which model to use for a problem: at the end of all training, and when time is short."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.protocol import FLOOR
from reports.comparing.classical import Classical, classical_of, costs_of_solvers
from reports.comparing.curves import equal_budget, errors_at
from reports.comparing.groups import Group, chosen, dagger, final_errors, groups_of
from reports.comparing.recommendations import Cost, Recommendation, recommend
from reports.comparing.statistics import Estimate, estimate
from reports.reading.artifacts import Artifacts
from reports.reading.cells import Cell, without_knowledge
from reports.reading.evidence import Evidence
from reports.reading.kinds import is_network
from reports.reading.targets import in_order, target_of
from reports.verdicts.verdict import median_figure

CLOCK = "time/train_s"


@dataclass(frozen=True)
class Advice:
    """Which model to use for a problem: at the end of all training, and when time is short."""

    final: Recommendation
    """By the error on the dense grid."""
    quick: Recommendation | None
    """By the error on the test points, since no other is known on the way; None where no model is usable by then, and where the
    model of ``final`` is at its end by then.
    """
    seconds: float | None
    """The time that ``quick`` is about: the most that every network has spent."""
    final_on_test: Estimate | None
    """What ``quick`` is to be held against: the error of the model of ``final`` at its end, on the test points too."""
    classical: tuple[Classical, ...] | None = None
    """What solvers on a grid take to the error of the best network, on the test points; None where nothing is solved, and where
    no network has an error."""

    @property
    def beside(self) -> str:
        """The same as a sentence; empty where nothing is solved."""
        if self.classical is None:
            return ""
        return "; ".join(map(str, self.classical)) or "no classical solver was run on this equation"


def advice_on(groups: Mapping[str, Group], classical: Mapping[str, Group], artifacts: Artifacts) -> tuple[Advice, ...]:
    """On each problem on which a run has ended; models are named as they are in its group, and classical methods stand beside
    them.
    """
    found = (_advice(problem, group, classical.get(problem, {}), artifacts) for problem, group in groups.items())
    return tuple(each for each in found if each is not None)


def advice_over_presets(evidence: Evidence, artifacts: Artifacts) -> tuple[Advice, ...]:
    """The same over all presets; a network's name has its preset behind it where there are several."""
    together: dict[str, Group] = {}
    for preset in evidence.presets:
        for problem, group in groups_of(evidence, preset).items():
            for model, cells in chosen(group).items():
                name = f"{model}, {preset}" if len(evidence.presets) > 1 else model
                together.setdefault(problem, {})[name + dagger(cells)] = cells
    classical = classical_of(evidence)
    ordered = {problem: together.get(problem, {}) for problem in in_order({*together, *classical})}
    return advice_on(ordered, classical, artifacts)


def _advice(problem: str, group: Group, classical: Group, artifacts: Artifacts) -> Advice | None:
    group = without_knowledge(group)
    both = {**group, **classical}
    known = target_of(itertools.chain(*both.values()))
    solved = known is not None and known.is_equation
    floor = FLOOR if known is None else known.resolution
    final = recommend(problem, _final(both), _costs(both, "model/active_params"), floor)
    if final is None:
        return None
    at_the_end = estimate(errors_at(both[final.model], artifacts, CLOCK, math.inf))
    solvers = None
    if solved:
        network = recommend(problem, _final(group), _costs(group, "model/active_params"), floor)
        of_network = estimate(errors_at(group[network.model], artifacts, CLOCK, math.inf)) if network else None
        if of_network is not None and math.isfinite(of_network.median):
            solvers = costs_of_solvers(classical, artifacts, of_network.median)
    seconds = equal_budget(group.values(), CLOCK)
    if seconds is None or _median(both[final.model], CLOCK) <= seconds:
        return Advice(final, None, None, at_the_end, solvers)
    early = {m: [e for e in errors_at(c, artifacts, CLOCK, seconds) if e is not None] for m, c in both.items()}
    # What is cut at the end is there on the way.
    quick = recommend(problem, early, _costs(both, "model/params"), floor)
    return Advice(final, quick if quick and quick.usable else None, seconds, at_the_end, solvers)


def _final(group: Group) -> dict[str, list[float]]:
    return {model: final_errors(cells) for model, cells in group.items()}


def _costs(group: Group, parameters: str) -> dict[str, Cost]:
    return {
        model: Cost(_median(cells, parameters), _median(cells, CLOCK), any(is_network(cell.model) for cell in cells))
        for model, cells in group.items()
    }


def _median(cells: Sequence[Cell], metric: str) -> float:
    found = median_figure(v for cell in cells if cell.outcome == "completed" and (v := cell.metric(metric)) is not None)
    return math.inf if found is None else found
