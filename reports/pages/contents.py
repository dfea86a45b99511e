"""From evidence to a report: everything that its pages show, before anything is written."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from reports.comparing.advice import Advice, advice_over_presets
from reports.comparing.classical import classical_of
from reports.comparing.comparison import Comparison, comparison_of
from reports.comparing.competitors import table_of_needs
from reports.comparing.groups import FOLDED, Group, chosen, groups_of, in_front
from reports.comparing.overall import Overall, overall, title
from reports.comparing.sweeps import AXES
from reports.comparing.tables import Table
from reports.pages.agreements import agreements
from reports.pages.error_curves import error_curves
from reports.pages.fits import fits
from reports.pages.forest import forest_picture
from reports.pages.heatmaps import heatmaps
from reports.pages.loss_curves import loss_curves
from reports.pages.nan_timeline import nan_timeline
from reports.pages.pareto import pareto_front
from reports.pages.performance_profile import profile_picture
from reports.pages.pictures import Picture
from reports.pages.pruning_path import pruning_path
from reports.pages.sweeps import sweep_picture
from reports.parallel import parallel_map
from reports.reading.artifacts import Artifacts, is_here
from reports.reading.evidence import Evidence
from reports.reading.targets import Target, target_of
from reports.verdicts.judgements import Judgement, judgements_of
from reports.verdicts.verdict import Verdict


@dataclass(frozen=True)
class Report:
    """What a report says."""

    evidence: Evidence
    judgements: tuple[Judgement, ...]
    advice: tuple[Advice, ...]
    """Over all presets; a model's name has its preset behind it where there are several."""
    comparisons: tuple[Comparison, ...]
    pictures: tuple[Picture, ...]
    """Of the headline preset."""
    summary: Overall | None
    """All models and presets in a few figures; None where no run has a result."""
    overview: tuple[Picture, ...]
    """The pictures of the summary."""
    needs: Table | None
    """Whether each problem needs a network; None where no classical method was run beside one."""
    made: float
    """Unix time, in seconds."""

    @property
    def headline(self) -> str:
        """The preset that the report is about first: ``tuned``, if it is there; empty without any."""
        return next(iter(self.evidence.presets), "")

    @property
    def title(self) -> str:
        """What came out, as a sentence."""
        under, over = self.counts(self.headline), self.counts(None)
        open_ = [
            id_ for counts in (under, over) for each in (Verdict.UNSURE, Verdict.NO_DATA) for id_ in counts[each.value]
        ]
        return title(self.summary, under[Verdict.FAIL.value], over[Verdict.FAIL.value], len(open_), self.headline)

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


def contents_of(evidence: Evidence, artifacts: Artifacts) -> Report:
    """Judge, compare and draw. Pictures are of the headline preset only: those of another are in a report of that preset."""
    artifacts.read_ahead(cell.run for cell in evidence.cells if cell.run is not None and cell.run.outcome != "running")
    comparisons = tuple(comparison_of(evidence, artifacts, preset) for preset in evidence.presets)
    pictures = tuple(_pictures_of(evidence, artifacts, evidence.presets[0])) if evidence.presets else ()
    advice = advice_over_presets(evidence, artifacts)
    summary = overall(evidence)
    overview = (profile_picture(summary), forest_picture(summary)) if summary else ()
    judgements = tuple(judgements_of(evidence, artifacts))
    needs = table_of_needs(summary.needs) if summary else None
    return Report(evidence, judgements, advice, comparisons, pictures, summary, overview, needs, time.time())


Drawing = Callable[[], Picture | None]


def _pictures_of(evidence: Evidence, artifacts: Artifacts, preset: str) -> list[Picture]:
    """All pictures of a preset, those over all problems first."""
    everything, classical = groups_of(evidence, preset), classical_of(evidence)
    groups = {problem: in_front(group) for problem, group in everything.items()}
    drawings: list[Drawing] = []
    if groups:
        drawings += [partial(pareto_front, preset, groups), partial(nan_timeline, preset, everything)]
    drawings += [partial(pruning_path, preset, everything)]
    drawings += [partial(sweep_picture, preset, groups, axis) for axis in AXES]
    for problem, group in everything.items():
        known = target_of(itertools.chain(*group.values()))
        if known is None:
            continue
        both = {**chosen(group), **classical.get(problem, {})}
        for draw in (error_curves if known.is_equation else loss_curves, _of_predictions(known)):
            drawings.append(partial(_of_chosen, draw, known, preset, both, artifacts))
    # What lies elsewhere is fetched by the store's connection, which processes must not share.
    here = all(cell.run is None or is_here(cell.run) for cell in evidence.cells)
    pictures = parallel_map(lambda draw: draw(), drawings) if here else [draw() for draw in drawings]
    return [picture for picture in pictures if picture is not None]


OfProblem = Callable[[Target, str, Group, Artifacts], Picture]


def _of_chosen(draw: OfProblem, known: Target, preset: str, group: Group, artifacts: Artifacts) -> Picture:
    """A picture of a problem, with those of the models in front that there is room for."""
    shown = in_front(group)
    picture = draw(known, preset, shown, artifacts)
    return replace(picture, description=f"{picture.description} {FOLDED}") if len(shown) < len(group) else picture


def _of_predictions(known: Target) -> OfProblem:
    """Which picture shows what the models of a problem predict."""
    if not known.on_grid or len(known.outputs) > 1:
        return agreements
    return fits if known.dimension == 1 else heatmaps
