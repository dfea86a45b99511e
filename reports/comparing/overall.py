"""All models and presets of a report held against each other: what came out, in figures and in one sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.presets import DAGGER, KNOWS_TARGET
from harness.protocol import FLOOR
from reports.comparing.classical import classical_of
from reports.comparing.groups import chosen, final_errors, groups_of
from reports.comparing.intervals import (
    Band,
    Interval,
    aggregate,
    improvement,
    interval_name,
    most_seeds,
    profile_bands,
)
from reports.comparing.recommendations import USABLE
from reports.comparing.statistics import better
from reports.reading.evidence import Evidence
from reports.reading.kinds import is_network, kind_of
from reports.reading.targets import Target, in_order, target_of
from reports.verdicts.criteria import HIGH
from reports.verdicts.need import Need, needs_of
from reports.verdicts.verdict import median_figure

GROUPS = ("smooth 1D", "smooth 2D", "high frequency", "not smooth", "3 inputs or more", "rows of files", "equations")
"""Of problems, in the order in which they are shown. The criteria name those of high frequency."""

MOST_PAIRS = 12
"""Models and presets that a picture shows by name."""


@dataclass(frozen=True, order=True)
class Pair:
    """A model trained by a preset."""

    model: str
    preset: str
    """Empty for a classical method, in which a preset changes nothing."""
    knows_target: bool = False
    """Whether its shape was chosen with knowledge of a target."""

    def __str__(self) -> str:
        return f"{self.model}{', ' if self.preset else ''}{self.preset}{DAGGER if self.knows_target else ''}"


@dataclass(frozen=True)
class Overall:
    """What the whole report says in a few figures. Pairs are in the order in which they improve on each other, best first."""

    best: Pair
    leads: int
    """The problems on which the median of the best pair is the least one, or differs from it by less than the floor; a pair
    whose shape knew the target there does not count."""
    usable: int
    """The problems on which any pair's median is small enough to be recommended."""
    problems: int
    seeds: int
    profile: dict[Pair, Band]
    improvement: dict[Pair, Interval]
    """How likely the best is better than each other, mean over the problems."""
    groups: dict[str, dict[Pair, Interval]]
    """By group of problems, the interquartile mean of log10 NMSE."""
    sizes: dict[str, int]
    """Problems of each group."""
    needs: tuple[Need, ...] = ()
    """Of the problems that have networks and classical methods, whether they need a network."""

    @property
    def front(self) -> list[Pair]:
        """The pairs that a picture shows: all, or where these are many of each kind the one that comes first."""
        if len(self.profile) <= MOST_PAIRS:
            return list(self.profile)
        of_kind: dict[str, Pair] = {}
        for pair in self.profile:
            of_kind.setdefault(kind_of(pair.model), pair)
        return list(of_kind.values())

    @property
    def folded(self) -> str:
        """A sentence for a picture of the front; empty where that is all."""
        if len(self.profile) <= MOST_PAIRS:
            return ""
        return (
            f" Of each kind of model the best of {len(self.profile)} models and presets; the others are in the table."
        )

    @property
    def interval(self) -> str:
        """What the intervals are."""
        return interval_name(self.seeds)

    @property
    def floor(self) -> str:
        """Below what an error, or the difference of two, is none."""
        if "equations" not in self.groups:
            return "1e-8"
        return "1e-8, of equations 1e-12," if len(self.groups) > 1 else "1e-12"

    @property
    def noted(self) -> str:
        """What the dagger means, where there is one."""
        return f" {KNOWS_TARGET}." if any(pair.knows_target for pair in self.profile) else ""


def overall(evidence: Evidence) -> Overall | None:
    """From the final errors on the dense grid; None where no run has a result."""
    errors, pairs, groups, floors, knowing = _errors(evidence)
    if not errors:
        return None
    medians = {
        problem: {pair: m for pair, values in each.items() if (m := median_figure(values)) is not None}
        for problem, each in errors.items()
    }
    usable = {problem: each for problem, each in medians.items() if min(each.values()) <= USABLE}
    # Who leads is asked of those whose shape did not know the target, where there are any.
    asked = {
        problem: {pair: m for pair, m in each.items() if (problem, pair) not in knowing} or each
        for problem, each in usable.items()
    }
    leads = {
        pair: sum(
            pair in each and better(each[pair], min(each.values()), floors.get(problem, FLOOR)) == 0.5
            for problem, each in asked.items()
        )
        for pair in pairs
    }
    bands = profile_bands(errors, floors)
    # Of pairs that lead on as many problems, that which is near the best on more; of equals no network.
    best = max(pairs, key=lambda name: (leads[name], sum(bands[name].value), not is_network(pairs[name].model)))
    against = {name: improvement(errors, best, name, floors) for name in pairs if name != best}

    def behind(name: str) -> tuple[bool, float, float]:
        """How far a pair is behind the best; of pairs that never are better than it, how seldom they are near the best."""
        return math.isnan(against[name].value), against[name].value, -sum(bands[name].value)

    order = [best, *sorted(against, key=behind)]
    by_group = {
        group: {pairs[name]: aggregate({p: errors[p] for p in names}, name, floors) for name in order}
        for group, names in groups.items()
    }
    return Overall(
        pairs[best],
        leads[best],
        len(usable),
        len(errors),
        most_seeds(errors),
        {pairs[name]: bands[name] for name in order},
        {pairs[name]: against[name] for name in order[1:]},
        by_group,
        {group: len(names) for group, names in groups.items()},
        needs_of(evidence.cells),
    )


