"""How a criterion is decided for one problem, from the findings of its runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from harness.presets import KNOWS_TARGET
from reports.reading.artifacts import Artifacts
from reports.reading.cells import Cell
from reports.verdicts.rules import Rule
from reports.verdicts.verdict import (
    ProblemVerdict,
    Verdict,
    Witness,
    median_figure,
    of_every,
    of_median,
    seed_holds,
    worst_figure,
)

Decide = Callable[[Sequence[Cell], Artifacts], ProblemVerdict]
"""From the cells of one problem that a criterion applies to, to what can be said of it. Never called without cells."""


def median_seed(rule: Rule, larger_is_worse: bool = True) -> Decide:
    """It holds when the median seed holds. Of several variants of a model, that with the least validation error is judged."""

    def decide(cells: Sequence[Cell], artifacts: Artifacts) -> ProblemVerdict:
        chosen, note = chosen_variant(cells)
        witnesses = _witnesses(chosen, rule, artifacts)
        figures = _figures(witnesses)
        verdict = of_median([each.finding.verdict for each in witnesses])
        found = _verdict(chosen, witnesses, verdict, median_figure(figures, larger_is_worse), note)
        found = replace(found, interval=seed_holds(found.holds, found.of))
        if found.figure is None or not any(cell.knows_target for cell in chosen):
            return found
        return replace(found, note="; ".join(filter(None, (found.note, KNOWS_TARGET))))

    return decide


def every_run(rule: Rule) -> Decide:
    """It holds when every run holds."""

    def decide(cells: Sequence[Cell], artifacts: Artifacts) -> ProblemVerdict:
        witnesses = _witnesses(cells, rule, artifacts)
        verdict = of_every(each.finding.verdict for each in witnesses)
        return _verdict(cells, witnesses, verdict, worst_figure(_figures(witnesses)))

    return decide


def _witnesses(cells: Iterable[Cell], rule: Rule, artifacts: Artifacts) -> list[Witness]:
    return [
        Witness(cell.model, cell.seed, cell.run.run_id if cell.run else "", rule(cell, artifacts), cell.variant)
        for cell in cells
    ]


def _figures(witnesses: Iterable[Witness]) -> list[float]:
    return [each.finding.figure for each in witnesses if each.finding.figure is not None]


def _verdict(
    cells: Sequence[Cell], witnesses: Sequence[Witness], verdict: Verdict, figure: float | None, note: str = ""
) -> ProblemVerdict:
    figures, verdicts = _figures(witnesses), [each.finding.verdict for each in witnesses]
    of_run = Verdict.PASS if verdict is Verdict.UNSURE else verdict
    of_figure = next(
        (e.finding.note for e in witnesses if (e.finding.verdict, e.finding.figure) == (of_run, figure)), ""
    )
    notes = sorted({each.finding.note for each in witnesses if each.finding.verdict is verdict and each.finding.note})
    if not note and verdict in (Verdict.NO_DATA, Verdict.NOT_APPLICABLE) and notes:
        note = notes[0] + (f" (and {len(notes) - 1} more)" if len(notes) > 1 else "")
    elif figure is not None:
        note = "; ".join(filter(None, (note, of_figure)))
    return ProblemVerdict(
        cells[0].problem,
        verdict,
        figure,
        (min(figures), max(figures)) if figures else None,
        verdicts.count(Verdict.PASS),
        len(verdicts) - verdicts.count(Verdict.NOT_APPLICABLE),
        note=note,
        witnesses=tuple(witnesses),
    )


def chosen_variant(cells: Sequence[Cell]) -> tuple[list[Cell], str]:
    """The cells of one model, problem and preset that belong to its variant with the least median validation MSE."""
    variants: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        variants[cell.variant].append(cell)
    if len(variants) == 1:
        return list(cells), ""
    best = min(variants, key=lambda name: (validation(variants[name]), name))
    return variants[best], f"{best} (least validation error of {len(variants)} variants)"


def sizes(cells: Iterable[Cell]) -> dict[str, float]:
    """Median number of active parameters of each variant that has completed."""
    numbers: dict[str, list[float]] = defaultdict(list)
    for cell in cells:
        size = cell.metric("model/active_params")
        if size is not None:
            numbers[cell.variant].append(size)
    return {variant: size for variant, values in numbers.items() if (size := median_figure(values)) is not None}


def validation(cells: Iterable[Cell]) -> float:
    """The median error of cells that a choice may go by; infinite where none has one."""
    median = median_figure(error for cell in cells if (error := cell.validation_error()) is not None)
    return float("inf") if median is None else median
