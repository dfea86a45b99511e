"""A criterion at a glance: the figure of each run as a mark beside the threshold, problem by problem, as SVG."""

from __future__ import annotations

import math

from markupsafe import Markup, escape

from harness.escaping import visible
from reports.verdicts.judgements import Judgement
from reports.verdicts.numbers import number
from reports.verdicts.verdict import ProblemVerdict, Verdict

WIDTH, LEFT, ROW = 640, 170, 20
MOST_MARKS = 60
"""Marks a row; of more, some are shown, evenly spread over the order of size."""


def threshold_plot(judgement: Judgement) -> Markup:
    """The plot, or nothing where the figures have no threshold to be drawn beside.

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

    lost = any(not math.isfinite(figure) for _, figures in rows for figure, _ in figures)
    bottom, height = ROW * len(rows) + 8, ROW * len(rows) + (60 if lost else 46)
    parts = [
        f'<svg class="strip" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="Figures of the runs beside the threshold">',
    ]
    for tick in _ticks(10.0**low if logarithmic else low, 10.0**high if logarithmic else high, logarithmic):
        place = f'x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="4" y2="{bottom + 4}"'
        parts.append(f'<line class="rule" {place}/>')
        parts.append(f'<text x="{x(tick):.1f}" y="{bottom + 16}" text-anchor="middle">{number(tick)}</text>')
    parts += [
        f'<line class="bound" x1="{x(bound):.1f}" x2="{x(bound):.1f}" y1="4" y2="{bottom + 20}"/>',
        f'<text x="{x(bound):.1f}" y="{bottom + 32}" text-anchor="middle">{escape(judgement.criterion.threshold)}</text>',
    ]
    if lost:
        parts.append(f'<text x="{WIDTH}" y="{bottom + 46}" text-anchor="end">right edge: not reached</text>')
    for index, (each, figures) in enumerate(rows):
        y = 14 + ROW * index
        parts.append(f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{escape(visible(each.problem))}</text>')
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{WIDTH}" y1="{y}" y2="{y}"/>')
        for figure, verdict in figures:
            shape = f'cx="{x(figure):.1f}" cy="{y}" r="4.5"'
            parts.append(f'<circle class="{_class(verdict)}" {shape}><title>{number(figure)}</title></circle>')
    return Markup("".join(parts) + "</svg>")  # every text in it is escaped above


def _ticks(low: float, high: float, logarithmic: bool) -> list[float]:
    """Round numbers from low to high: powers of ten, or about five at equal distances."""
    from matplotlib.ticker import MaxNLocator

    if logarithmic:
        first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
        step = max(1, -(-(last - first + 1) // 7))
        powers = [float(f"1e{power}") for power in range(first, last + 1, step)]
        within = [float(f"{digit}e{power}") for power in range(first - 1, last + 1) for digit in (1, 2, 5)]
        return powers if len(powers) > 2 else [v for v in within if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]
    slack = 1e-9 * (high - low)
    return [
        float(v) for v in MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high) if low - slack <= v <= high + slack
    ]


def _figures(of: ProblemVerdict) -> list[tuple[float, Verdict]]:
    found = [
        (math.inf if math.isnan(figure) else figure, each.finding.verdict)
        for each in of.witnesses
        if (figure := each.finding.figure) is not None
    ]
    if not of.witnesses and of.figure is not None:
        found = [(of.figure, of.verdict)]
    found.sort(key=lambda pair: pair[0])
    return found if len(found) <= MOST_MARKS else found[:: -(-len(found) // MOST_MARKS)]


def _class(verdict: Verdict) -> str:
    return {Verdict.PASS: "pass", Verdict.FAIL: "fail"}.get(verdict, "other")
