"""Whether a problem needs a network: the best one beside the best classical method, seed by seed, and criterion C1.

Four of five papers that claim that a network beats a standard solver hold it against a weak one (McGreivy and Hakim 2024,
arXiv:2407.07218). Both are chosen here as a user would, by the error at held-out points, and held against each other by the error
on the dense points. A network whose shape was chosen with knowledge of the target is left out where another was run.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from harness.presets import DAGGER
from harness.protocol import FLOOR
from reports.reading.artifacts import Artifacts
from reports.reading.cells import Cell, by_model_and_preset, without_knowledge
from reports.reading.kinds import is_network
from reports.reading.targets import target_of
from reports.verdicts.numbers import number
from reports.verdicts.problem_verdicts import chosen_variant, validation
from reports.verdicts.verdict import ProblemVerdict, Verdict, median_figure, seed_holds

Key = TypeVar("Key")
CUT_SHORT = "‡"
"""Behind a classical method whose seconds were over."""
WAS_CUT_SHORT = (
    f"{CUT_SHORT} its seconds were over before its largest size; more time (its field seconds) may change the answer"
)
"""What the mark means."""
DECADE = 10.0
"""C1: so many times smaller is the error of a network that wins."""
AGREE = 0.95
"""Part of the seeds that have to agree; else it is a toss-up."""


@dataclass(frozen=True)
class Side:
    """One of the two that are held against each other: medians of the seeds."""

    model: str
    preset: str
    """Empty for a classical method, in which a preset changes nothing."""
    mark: str
    """A dagger where its shape was chosen with knowledge of the target; a double one where a compared seed's seconds were over
    before the largest size of a classical method.
    """
    nmse: float
    seconds: float
    """Of training, or of solving with all sizes that were tried; NaN where it is not known."""
    parameters: float
    """Active ones, or unknowns; NaN where it is not known."""

    def __str__(self) -> str:
        return f"{self.model}{', ' if self.preset else ''}{self.preset}{self.mark}"


@dataclass(frozen=True)
class Need:
    """Whether a problem needs a network, and what says so."""

    problem: str
    network: Side
    classical: Side
    ratio: float
    """Of the errors, classical over network, each with the floor added: of the median seed, of two middle ones the smaller."""
    least: float
    largest: float
    """Of the seeds."""
    better: int
    """Seeds on which the network's error is smaller by more than the floor."""
    seeds: int
    """Those that both have, on the same data."""
    of_floor: bool
    """Whether both medians are below the floor, so that the ratio tells nothing but that."""

    @property
    def answer(self) -> str:
        """``yes`` where the seeds agree that the network is better, ``no`` where they agree that it is not, else ``toss-up``."""
        part = self.better / self.seeds
        return "yes" if part >= AGREE else "no" if part <= 1 - AGREE else "toss-up"

    @property
    def unsure(self) -> bool:
        """Whether seeds that agree are too few to show that more than half of all would, which is what PASS wants."""
        agree = {"yes": self.better, "no": self.seeds - self.better}.get(self.answer)
        interval = None if agree is None else seed_holds(agree, self.seeds)
        return interval is not None and interval[0] <= 0.5