def _errors(
    evidence: Evidence,
) -> tuple[
    dict[str, dict[str, list[float]]], dict[str, Pair], dict[str, list[str]], dict[str, float], set[tuple[str, str]]
]:
    """The seeds' errors by problem and pair, the pairs by what stands for them, the problems by group, their floors, and
    on which problem which pair knows the target.
    """
    errors: dict[str, dict[str, list[float]]] = {}
    knowing: set[tuple[str, str]] = set()
    pairs: dict[str, Pair] = {}
    groups: dict[str, list[str]] = {}
    floors: dict[str, float] = {}
    under = {preset: groups_of(evidence, preset) for preset in evidence.presets}
    for preset, of_problems in [*under.items(), ("", classical_of(evidence))]:
        for problem, group in of_problems.items():
            for model, cells in chosen(group).items():
                found = final_errors(cells)
                if found:
                    name = f"{model}, {preset}"
                    errors.setdefault(problem, {})[name] = found
                    if any(cell.knows_target for cell in cells):
                        knowing.add((problem, name))
                    pairs[name] = Pair(model, preset)
    for problem in in_order(set(errors)):
        known = target_of(cell for cell in evidence.cells if cell.problem == problem)
        if known is not None:
            groups.setdefault(_group(known), []).append(problem)
            floors[problem] = known.resolution
    pairs |= {name: replace(pairs[name], knows_target=True) for _, name in knowing}
    return errors, pairs, {kind: groups[kind] for kind in GROUPS if kind in groups}, floors, knowing


def _group(known: Target) -> str:
    if known.is_equation:
        return "equations"
    if known.of_rows:
        return "rows of files"
    if known.dimension > 2:
        return "3 inputs or more"
    return "high frequency" if known.name in HIGH else f"smooth {known.dimension}D" if known.smooth else "not smooth"


def title(found: Overall | None, failed: Sequence[str], failed_over: Sequence[str], undecided: int, preset: str) -> str:
    """What came out, as a sentence. ``failed`` are the ids of the criteria that fail under the headline's preset, ``failed_over``
    of the rules over presets that do; of both, ``undecided`` are unsure or without data.
    """
    if found is None:
        return "No run has a result yet, so nothing is decided"
    on = f"Of {found.problems} problems" if found.problems > 1 else "On one problem"
    if not found.usable:
        first = f"{on}, no model has reached NMSE {USABLE:g}" + (" on any" if found.problems > 1 else "")
    else:
        tied = "best or as good as the best"
        under = f" under {found.best.preset}" if found.best.preset else ""
        first = f"{on}, {found.best.model}{under}{DAGGER if found.best.knows_target else ''} is {tied}"
        first += f" on {found.leads}" if found.problems > 1 else ""
    if found.needs:
        needed = sum(each.answer == "yes" for each in found.needs)
        of = f"{needed} of {len(found.needs)}" if len(found.needs) > 1 else "it" if needed else "none"
        few = sum(each.unsure for each in found.needs)
        how = "" if not few else " (unsure)" if few == len(found.needs) else f" ({few} of these answers unsure)"
        first += f"; a network is needed on {of}{how}"
    lacking = [
        f"{_listed(names)} {'do' if len(names) > 1 else 'does'} not hold {where}"
        for names, where in ((failed, f"under {preset}"), (failed_over, "over presets"))
        if names
    ]
    if not lacking and undecided:
        lacking = [
            f"no criterion fails under {preset} or over presets, {undecided} {'are' if undecided > 1 else 'is'} not decided"
        ]
    return f"{first}; {'; '.join(lacking) or f'every criterion that applies holds under {preset} and over presets'}"


def _listed(names: Sequence[str], most: int = 5) -> str:
    if len(names) > most:
        return f"{len(names)} criteria"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
