"""A strip has a scale: round numbers with their marks, between the least and the largest figure."""

from __future__ import annotations

import re

import pytest

from reports.pages.threshold_plot import threshold_plot
from reports.verdicts.criteria import CRITERIA
from reports.verdicts.judgements import Judgement
from reports.verdicts.verdict import Finding, ProblemVerdict, Verdict, Witness


def drawn(*figures: float) -> str:
    witnesses = tuple(Witness("kan", seed, "", Finding(Verdict.PASS, f)) for seed, f in enumerate(figures))
    found = ProblemVerdict("p<q", Verdict.PASS, max(figures), None, 1, 1, None, "", witnesses)
    return str(threshold_plot(Judgement(CRITERIA.get("K2"), "tuned", Verdict.PASS, (found,))))


@pytest.mark.parametrize(
    ("figures", "ticks"),
    [
        ((0.05, 30.0), ["0.1", "1", "10"]),
        ((1.0, 5.0), ["1", "2", "3", "4", "5"]),
        ((1e-9, 1e5), ["1e-9", "1e-6", "1e-3", "1", "1000"]),
    ],
)
def test_the_scale_is_told_in_round_numbers(figures: tuple[float, ...], ticks: list[str]) -> None:
    shown = re.findall(r'text-anchor="middle">([^<]+)</text>', drawn(*figures))
    assert set(ticks) <= set(shown)
    assert "&lt;= 2" in shown, "the threshold"


def test_what_was_not_reached_stands_at_the_right_edge_and_is_said_to() -> None:
    assert "not reached" in drawn(1.0, float("inf"))
    assert "not reached" not in drawn(1.0, 2.0)
