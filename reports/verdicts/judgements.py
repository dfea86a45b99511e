"""All criteria on all presets and problems of the evidence."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from reports.reading.artifacts import Artifacts
from reports.reading.cells import Cell
from reports.reading.evidence import Evidence
from reports.reading.targets import in_order
from reports.verdicts.criteria import CRITERIA, Criterion
from reports.verdicts.verdict import ProblemVerdict, Verdict, of_every


@dataclass(frozen=True)
class Judgement:
    """A criterion decided for one preset, or once for all of them."""

    criterion: Criterion
    preset: str | None
    """None for a rule over presets."""
    verdict: Verdict
    problems: tuple[ProblemVerdict, ...]
    note: str = ""
    """Why there is no verdict by problems."""

    @property
    def counts(self) -> str:
        """On how many problems it holds, or was so as expected, of those that it could be decided on or should have been; and
        on how many more it is unsure.
        """
        counted = [each for each in self.problems if each.verdict is not Verdict.NOT_APPLICABLE]
        holds = sum(each.verdict in (Verdict.PASS, Verdict.EXPECTED) for each in counted)
        unsure = sum(each.verdict is Verdict.UNSURE for each in counted)
        return f"{holds} of {len(counted)}{f', {unsure} unsure' if unsure else ''}" if counted else ""


def judgements_of(evidence: Evidence, artifacts: Artifacts) -> list[Judgement]:
    """Every criterion for every preset of the evidence, in the order of declaration; a rule over presets once."""
    once: list[str | None] = [None] if evidence.presets else []
    return [
        judgement_of(criterion, preset, evidence, artifacts)
        for criterion in map(CRITERIA.get, CRITERIA.names())
        for preset in (once if criterion.all_presets else evidence.presets)
    ]


def judgement_of(criterion: Criterion, preset: str | None, evidence: Evidence, artifacts: Artifacts) -> Judgement:
    """One criterion for one preset, or for all of them (None): as :func:`of_every` says.

    What no cell of the evidence is about is NO DATA: it was not tried. It is N/A where no problem there could have been one.
    """
    by_problem: dict[str, list[Cell]] = defaultdict(list)
    for cell in evidence.cells:
        if preset in (None, cell.preset) and criterion.applies(cell):
            by_problem[cell.problem].append(cell)
    if not by_problem and evidence.cells and not any(map(criterion.about, evidence.cells)):
        return Judgement(criterion, preset, Verdict.NOT_APPLICABLE, (), criterion.elsewhere)
    if not by_problem:
        return Judgement(criterion, preset, Verdict.NO_DATA, (), "no run that it is about was planned or made")
    found = tuple(criterion.decide(by_problem[name], artifacts) for name in in_order(set(by_problem)))
    verdict, note = of_every(each.verdict for each in found), ""
    if criterion.id == "E2" and not evidence.planned and verdict is Verdict.PASS:
        verdict, note = (
            Verdict.NO_DATA,
            "no plan says which cells should be there; report on a benchmark to decide this",
        )
    return Judgement(criterion, preset, verdict, found, note)
