"""The command ``harness report compare``: what changed from one benchmark to another, beyond noise."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BadInput, quoted
from harness.escaping import markdown
from harness.machine import refuse_unwritable
from harness.protocol import FLOOR
from harness.tracking.store import look_at_store, lost_in_one_sentence, open_store
from reports.comparing.groups import chosen, groups_of
from reports.comparing.statistics import Estimate, better, estimate
from reports.pages.render import OVER
from reports.reading.artifacts import Artifacts
from reports.reading.cells import Cell
from reports.reading.evidence import Evidence, Selection, gather
from reports.reading.targets import target_of
from reports.verdicts.judgements import judgements_of
from reports.verdicts.numbers import number
from reports.verdicts.verdict import Verdict

LEVEL = 0.01
"""Of the tests, two-sided."""
PAIRED = 6
"""Seeds that both have from which on they are compared in pairs. Of six and seven, which never reach the level, all have to agree
(3% and 2%), as they have to for "a network is needed".
"""
FEWEST = 5
"""Seeds on each side from which on two groups are compared: four and four never reach the level."""
Key = tuple[str, str, str]
"""Preset, problem, model."""


@dataclass(frozen=True)
class Change:
    """The errors of one model on one problem, before and after."""

    key: Key
    before: Estimate
    after: Estimate
    p: float
    """Of the test on the NMSE of the seeds; 1 where all are the same."""
    level: float
    """How often chance alone is called a difference, at most; 0 of too few seeds for one."""
    direction: str
    """``better`` or ``worse`` where there is a difference beyond noise, else ``within noise``."""


@dataclass(frozen=True)
class Flip:
    """A verdict that is another one now."""

    criterion: str
    preset: str | None
    """None for a rule over presets."""
    before: Verdict
    after: Verdict


@dataclass(frozen=True)
class Changes:
    """What changed from one benchmark to another."""

    changes: tuple[Change, ...]
    flips: tuple[Flip, ...]
    only_before: tuple[Key, ...]
    only_after: tuple[Key, ...]
    text: str
    """All of it, in Markdown."""

    def is_worse(self) -> bool:
        """Whether an error grew beyond noise, or a criterion whose median seed held holds no more."""
        held = (Verdict.PASS, Verdict.UNSURE)
        lost = any(flip.before in held and flip.after not in held for flip in self.flips)
        return lost or any(change.direction == "worse" for change in self.changes)


def compare(before: str, after: str, any_version: bool = False, out: str | None = None) -> Changes:
    """Hold two benchmarks of the store, by their ids, against each other.

    Raises BadInput for an unknown id, for benchmarks without a model and problem in common, for two that are read from the same
    runs, for a file that can't be written, and, unless ``any_version``, for two that follow different rules (comparability
    versions).
    """
    if out is not None:
        if not out.strip():
            raise BadInput(f"out = {quoted(out)} names no file; give one such as changes.md.")
        refuse_unwritable("out", Path(out), folder=False)
    if not look_at_store(reading=True):
        raise BadInput("there is no store here to compare in; name one with MLFLOW_TRACKING_URI.")
    client = open_store(reading=True)
    with lost_in_one_sentence():
        first, second = (gather(client, Selection(name), own_first=True) for name in (before, after))
    if first.comparability != second.comparability and not any_version:
        raise BadInput(
            f"benchmarks {before!r} and {after!r} have comparability versions {first.comparability} and "
            f"{second.comparability}: their numbers do not mean the same; --any-version compares them all the same."
        )
    with lost_in_one_sentence():
        found = held_against(first, second, Artifacts(client))
    if out is not None:
        try:
            Path(out).write_text(found.text + "\n", encoding="utf-8")
        except OSError as error:
            raise BadInput(f"out = {out!r} can't be written: {error.strerror}.") from error
    return found


def held_against(first: Evidence, second: Evidence, artifacts: Artifacts) -> Changes:
    """Two benchmarks held against each other. Raises BadInput when they have nothing in common, or only runs that both are read
    from.
    """
    old, new = cells_of(first), cells_of(second)
    common = [key for key in old if key in new]
    if not common:
        raise BadInput(f"{first.selection} and {second.selection} have no preset, problem and model in common.")
    # A run that both are read from says nothing of what changed between them.
    shared = _runs(old) & _runs(new)
    changes = []
    for key in common:
        before, after = (_errors(side[key], shared) for side in (old, new))
        change = change_of(key, before, after, _floor([*old[key], *new[key]]))
        changes += [] if change is None else [change]
    if not changes:
        raise BadInput(
            "both benchmarks are read from the same runs, so nothing can differ; "
            "harness benchmark --force computes the cells of one anew."
        )
    judged = {(each.criterion.id, each.preset): each.verdict for each in judgements_of(first, artifacts)}
    flips = tuple(
        Flip(each.criterion.id, each.preset, judged[each.criterion.id, each.preset], each.verdict)
        for each in judgements_of(second, artifacts)
        if judged.get((each.criterion.id, each.preset), each.verdict) is not each.verdict
    )
    lost, gained = (tuple(key for key in a if key not in b) for a, b in ((old, new), (new, old)))
    return Changes(tuple(changes), flips, lost, gained, _text(first, second, changes, flips, lost, gained, len(shared)))


def cells_of(evidence: Evidence) -> dict[Key, list[Cell]]:
    """The cells that have a result, by preset, problem and model; of several variants those that are judged."""
    found = {
        (preset, problem, model): [cell for cell in cells if cell.error() is not None]
        for preset in evidence.presets
        for problem, group in groups_of(evidence, preset).items()
        for model, cells in chosen(group).items()
    }
    return {key: cells for key, cells in found.items() if cells}


def _runs(cells: Mapping[Key, Sequence[Cell]]) -> set[str]:
    return {cell.run.run_id for some in cells.values() for cell in some if cell.run is not None}


def _errors(cells: Sequence[Cell], without: Collection[str]) -> dict[int, float]:
    """The final NMSE by seed, infinite where it was not reached, of the cells that are read from no run of ``without``."""
    return {
        cell.seed: error
        for cell in cells
        if (error := cell.error()) is not None and cell.run is not None and cell.run.run_id not in without
    }


def _floor(cells: Sequence[Cell]) -> float:
    known = target_of(cells)
    return FLOOR if known is None else known.resolution


def change_of(key: Key, before: Mapping[int, float], after: Mapping[int, float], floor: float = FLOOR) -> Change | None:
    """How an error, by seed, changed; None when one of the two has no seed.

    Where six seeds or more are in both, Wilcoxon's signed ranks of their pairs decide; else the Mann-Whitney test and the
    intervals, if they agree, of five seeds or more on each side. Errors that differ by no more than the floor are the same.
    """
    first, second = estimate(list(before.values())), estimate(list(after.values()))
    if first is None or second is None:
        return None
    pairs = [(before[seed], after[seed]) for seed in before if seed in after]
    if len(pairs) >= PAIRED:
        differing = [pair for pair in pairs if better(*pair, floor) != 0.5]
        level = max(LEVEL, 2.0 ** (1 - len(differing))) if len(differing) >= PAIRED else 0.0
        p, grows = _of_pairs(differing, floor) if differing else (1.0, False)
        differs = p <= level
    else:
        level = LEVEL if min(first.seeds, second.seeds) >= FEWEST else 0.0
        p, grows = _of_ranks(list(before.values()), list(after.values())), second.median > first.median
        overlap = first.low <= second.high and second.low <= first.high
        differs = p <= level and not overlap and better(first.median, second.median, floor) != 0.5
    return Change(key, first, second, p, level, ("worse" if grows else "better") if differs else "within noise")


def _of_ranks(before: Sequence[float], after: Sequence[float]) -> float:
    """The Mann-Whitney test's p."""
    from scipy.stats import mannwhitneyu

    # Ranks need an order, and infinities have one among numbers.
    old, new = ([min(value, 1e300) for value in values] for values in (before, after))
    p = 1.0 if len({*old, *new}) == 1 else float(mannwhitneyu(old, new, alternative="two-sided").pvalue)
    return 1.0 if math.isnan(p) else p


