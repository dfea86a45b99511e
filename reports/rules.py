"""What a plug-in makes the rule of a criterion from (docs/reports.md)."""

from reports.verdicts.rules import (
    Rule,
    metric_at_most,
    metric_below,
    of_a_result,
    of_an_ended_run,
    of_something_learned,
)
from reports.verdicts.verdict import Finding, Verdict, at_most, below, no_data

__all__ = [
    "Finding",
    "Rule",
    "Verdict",
    "at_most",
    "below",
    "metric_at_most",
    "metric_below",
    "no_data",
    "of_a_result",
    "of_an_ended_run",
    "of_something_learned",
]
