"""A report for people: one HTML file that needs nothing else, Markdown, and LaTeX. Whatever a run says of itself is escaped."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.escaping import latex, markdown, visible
from harness.presets import DAGGER, KNOWS_TARGET
from reports.comparing.intervals import Interval, interval_names
from reports.comparing.statistics import FACTORS, FEWEST, Estimate
from reports.comparing.tables import Entry
from reports.pages.contents import Report
from reports.pages.threshold_plot import threshold_plot
from reports.verdicts.numbers import number
from reports.verdicts.verdict import ProblemVerdict, Verdict, Witness

MOST_LISTED = 12
"""Runs listed for a problem in the HTML: those that fail first. All of them are in the CSV."""
MARKS = {
    Verdict.PASS: "✓",
    Verdict.FAIL: "✕",
    Verdict.UNSURE: "~",
    Verdict.NO_DATA: "?",
    Verdict.NOT_APPLICABLE: "–",
    Verdict.EXPECTED: "i",
    Verdict.NOT_OBSERVED: "i",
}
OVER = "all presets"
"""Where the name of a preset would stand, for a rule over presets."""

Link = Callable[[str], str]
"""From a run's id to its page in the tracking UI; empty where the address of the UI is not known."""


def entry(value: Entry, spread: bool = False) -> str:
    """A table's entry: the median, and what :func:`bracketed` says in brackets, where there are several seeds; or, with
    ``spread``, the least and the largest.
    """
    if not isinstance(value, Estimate):
        return value or "–"
    median = f"{number(value.median)}{DAGGER if value.knows_target else ''}"
    if spread:
        several = value.seeds > 1 and value.least != value.largest
        return f"{median} ({number(value.least)} to {number(value.largest)})" if several else median
    if value.seeds == 1 or value.low == value.high:
        return median
    return f"{median} [{number(value.low)}, {number(value.high)}]"


def interval(value: Interval | None, form: str, times: float = 1.0) -> str:
    """A figure with its interval, each written by ``form`` after it was multiplied; a dash where there is none."""
    if value is None or math.isnan(value.value):
        return "–"
    middle, low, high = (form % (times * part) for part in (value.value, value.low, value.high))
    return middle if low == high else f"{middle} [{low}, {high}]"


def minus(figures: str) -> str:
    """Figures in LaTeX with signs for their hyphens."""
    return re.sub(r"(?<![\w.])-(?=\d)", "$-$", figures)


def vendored(name: str) -> Markup:
    """A script or a style sheet of ours, or of those that we carry with us, as it is."""
    return Markup((resources.files("reports.pages") / "templates" / name).read_text("utf-8"))


def bracketed(report: Report) -> str:
    """What stands in the brackets behind a median."""
    found = {advice.final.estimate.seeds for advice in report.advice}
    tables = (table for each in report.comparisons for table in each.tables)
    found |= {value.seeds for table in tables for row in table.rows for value in row if isinstance(value, Estimate)}
    return interval_names(found)


def witnesses(found: ProblemVerdict) -> list[Witness]:
    """The runs of a problem that the page lists: those that do not pass first, then by seed."""
    order = [
        Verdict.FAIL,
        Verdict.NO_DATA,
        *(verdict for verdict in Verdict if verdict not in (Verdict.FAIL, Verdict.NO_DATA)),
    ]
    return sorted(found.witnesses, key=lambda each: (order.index(each.finding.verdict), each.model, each.seed))[
        :MOST_LISTED
    ]


def anchor(*parts: str) -> str:
    """An id of the page."""
    return re.sub(r"[^A-Za-z0-9_-]", lambda match: f".{ord(match[0]):x}", "-".join(parts))


def html(report: Report, link: Link) -> str:
    """The page."""
    return _environment(autoescape=True).get_template("report.html").render(_names(report, link))


def text(report: Report, link: Link, pictures: str = "figures") -> str:
    """The report in Markdown; ``pictures`` is the folder of the PNG files beside it."""
    return _environment().get_template("report.md").render(_names(report, link), pictures=pictures)


def tex(report: Report) -> str:
    """The tables and the verdict grid in LaTeX (package booktabs)."""
    return _environment().get_template("tables.tex").render(_names(report, lambda run_id: ""))


def _environment(autoescape: bool = False) -> Environment:
    environment = Environment(
        loader=PackageLoader("reports.pages"),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_seen if autoescape else None,
    )
    environment.filters |= {
        "number": number,
        "entry": entry,
        "interval": interval,
        "minus": minus,
        "md": markdown,
        "tex": latex,
        "b64": _base64,
        "extent": _extent,
    }
    return environment


def _seen(value: Any) -> Any:
    """Whatever goes into the page: a text without what can't be seen, and markup of our own as it is."""
    return value if hasattr(value, "__html__") else visible(value)


def _names(report: Report, link: Link) -> dict[str, Any]:
    by_criterion: dict[str, dict[str | None, Any]] = {}
    for each in report.judgements:
        by_criterion.setdefault(each.criterion.id, {})[each.preset] = each
    groups: dict[str, list[Any]] = {}
    for by_preset in by_criterion.values():
        criterion = next(iter(by_preset.values())).criterion
        groups.setdefault(criterion.group, []).append((criterion, by_preset))
    applying: dict[str, list[Any]] = {}
    elsewhere: dict[str, list[Any]] = {}
    for group, of in groups.items():
        for each in of:
            (applying if _applies(each[1]) else elsewhere).setdefault(group, []).append(each)
    return {
        "report": report,
        "evidence": report.evidence,
        "groups": groups,
        "applying": applying,
        "elsewhere": elsewhere,
        "link": link,
        "threshold_plot": threshold_plot,
        "anchor": anchor,
        "witnesses": witnesses,
        "marks": MARKS,
        "over": f"over {'presets' if len(report.evidence.presets) > 1 else 'preset'} {', '.join(report.evidence.presets)}",
        "knows_target": f"{KNOWS_TARGET}." if any(cell.knows_target for cell in report.evidence.cells) else "",
        "solved": any(advice.classical is not None for advice in report.advice),
        "factors": FACTORS,
        "fewest": FEWEST,
        "bracketed": bracketed(report),
        "made": datetime.fromtimestamp(report.made, UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "selected": str(report.evidence.selection),
        "vendored": vendored,
        "is_estimate": lambda value: isinstance(value, Estimate),
        "isnan": math.isnan,
    }


def _applies(by_preset: dict[str | None, Any]) -> bool:
    return any(each.verdict is not Verdict.NOT_APPLICABLE for each in by_preset.values())


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _extent(content: bytes) -> Markup:
    """Size of a PNG as HTML attributes, from its header. Room is kept for it, so that nothing jumps when it loads late."""
    return Markup(f'width="{int.from_bytes(content[16:20], "big")}" height="{int.from_bytes(content[20:24], "big")}"')