def _of_pairs(pairs: Sequence[tuple[float, float]], floor: float) -> tuple[float, bool]:
    """Of the ratios of the errors, each at least the floor, p of Wilcoxon's signed ranks, and whether they grow."""
    from scipy.stats import rankdata, wilcoxon

    logs = [tuple(math.log10(min(max(error, floor), 1e300)) for error in pair) for pair in pairs]
    changes = [new - old for old, new in logs]
    ranks = rankdata([abs(each) for each in changes])
    grows = sum(math.copysign(rank, each) for rank, each in zip(ranks, changes, strict=True)) > 0
    return float(wilcoxon(changes, method="exact").pvalue), grows


def _text(
    first: Evidence,
    second: Evidence,
    changes: Sequence[Change],
    flips: Sequence[Flip],
    lost: Sequence[Key],
    gained: Sequence[Key],
    shared: int,
) -> str:
    by_direction: Mapping[str, list[Change]] = {
        name: [change for change in changes if change.direction == name] for name in ("worse", "better", "within noise")
    }
    lines = [f"# From {markdown(first.selection.benchmark)} to {markdown(second.selection.benchmark)}", ""]
    counted = ", ".join(f"{len(some)} {name}" for name, some in by_direction.items())
    lines += [f"Final NMSE of {len(changes)} models on problems: {counted}. {len(flips)} verdicts flipped."]
    if first.comparability != second.comparability:
        lines += [
            "",
            f"**Different rules**: versions {markdown(first.comparability)} and {markdown(second.comparability)}.",
        ]
    for caveat in _caveats(changes, shared):
        lines += ["", caveat]
    if flips:
        lines += ["", "| criterion | preset | before | after |", "|---|---|---|---|"]
        lines += [
            f"| {markdown(f.criterion)} | {markdown(f.preset or OVER)} | {f.before.value} | {f.after.value} |"
            for f in flips
        ]
    for name in ("worse", "better"):
        if by_direction[name]:
            lines += ["", f"| {name} | problem | model | before | after | p |", "|---|---|---|---|---|---|"]
        for change in by_direction[name]:
            preset, problem, model = map(markdown, change.key)
            figures = f"{number(change.before.median)} | {number(change.after.median)} | {change.p:.3f}"
            lines.append(f"| {preset} | {problem} | {model} | {figures} |")
    for what, keys in (("Only before", lost), ("Only after", gained)):
        if keys:
            lines += ["", f"{what}: " + "; ".join(markdown(" ".join(key)) for key in keys) + "."]
    return "\n".join(lines)


def _caveats(changes: Sequence[Change], shared: int) -> Iterator[str]:
    """What a reader has to know before the figures."""
    if shared:
        yield f"{shared} runs stand on both sides, and are left out of this."
    fewest = min((seeds for c in changes for seeds in (c.before.seeds, c.after.seeds)), default=0)
    if fewest < FEWEST:
        yield f"With {fewest} seeds no difference can be told from noise; the test needs {FEWEST} on each side."
    if by_chance := round(sum(change.level for change in changes)):
        levels = sorted({f"{change.level:.0%}" for change in changes if change.level})
        yield (
            f"Of these {len(changes)} comparisons chance alone calls up to about {by_chance} better or worse "
            f"(each is made at a level of {' or '.join(levels)})."
        )
