"""A report as JSON of a documented schema (docs/reports.md)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from reports.comparing.advice import Advice
from reports.comparing.intervals import RATIOS
from reports.comparing.statistics import FACTORS, Estimate
from reports.comparing.tables import Table
from reports.pages.contents import Report
from reports.verdicts.verdict import ProblemVerdict

SCHEMA, VERSION = "harness-report", 2
"""Name and version of the JSON. The version is raised when a field changes its meaning or goes; new ones may come."""


def as_json(report: Report) -> str:
    """The whole report. JSON has no NaN or infinity: these are the strings ``"nan"``, ``"inf"`` and ``"-inf"``."""
    return json.dumps(_spelled(_content(report)), indent=1, allow_nan=False) + "\n"


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
        "needs": [asdict(each) | {"answer": each.answer} for each in report.summary.needs] if report.summary else [],
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
        "runs": [
            {
                "model": each.model,
                "seed": each.seed,
                "variant": each.variant,
                "run": each.run_id,
                "verdict": each.finding.verdict.value,
                "figure": each.finding.figure,
                "note": each.finding.note,
            }
            for each in found.witnesses
        ],
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
    rows = [[asdict(entry) if isinstance(entry, Estimate) else entry for entry in row] for row in table.rows]
    return {"number": table.number, "title": table.title, "note": table.note, "columns": table.columns, "rows": rows}


def _spelled(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {key: _spelled(each) for key, each in value.items()}
    return [_spelled(each) for each in value] if isinstance(value, list | tuple) else value
