"""How a criterion is decided for one problem from the errors of all families: B1, B2, D1 and X1."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.presets import DAGGER
from reports.reading.artifacts import Artifacts
from reports.reading.cells import Cell, by_model_and_preset, without_knowledge
from reports.reading.kinds import FIRST
from reports.reading.targets import target_of
from reports.verdicts.numbers import number
from reports.verdicts.problem_verdicts import chosen_variant
from reports.verdicts.verdict import (
    BEST_FIRST,
    Finding,
    ProblemVerdict,
    Verdict,
    count_in_words,
    median_figure,
    of_every,
    of_median,
    seed_holds,
)

SEEDS = 5
"""Seeds that B1 and B2 ask for."""
LEARNED_TO = 1e-4
"""D1: the NMSE to which something without noise is learned."""
FAILS_ABOVE = 1e-2
"""X1: the NMSE above which an MLP has failed."""


def median_errors(cells: Iterable[Cell]) -> dict[tuple[str, str], list[float | None]]:
    """The dense NMSE of each seed, by model and preset, of the chosen variant; infinite where it was not reached, None for a cell
    without a result.
    """
    return {
        key: [cell.error() for cell in chosen_variant(group)[0]] for key, group in by_model_and_preset(cells).items()
    }


def _without_knowledge(cells: Iterable[Cell]) -> list[Cell]:
    return [cell for group in without_knowledge(by_model_and_preset(cells)).values() for cell in group]


@dataclass(frozen=True)
class Standing:
    """How a model under a preset stands to a threshold of the NMSE."""

    model: str
    preset: str
    verdict: Verdict
    """NO DATA of fewer seeds than are asked for."""
    figure: float | None
    """That of the median seed; None where no run has ended."""
    holds: int
    seeds: int
    mark: str = ""
    """A dagger where its shape was chosen with knowledge of the target."""
    asked: int = SEEDS
    """Seeds that are asked for."""

    def __str__(self) -> str:
        short = "" if self.seeds >= self.asked else f"; {self.asked} seeds are asked for"
        return f"{self.preset}, {count_in_words(self.holds, self.seeds, seed_holds(self.holds, self.seeds))}{short}"


def standings(cells: Iterable[Cell], threshold: float, asked: int = SEEDS) -> list[Standing]:
    """That of each model and preset, the best first: by verdict, then by figure. One of too few seeds whose figure is beyond the
    threshold comes last: nobody waits for its other seeds.
    """
    cells, found = list(cells), []
    for (model, preset), errors in median_errors(cells).items():
        knowing = any(cell.knows_target and (cell.model, cell.preset) == (model, preset) for cell in cells)
        seen = [Verdict.NO_DATA if e is None else Verdict.PASS if e <= threshold else Verdict.FAIL for e in errors]
        verdict = of_median(seen) if len(seen) >= asked else Verdict.NO_DATA
        figure = median_figure(e for e in errors if e is not None)
        holds, mark = seen.count(Verdict.PASS), DAGGER * knowing
        found.append(Standing(model, preset, verdict, figure, holds, len(seen), mark, asked))

    def worth(each: Standing) -> tuple[bool, int, float]:
        figure = math.inf if each.figure is None else each.figure
        hopeless = each.verdict is Verdict.NO_DATA and each.figure is not None and figure > threshold
        return hopeless, BEST_FIRST.index(each.verdict), figure

    return sorted(found, key=worth)


def every_family_learns(cells: Sequence[Cell], artifacts: Artifacts) -> ProblemVerdict:
    """B1. Of each family, the best preset's median NMSE is within 1e-4; the figure is that of the worst family."""
    by_model: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        by_model[cell.model].append(cell)
    best = {model: standings(_without_knowledge(some), 1e-4)[0] for model, some in by_model.items()}
    families = dict.fromkeys([*FIRST, *(cell.model for cell in cells)])
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
    """B2. The median NMSE of the best family, under its best preset, is within 1e-8. Shapes that know the target are left out."""
    found = standings(_without_knowledge(cells), 1e-8)
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


def some_family_learns(cells: Sequence[Cell], artifacts: Artifacts) -> ProblemVerdict:
    """D1. At each noise some family's median NMSE is within 1e-4, or 1.1 times the floor of the noise where that is more.

    The figure is the error over what is allowed, at the noise where the best family is worst.
    """
    by_noise: dict[float, list[Cell]] = defaultdict(list)
    for cell in cells:
        by_noise[cell.noise].append(cell)
    found = [_at_noise(noise, by_noise[noise]) for noise in sorted(by_noise)]
    figures = [each.figure for each in found if each.figure is not None]
    verdict = of_every(each.verdict for each in found)
    return ProblemVerdict(
        cells[0].problem,
        verdict,
        max(figures, default=None),
        (min(figures), max(figures)) if len(figures) > 1 else None,
        sum(each.verdict is Verdict.PASS for each in found),
        len(found),
        note="; ".join(each.note for each in found),
    )


def _at_noise(noise: float, cells: Sequence[Cell]) -> Finding:
    """D1 of the cells of one problem whose training targets have that noise.

    The floor is the square of the noise that was put on a formula; of the rows of a file the variance among rows of equal inputs,
    over that of the output. Without such rows an error above 1e-4 may be noise or not: nothing is decided.
    """
    known = target_of(cells)
    of_rows = known is not None and known.of_rows
    floor = known.floor_nmse if known is not None and of_rows else noise**2
    allowed = max(LEARNED_TO, 1.1 * floor) if math.isfinite(floor) else LEARNED_TO
    best = standings(cells, allowed, asked=1)[0]
    told = f"noise {noise:g}: " if noise else ""
    if best.figure is None:
        return Finding(Verdict.NO_DATA, None, f"{told}no run has ended")
    said = f"{told}{best.model}{best.mark} {number(best.figure)} of {number(allowed)} allowed ({best})"
    if best.verdict is Verdict.FAIL and math.isnan(floor):
        why = "no two rows have equal inputs, so nothing says how much of it is noise"
        return Finding(Verdict.NOT_APPLICABLE, best.figure / allowed, f"{said}; {why}")
    return Finding(best.verdict, best.figure / allowed, said)


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
    # A criterion that is shown and not judged has other verdicts for those of of_median.
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
