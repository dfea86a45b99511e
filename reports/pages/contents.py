"""From evidence to a report: everything that its pages show, before anything is written."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from harness.presets import DAGGER
from reports.comparing.curves import equal_budget, errors_at
from reports.comparing.overall import Overall, overall, profile_picture, title
from reports.comparing.pruning import pruning_table
from reports.comparing.statistics import (
    FACTORS,
    Cost,
    Estimate,
    Recommendation,
    estimate,
    performance_profile,
    recommend,
    win_matrix,
)
from reports.comparing.tables import Group, Table, chosen, final_errors, groups_of, tables
from reports.pages.forest import forest_picture
from reports.pages.overviews import pictures
from reports.pages.pictures import Picture
from reports.reading.artifacts import Artifacts
from reports.reading.cells import Cell
from reports.reading.evidence import Evidence
from reports.reading.targets import in_order
from reports.verdicts.judgements import Judgement, judgements_of
from reports.verdicts.verdict import Verdict, median_figure

CLOCK = "time/train_s"


@dataclass(frozen=True)
class Choice:
    """Which model to use for a problem: at the end of all training, and when time is short."""

    final: Recommendation
    """By the error on the dense grid."""
    quick: Recommendation | None
    """By the error on the test points, since no other is known on the way; None where no model is usable by then."""
    seconds: float | None
    """The time that ``quick`` is about: the most that every model has spent."""
    final_on_test: Estimate | None
    """What ``quick`` is to be held against: the error of the model of ``final`` at its end, on the test points too."""


@dataclass(frozen=True)
class Comparison:
    """One preset's models held against each other."""

    preset: str
    choices: tuple[Choice, ...]
    wins: dict[str, dict[str, float]]
    profile: dict[str, list[float]]
    tables: tuple[Table, ...]


@dataclass(frozen=True)
class Report:
    """What a report says."""

    evidence: Evidence
    judgements: tuple[Judgement, ...]
    overall: tuple[Choice, ...]
    """Over all presets; a model's name has its preset behind it where there are several."""
    comparisons: tuple[Comparison, ...]
    pictures: tuple[Picture, ...]
    """Of the headline preset."""
    summary: Overall | None
    """All models and presets in a few figures; None where no run has ended."""
    overview: tuple[Picture, ...]
    """The pictures of the summary."""
    made: float
    """Unix time, in seconds."""

    @property
    def headline(self) -> str:
        """The preset that the report is about first: ``tuned``, if it is there; empty without any."""
        return next(iter(self.evidence.presets), "")

    @property
    def title(self) -> str:
        """What came out, as a sentence."""
        counts = self.counts(self.headline)
        failed, unsure, undecided = (counts[each.value] for each in (Verdict.FAIL, Verdict.UNSURE, Verdict.NO_DATA))
        return title(self.summary, failed, unsure, undecided, self.headline)

    def of(self, preset: str | None) -> list[Judgement]:
        """The verdicts on a preset; those of the rules over presets for None."""
        return [each for each in self.judgements if each.preset == preset]

    def is_clean(self) -> bool:
        """Whether no criterion of the headline preset and no rule over presets is FAIL or NO DATA; never without one that
        was judged.
        """
        verdicts = [each.verdict for each in (*self.of(self.headline), *self.of(None))]
        return bool(verdicts) and not {Verdict.FAIL, Verdict.NO_DATA} & set(verdicts)

    def counts(self, preset: str | None) -> dict[str, list[str]]:
        """The ids of the criteria by verdict; of the rules over presets for None."""
        found: dict[str, list[str]] = {verdict.value: [] for verdict in Verdict}
        for each in self.of(preset):
            found[each.verdict.value].append(each.criterion.id)
        return found


def make(evidence: Evidence, artifacts: Artifacts) -> Report:
    """Judge, compare and draw. Pictures are of the headline preset only: those of another are in a report of that preset."""
    comparisons = tuple(_compare(evidence, artifacts, preset) for preset in evidence.presets)
    drawn: Sequence[Picture] = pictures(evidence, artifacts, evidence.presets[0]) if evidence.presets else ()
    choices = _choices(evidence, artifacts)
    summary = overall(evidence)
    overview = (profile_picture(summary), forest_picture(summary)) if summary else ()
    judgements = tuple(judgements_of(evidence, artifacts))
    return Report(evidence, judgements, choices, comparisons, tuple(drawn), summary, overview, time.time())


def _choices(evidence: Evidence, artifacts: Artifacts) -> tuple[Choice, ...]:
    together: dict[str, Group] = {}
    for preset in evidence.presets:
        for problem, group in groups_of(evidence, preset).items():
            for model, cells in chosen(group).items():
                name = f"{model}, {preset}" if len(evidence.presets) > 1 else model
                together.setdefault(problem, {})[_marked(name, cells)] = cells
    choices = (
        _choose(problem, together[problem], _errors(together[problem]), artifacts)
        for problem in in_order(set(together))
    )
    return tuple(choice for choice in choices if choice is not None)


def _marked(name: str, cells: Sequence[Cell]) -> str:
    return f"{name}{DAGGER}" if any(cell.knows_target for cell in cells) else name


def _errors(group: Group) -> dict[str, list[float]]:
    return {model: final_errors(cells) for model, cells in group.items()}


def _compare(evidence: Evidence, artifacts: Artifacts, preset: str) -> Comparison:
    groups = {problem: chosen(group) for problem, group in groups_of(evidence, preset).items()}
    named = {p: {_marked(model, cells): cells for model, cells in group.items()} for p, group in groups.items()}
    cells = {
        model: [c for group in groups.values() for c in group.get(model, ())] for g in groups.values() for model in g
    }
    names = {model: _marked(model, some) for model, some in cells.items()}
    errors = {problem: {names[m]: e for m, e in _errors(group).items()} for problem, group in groups.items()}
    medians = {
        problem: {m: v for m, values in by_model.items() if (v := median_figure(values)) is not None}
        for problem, by_model in errors.items()
    }
    choices = [_choose(problem, group, _errors(group), artifacts) for problem, group in named.items()]
    return Comparison(
        preset,
        tuple(choice for choice in choices if choice is not None),
        win_matrix(errors),
        performance_profile(medians),
        (*tables(evidence, artifacts, preset), pruning_table(preset, groups_of(evidence, preset))),
    )


def _choose(problem: str, group: Group, errors: dict[str, list[float]], artifacts: Artifacts) -> Choice | None:
    final = recommend(problem, errors, _costs(group, "model/active_params"))
    if final is None:
        return None
    seconds = equal_budget(group.values(), CLOCK)
    if seconds is None:
        return Choice(final, None, None, None)
    early = {m: [e for e in errors_at(c, artifacts, CLOCK, seconds) if e is not None] for m, c in group.items()}
    quick = recommend(problem, early, _costs(group, "model/params"))  # what is cut at the end is there on the way
    at_the_end = estimate(errors_at(group[final.model], artifacts, CLOCK, math.inf))
    return Choice(final, quick if quick and quick.usable else None, seconds, at_the_end)


def _costs(group: Group, parameters: str) -> dict[str, Cost]:
    return {model: Cost(_median(cells, parameters), _median(cells, CLOCK)) for model, cells in group.items()}


def _median(cells: Sequence[Cell], metric: str) -> float:
    found = median_figure(v for cell in cells if cell.outcome == "completed" and (v := cell.metric(metric)) is not None)
    return math.inf if found is None else found


__all__ = ["FACTORS", "Choice", "Comparison", "Report", "make"]
