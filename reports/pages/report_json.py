"""A report as JSON of a documented schema (docs/reports.md)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from reports.comparing.advice import Advice
from reports.comparing.intervals import RATIOS
from reports.comparing.statistics import FACTORS, Estimate
from reports.comparing.tables import Table
from reports.pages.contents import Report
from reports.verdicts.verdict import ProblemVerdict, Witness

SCHEMA, VERSION = "harness-report", 2
"""Name and version of the JSON. The version is raised when a field changes its meaning or goes; new ones may come."""


def as_json(report: Report) -> Iterator[str]:
    """The whole report, piece by piece: of a large store it has millions of lines.

    JSON has no NaN or infinity: these are the strings ``"nan"``, ``"inf"`` and ``"-inf"``.
    """
    yield from _pieces(_content(report), "\n")
    yield "\n"


def _content(report: Report) -> dict[str, Any]:
    evidence = report.evidence
    return {
        "schema": SCHEMA,
        "version": VERSION,
        "made": datetime.fromtimestamp(report.made, UTC).isoformat(timespec="seconds"),
        "selection": str(evidence.selection),
        "benchmark": evidence.selection.benchmark,
        "comparability": evidence.comparability,
        "left_out": dict(evidence.left_out),
        "cells": len(evidence.cells),
        "planned": evidence.planned,
        "unsettled": len(evidence.unsettled),
        "failed": len(evidence.failed),
        "headline": report.headline,
        "presets": evidence.presets,
        "summary": _summary(report),
        "verdicts": [
            {
                "criterion": each.criterion.id,
                "sentence": each.criterion.sentence,
                "rule": each.criterion.rule,
                "threshold": each.criterion.threshold,
                "evidence": each.criterion.evidence,
                "preset": each.preset,
                "verdict": each.verdict.value,
                "counts": each.counts,
                "note": each.note,
                "problems": [_problem(problem) for problem in each.problems],
            }
            for each in report.judgements
        ],
        "needs": [asdict(each) | {"answer": each.answer, "unsure": each.unsure} for each in report.summary.needs]
        if report.summary
        else [],
        "models": [_advice(advice) for advice in report.advice],
        "comparisons": [
            {
                "preset": each.preset,
                "models": [_advice(advice) for advice in each.advice],
                "probability_of_improvement": each.wins,
                "performance_profile": {"factors": FACTORS, "problems": each.profile},
                "tables": [_table(table) for table in each.tables],
            }
            for each in report.comparisons
        ],
    }


def _summary(report: Report) -> dict[str, Any] | None:
    found = report.summary
    if found is None:
        return None
    pairs = [
        {
            "pair": str(pair),
            "model": pair.model,
            "preset": pair.preset,
            "knows_target": pair.knows_target,
            "profile": asdict(found.profile[pair]),
            "best_is_better": asdict(found.improvement[pair]) if pair in found.improvement else None,
            "log10_nmse": {group: asdict(figures[pair]) for group, figures in found.groups.items()},
        }
        for pair in found.profile
    ]
    head = {"title": report.title, "best": str(found.best), "leads": found.leads, "problems": found.problems}
    return {**head, "interval": found.interval, "factors": RATIOS, "groups": found.sizes, "pairs": pairs}


def _problem(found: ProblemVerdict) -> dict[str, Any]:
    return {
        "problem": found.problem,
        "verdict": found.verdict.value,
        "figure": found.figure,
        "spread": found.spread,
        "holds": found.holds,
        "of": found.of,
        "interval": found.interval,
        "note": found.note,
        "runs": map(_witness, found.witnesses),
    }


def _witness(each: Witness) -> dict[str, Any]:
    finding = each.finding
    return {
        "model": each.model,
        "seed": each.seed,
        "variant": each.variant,
        "run": each.run_id,
        "verdict": finding.verdict.value,
        "figure": finding.figure,
        "note": finding.note,
    }


def _advice(advice: Advice) -> dict[str, Any]:
    final, quick = advice.final, advice.quick
    return {
        "problem": final.problem,
        "model": final.model,
        "nmse": asdict(final.estimate),
        "usable": final.usable,
        "equals": final.equals,
        "chosen_for": final.chosen_for,
        "runner_up": final.runner_up or None,
        "chance": final.chance,
        "certainty": final.certainty,
        "quick_model": quick.model if quick else None,
        "quick_seconds": advice.seconds,
        "quick_test_nmse": asdict(quick.estimate) if quick else None,
        "quick_equals": quick.equals if quick else None,
        "quick_chosen_for": quick.chosen_for if quick else None,
        "final_test_nmse": asdict(advice.final_on_test) if advice.final_on_test else None,
        "classical": None
        if advice.classical is None
        else [asdict(each) | {"said": str(each)} for each in advice.classical],
    }


def _table(table: Table) -> dict[str, Any]:
    rows = [[vars(entry) if isinstance(entry, Estimate) else entry for entry in row] for row in table.rows]
    return {"number": table.number, "title": table.title, "note": table.note, "columns": table.columns, "rows": rows}


SEPARATELY = 5
"""Levels whose parts are pieces of their own, down to the runs of a problem."""


def _pieces(value: Any, gap: str, levels: int = SEPARATELY) -> Iterator[str]:
    """A value as ``json.dumps`` spells it with ``indent=1``, which takes three times as long. ``gap`` begins a line at its level.

    An iterator is a list of which no more than one entry is there at a time.
    """
    if (levels == 0 and not isinstance(value, Iterator)) or not isinstance(value, Mapping | list | tuple | Iterator):
        yield _text(value, gap)
        return
    inner, before = f"{gap} ", ""
    first, last = "{}" if isinstance(value, Mapping) else "[]"
    yield first
    for key, each in value.items() if isinstance(value, Mapping) else ((None, each) for each in value):
        yield f"{before}{inner}" if key is None else f"{before}{inner}{quoted(key)}: "
        yield from _pieces(each, inner, max(levels - 1, 0))
        before = ","
    yield f"{gap}{last}" if before else last


def _text(value: Any, gap: str) -> str:
    """The same of a value without iterators, at once."""
    if isinstance(value, str):
        return quoted(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float):
        return float.__repr__(value) if math.isfinite(value) else f'"{value}"'
    if isinstance(value, int):
        return int.__repr__(value)
    inner = f"{gap} "
    if isinstance(value, Mapping):
        parts = [f"{inner}{quoted(key)}: {_text(each, inner)}" for key, each in value.items()]
        return f"{{{','.join(parts)}{gap}}}" if parts else "{}"
    parts = [f"{inner}{_text(each, inner)}" for each in value]
    return f"[{','.join(parts)}{gap}]" if parts else "[]"
