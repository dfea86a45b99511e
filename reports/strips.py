"""A criterion at a glance: the figure of each run as a mark beside the threshold, problem by problem, as SVG."""

from __future__ import annotations

import math

from markupsafe import Markup, escape

from harness.escaping import visible
from reports.judging import Judgement
from reports.verdicts import ProblemVerdict, Verdict

WIDTH, LEFT, ROW = 640, 170, 20
MOST = 60
"""Marks a row; of more, every so-manieth in the order of size is shown."""


def strip(judgement: Judgement) -> Markup:
    """The strip, or nothing where the figures have no threshold to be drawn beside.

    Figures that were not reached stand at the right edge. The scale is logarithmic where all figures are positive.
    """
    bound = judgement.criterion.bound
    rows = [(each, _figures(each)) for each in judgement.problems]
    finite = [figure for _, figures in rows for figure, _ in figures if math.isfinite(figure)]
    if bound is None or not finite:
        return Markup("")
    logarithmic = min(finite) > 0 and max(*finite, bound) / min(*finite, bound) > 20

    def scaled(value: float) -> float:
        return math.log10(value) if logarithmic else value

    low, high = scaled(min(*finite, bound)), scaled(max(*finite, bound))
    span = (high - low) or 1.0

    def x(value: float) -> float:
        part = 1.0 if not math.isfinite(value) else 0.04 + 0.88 * (scaled(value) - low) / span
        return LEFT + (WIDTH - LEFT - 12) * part

    height = ROW * len(rows) + 34
    parts = [
        f'<svg class="strip" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Figures of the runs beside the threshold">',
        f'<line class="bound" x1="{x(bound):.1f}" x2="{x(bound):.1f}" y1="4" y2="{height - 20}"/>',
        f'<text x="{x(bound):.1f}" y="{height - 6}" text-anchor="middle">{escape(judgement.criterion.threshold)}</text>',
    ]
    for index, (each, figures) in enumerate(rows):
        y = 14 + ROW * index
        parts.append(f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{escape(visible(each.problem))}</text>')
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH}" y1="{y}" y2="{y}"/>')
        for figure, verdict in figures:
            shape = f'cx="{x(figure):.1f}" cy="{y}" r="4.5"'
            parts.append(f'<circle class="{_class(verdict)}" {shape}><title>{figure:.3g}</title></circle>')
    return Markup("".join(parts) + "</svg>")  # every text in it is escaped above


def _figures(of: ProblemVerdict) -> list[tuple[float, Verdict]]:
    found = [
        (math.inf if math.isnan(figure) else figure, each.finding.verdict)
        for each in of.witnesses
        if (figure := each.finding.figure) is not None
    ]
    if not of.witnesses and of.figure is not None:
        found = [(of.figure, of.verdict)]
    found.sort(key=lambda pair: pair[0])
    return found if len(found) <= MOST else found[:: -(-len(found) // MOST)]


def _class(verdict: Verdict) -> str:
    return {Verdict.PASS: "pass", Verdict.FAIL: "fail"}.get(verdict, "other")
