"""The command ``harness report compare``: what changed from one benchmark to another, beyond noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import BadInput, quoted
from harness.escaping import markdown
from harness.machine import refuse_unwritable
from harness.tracking.store import look_at_store, lost_in_one_sentence, open_store
from reports.comparing.groups import chosen, final_errors, groups_of
from reports.comparing.statistics import FEWEST, Estimate, better, estimate
from reports.pages.render import OVER
from reports.reading.artifacts import Artifacts
from reports.reading.evidence import Evidence, Selection, gather
from reports.verdicts.judgements import judgements_of
from reports.verdicts.numbers import number
from reports.verdicts.verdict import Verdict

LEVEL = 0.05
"""Of the two-sided Mann-Whitney test."""
Key = tuple[str, str, str]
"""Preset, problem, model."""


@dataclass(frozen=True)
class Change:
    """The errors of one model on one problem, before and after."""

    key: Key
    before: Estimate
    after: Estimate
    p: float
    """Of the Mann-Whitney test on the NMSE of the seeds; 1 where all are the same."""

    @property
    def direction(self) -> str:
        """``better`` or ``worse`` if test and intervals agree that there is a difference, else ``within noise``."""
        first, second = self.before, self.after
        overlap = first.low <= second.high and second.low <= first.high
        same = better(first.median, second.median) == 0.5
        if same or overlap or self.p > LEVEL:
            return "within noise"
        return "better" if second.median < first.median else "worse"


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

    Raises BadInput for an unknown id, for benchmarks without a model and problem in common, for a file that can't be written,
    and, unless ``any_version``, for two that follow different rules (comparability versions).
    """
    if out is not None:
        if not out.strip():
            raise BadInput(f"out = {quoted(out)} names no file; give one such as changes.md.")
        refuse_unwritable("out", Path(out), folder=False)
    if not look_at_store(reading=True):
        raise BadInput("there is no store here to compare in; name one with MLFLOW_TRACKING_URI.")
    client = open_store(reading=True)
    with lost_in_one_sentence():
        first, second = (gather(client, Selection(benchmark)) for benchmark in (before, after))
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
    """Two benchmarks held against each other. Raises BadInput when they have nothing in common."""
    old, new = errors_of(first), errors_of(second)
    both = [key for key in old if key in new]
    if not both:
        raise BadInput(f"{first.selection} and {second.selection} have no preset, problem and model in common.")
    changes = tuple(change for key in both if (change := change_of(key, old[key], new[key])) is not None)
    judged = {(each.criterion.id, each.preset): each.verdict for each in judgements_of(first, artifacts)}
    flips = tuple(
        Flip(each.criterion.id, each.preset, judged[each.criterion.id, each.preset], each.verdict)
        for each in judgements_of(second, artifacts)
        if judged.get((each.criterion.id, each.preset), each.verdict) is not each.verdict
    )
    lost, gained = (tuple(key for key in a if key not in b) for a, b in ((old, new), (new, old)))
    return Changes(changes, flips, lost, gained, _text(first, second, changes, flips, lost, gained))


def errors_of(evidence: Evidence) -> dict[Key, list[float]]:
    """The final NMSE of the seeds by preset, problem and model; infinite where it was not reached."""
    return {
        (preset, problem, model): errors
        for preset in evidence.presets
        for problem, group in groups_of(evidence, preset).items()
        for model, cells in chosen(group).items()
        if (errors := final_errors(cells))
    }


def change_of(key: Key, before: Sequence[float], after: Sequence[float]) -> Change | None:
    """How an error changed; None when one of the two has no seed."""
    from scipy.stats import mannwhitneyu

    first, second = estimate(before), estimate(after)
    if first is None or second is None:
        return None
    # Ranks need an order, and infinities have one among numbers.
    old, new = ([min(value, 1e300) for value in values] for values in (before, after))
    p = 1.0 if len({*old, *new}) == 1 else float(mannwhitneyu(old, new, alternative="two-sided").pvalue)
    return Change(key, first, second, 1.0 if math.isnan(p) else p)


def _text(
    first: Evidence,
    second: Evidence,
    changes: Sequence[Change],
    flips: Sequence[Flip],
    lost: Sequence[Key],
    gained: Sequence[Key],
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
    fewest = min((seeds for c in changes for seeds in (c.before.seeds, c.after.seeds)), default=0)
    if fewest < FEWEST:
        lines += ["", f"With {fewest} seeds no difference can be told from noise; the test needs four on each side."]
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
