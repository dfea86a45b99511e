"""How a criterion is decided for one problem: from the findings of its runs, or from the errors of all families."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from harness.families import FAMILIES
from harness.presets import DAGGER, KNOWS_TARGET
from reports.reading.evidence import Cell
from reports.reading.histories import Artifacts
from reports.verdicts.numbers import number
from reports.verdicts.rules import Rule
from reports.verdicts.verdict import (
    BEST_FIRST,
    ProblemVerdict,
    Verdict,
    Witness,
    counted,
    median_figure,
    of_every,
    of_median,
    seed_holds,
    worst_figure,
)

SEEDS = 5
"""Seeds that B1 and B2 ask for."""
FAILS_ABOVE = 1e-2
"""X1: the NMSE above which an MLP has failed."""
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
    best = min(variants, key=lambda name: (_validation(variants[name]), name))
    return variants[best], f"{best} (least validation error of {len(variants)} variants)"


def _validation(cells: Iterable[Cell]) -> float:
    median = median_figure(error for cell in cells if (error := cell.error("val/mse")) is not None)
    return float("inf") if median is None else median


def median_errors(cells: Iterable[Cell]) -> dict[tuple[str, str], list[float | None]]:
    """The dense NMSE of each seed, by model and preset, of the chosen variant; infinite for a run that has none."""
    groups: dict[tuple[str, str], list[Cell]] = defaultdict(list)
    for cell in cells:
        groups[cell.model, cell.preset].append(cell)
    found: dict[tuple[str, str], list[float | None]] = {}
    for key, group in groups.items():
        # What stands in no store yet says nothing; what failed for another reason than its numbers may be tried again.
        found[key] = [
            None if cell.outcome in ("error", "timeout", "interrupted", "unknown") else cell.error()
            for cell in chosen_variant(group)[0]
        ]
    return found


@dataclass(frozen=True)
class Standing:
    """How a model under a preset stands to a threshold of the NMSE."""

    model: str
    preset: str
    verdict: Verdict
    """NO DATA of fewer than five seeds."""
    figure: float | None
    """That of the median seed; None where no run has ended."""
    holds: int
    seeds: int
    mark: str = ""
    """A dagger where its shape was chosen with knowledge of the target."""

    def __str__(self) -> str:
        short = "" if self.seeds >= SEEDS else f"; {SEEDS} seeds are asked for"
        return f"{self.preset}, {counted(self.holds, self.seeds, seed_holds(self.holds, self.seeds))}{short}"


def standings(cells: Iterable[Cell], threshold: float) -> list[Standing]:
    """That of each model and preset, the best first: by verdict, then by figure."""
    cells, found = list(cells), []
    for (model, preset), errors in median_errors(cells).items():
        knowing = any(cell.knows_target and (cell.model, cell.preset) == (model, preset) for cell in cells)
        seen = [Verdict.NO_DATA if e is None else Verdict.PASS if e <= threshold else Verdict.FAIL for e in errors]
        verdict = of_median(seen) if len(seen) >= SEEDS else Verdict.NO_DATA
        figure = median_figure(e for e in errors if e is not None)
        found.append(Standing(model, preset, verdict, figure, seen.count(Verdict.PASS), len(seen), DAGGER * knowing))

    def worth(each: Standing) -> tuple[int, float]:
        return BEST_FIRST.index(each.verdict), math.inf if each.figure is None else each.figure

    return sorted(found, key=worth)


def every_family_learns(cells: Sequence[Cell], artifacts: Artifacts) -> ProblemVerdict:
    """B1. Of each family, the best preset's median NMSE is within 1e-4; the figure is that of the worst family."""
    best = {each.model: each for each in reversed(standings(cells, 1e-4))}
    families = dict.fromkeys([*FAMILIES.names(), *(cell.model for cell in cells)])
    verdicts = [best[name].verdict if name in best else Verdict.NO_DATA for name in families]
    figures = [each.figure for each in best.values() if each.figure is not None]
    notes = [
        f"{name}: no run"
        if name not in best or best[name].figure is None
        else f"{name} {number(best[name].figure)}{best[name].mark} ({best[name]})"
        for name in families
    ]
    return ProblemVerdict(
        cells[0].problem,
        of_every(verdicts),
        max(figures, default=None),
        (min(figures), max(figures)) if figures else None,
        verdicts.count(Verdict.PASS),
        len(verdicts),
        note="; ".join(notes),
    )


def best_family_is_exact(cells: Sequence[Cell], artifacts: Artifacts) -> ProblemVerdict:
    """B2. The median NMSE of the best family, under its best preset, is within 1e-8."""
    found = standings(cells, 1e-8)
    figures = [each.figure for each in found if each.figure is not None]
    best = found[0]
    if best.figure is None:
        return ProblemVerdict(cells[0].problem, Verdict.NO_DATA, note="no run has ended")
    return ProblemVerdict(
        cells[0].problem,
        best.verdict,
        best.figure,
        (min(figures), max(figures)),
        best.holds,
        best.seeds,
        seed_holds(best.holds, best.seeds),
        f"{best.model}{best.mark} ({best})",
    )


def spectral_bias(cells: Sequence[Cell], artifacts: Artifacts) -> ProblemVerdict:
    """X1. Whether the median seed of ``mlp`` fails, as expected, beside the others; shown, not judged."""
    errors = {model: found for (model, _), found in median_errors(cells).items()}
    seen = [
        Verdict.NO_DATA if e is None else Verdict.FAIL if e <= FAILS_ABOVE else Verdict.PASS
        for e in errors.get("mlp", ())
    ]
    medians = {
        model: figure
        for model, found in errors.items()
        if (figure := median_figure(e for e in found if e is not None)) is not None
    }
    # A criterion that is shown and not judged has other words for what of_median says.
    said = {Verdict.PASS: Verdict.EXPECTED, Verdict.UNSURE: Verdict.EXPECTED, Verdict.FAIL: Verdict.NOT_OBSERVED}
    verdict = said.get(of_median(seen), Verdict.NO_DATA)
    if verdict is Verdict.NO_DATA:
        return ProblemVerdict(
            cells[0].problem, verdict, medians.get("mlp"), note="no run of mlp, or too few, has ended in a result"
        )
    failing = seen.count(Verdict.PASS)
    others = ", ".join(f"{model} {number(value)}" for model, value in medians.items() if model != "mlp")
    spread = (min(medians.values()), max(medians.values()))
    note = f"mlp fails in {failing} of {len(seen)} seeds; {others or 'alone'}"
    interval = seed_holds(failing, len(seen))
    return ProblemVerdict(cells[0].problem, verdict, medians["mlp"], spread, failing, len(seen), interval, note)