def need_of(cells: Sequence[Cell]) -> Need | None:
    """For the cells of one problem under all presets; None where one side, or a seed that both have, is not there.

    Of several noises and numbers of training points, the least noise and the most points that both have.
    """
    alike = (some for _, some in sorted(_by_data(cells).items()))
    cells = next((some for some in alike if len({is_network(cell.model) for cell in some}) == 2), ())
    if not cells:
        return None
    known = target_of(cells)
    floor = FLOOR if known is None else known.resolution
    network, classical = (of_least_validation(side(cells)) for side in (_networks, _classical))
    if not network or not classical:
        return None
    theirs, ours = _errors(classical), _errors(network)
    seeds = sorted(theirs.keys() & ours.keys())
    if not seeds:
        return None
    ratios = [_ratio(theirs[seed], ours[seed], floor) for seed in seeds]
    better = sum(ours[seed] < theirs[seed] and not theirs[seed] - ours[seed] <= floor for seed in seeds)
    middle = sorted(ratios)[(len(ratios) - 1) // 2]
    sides = _side(network, seeds), _side(classical, seeds)
    of_floor = all(side.nmse <= floor for side in sides)
    return Need(cells[0].problem, *sides, middle, min(ratios), max(ratios), better, len(seeds), of_floor)


def _by_data(cells: Iterable[Cell]) -> dict[tuple[float, int], list[Cell]]:
    """The cells that have a result, by the noise on their data and minus the number of points; of a file a seed decides that."""
    found: dict[tuple[float, int], list[Cell]] = defaultdict(list)
    for cell in cells:
        if cell.run is not None and cell.error() is not None:
            points = 0 if cell.run.field("data") else cell.run.whole("n_train") or 0
            found[cell.noise, -points].append(cell)
    return found


def _networks(cells: Iterable[Cell]) -> Mapping[tuple[str, str], Sequence[Cell]]:
    return without_knowledge(by_model_and_preset(cell for cell in cells if is_network(cell.model)))


def _classical(cells: Iterable[Cell]) -> Mapping[tuple[str, str], Sequence[Cell]]:
    """Under the first preset that has some."""
    found: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    of: dict[str, str] = {}
    for cell in cells:
        if not is_network(cell.model) and of.setdefault(cell.model, cell.preset) == cell.preset:
            found[cell.model, ""].append(cell)
    return found


def of_least_validation(groups: Mapping[Key, Sequence[Cell]]) -> list[Cell]:
    """The cells of that model, or model and preset, that has the least validation error among those with a result; of several
    equal ones the first, and none where none has one.
    """
    tried = {key: chosen_variant(some)[0] for key, some in groups.items()}
    ended = {key: some for key, some in tried.items() if any(cell.error() is not None for cell in some)}
    return min(ended.values(), key=validation, default=[])


def _errors(cells: Iterable[Cell]) -> dict[int, float]:
    return {cell.seed: error for cell in cells if (error := cell.error()) is not None}


def _ratio(theirs: float, ours: float, floor: float) -> float:
    if math.isinf(ours):
        return 1.0 if math.isinf(theirs) else 0.0
    return (theirs + floor) / (ours + floor)


def _side(cells: Sequence[Cell], compared: Collection[int]) -> Side:
    def median(values: Iterable[float | None]) -> float:
        found = median_figure(value for value in values if value is not None)
        return math.nan if found is None else found

    first = cells[0]
    return Side(
        first.model,
        first.preset if is_network(first.model) else "",
        (DAGGER if any(cell.knows_target for cell in cells) else "")
        + (CUT_SHORT if any(cell.cut_short for cell in cells if cell.seed in compared) else ""),
        median(_errors(cells).values()),
        median(cell.metric("time/train_s") for cell in cells if cell.outcome == "completed"),
        median(cell.metric("model/active_params") for cell in cells if cell.outcome == "completed"),
    )


def network_wins_by_a_decade(cells: Sequence[Cell], artifacts: Artifacts) -> ProblemVerdict:
    """C1. Whether the error of the best network is ten times smaller than that of the best classical method, by the median seed;
    shown, not judged.
    """
    problem, found = cells[0].problem, need_of(cells)
    if found is None:
        sides = {is_network(cell.model) for cell in cells if cell.error() is not None}
        lacking = [
            what for is_one, what in ((True, "no network"), (False, "no classical method")) if is_one not in sides
        ]
        note = f"{' and '.join(lacking)} has a result here" if lacking else "no seed has both on the same data"
        return ProblemVerdict(problem, Verdict.NOT_APPLICABLE, note=note)
    wins = found.ratio >= DECADE
    counted = f"{found.answer} ({found.better} of {found.seeds} seeds{', unsure' if found.unsure else ''})"
    note = f"network needed: {counted}; {_told(found.network)}; {_told(found.classical)}"
    note += f"; {WAS_CUT_SHORT}" if CUT_SHORT in found.classical.mark else ""
    verdict = Verdict.EXPECTED if wins else Verdict.NOT_OBSERVED
    return ProblemVerdict(problem, verdict, found.ratio, (found.least, found.largest), note=note)


def _told(side: Side) -> str:
    took = "" if math.isnan(side.seconds) else f" in {number(side.seconds)} s"
    size = "" if math.isnan(side.parameters) else f", {side.parameters:.0f} parameters"
    return f"{side} {number(side.nmse)}{took}{size}"


def needs_of(cells: Iterable[Cell]) -> tuple[Need, ...]:
    """For each problem that has both, in the order of the cells."""
    by_problem: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        by_problem[cell.problem].append(cell)
    return tuple(found for some in by_problem.values() if (found := need_of(some)) is not None)
