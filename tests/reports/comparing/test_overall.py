"""The title says what came out, and the pictures below it show what it was read from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient

from reports.comparing.overall import Overall, Pair, overall, title
from reports.reading.cells import Cell
from reports.reading.evidence import Evidence, Selection
from reports.report import report
from reports.verdicts.need import need_of
from tests.reports.support import facts, made

BEST = Overall(Pair("siren", "lm", True), 8, 14, 15, 10, {}, {}, {}, {})
NOBODY = Overall(Pair("mlp", "seed"), 0, 0, 15, 3, {}, {}, {}, {})


@pytest.mark.parametrize(
    ("found", "failed", "over", "undecided", "sentence"),
    [
        (
            BEST,
            ["S1", "K2"],
            [],
            0,
            "Of 15 problems, siren under lm† is best or as good as the best on 8; S1 and K2 do not hold under tuned",
        ),
        (BEST, ["S1"], [], 1, "8; S1 does not hold under tuned"),
        (BEST, ["S1"], ["B2", "D1"], 1, "8; S1 does not hold under tuned; B2 and D1 do not hold over presets"),
        (BEST, [], ["B2"], 0, "8; B2 does not hold over presets"),
        (BEST, list("ABCDEF"), [], 0, "6 criteria do not hold under tuned"),
        (BEST, [], [], 1, "no criterion fails under tuned or over presets, 1 is not decided"),
        (BEST, [], [], 0, "every criterion that applies holds under tuned and over presets"),
        (NOBODY, ["S1"], [], 0, "Of 15 problems, no model has reached NMSE 0.1 on any; S1 does not hold under tuned"),
        (None, [], [], 0, "No run has a result yet, so nothing is decided"),
    ],
)
def test_the_title_is_a_sentence(
    found: Overall | None, failed: list[str], over: list[str], undecided: int, sentence: str
) -> None:
    assert title(found, failed, over, undecided, "tuned").endswith(sentence)


def test_of_two_that_lead_as_often_the_classical_method_is_named_and_few_seeds_are_called_unsure() -> None:
    cells = tuple(
        made(facts("x"), {"final/dense_nmse": error, "val/mse": error}, model=model, problem=problem)
        for problem in ("waves", "flat")
        for model, error in (("mlp", 1e-13), ("spectral", 1e-14))
    )
    found = overall(Evidence(Selection(), cells, True, "1", {}))
    assert found is not None
    assert (str(found.best), found.leads) == ("spectral", 2)
    assert "spectral is best or as good as the best on 2; a network is needed on 0 of 2 (unsure);" in title(
        found, [], [], 0, "tuned"
    )
    agreed = need_of([replace(cell, seed=seed) for cell in cells[:2] for seed in range(6)])
    assert agreed is not None
    mixed = replace(found, needs=(agreed, *found.needs[:1]))
    assert "needed on 0 of 2 (1 of these answers unsure)" in title(mixed, [], [], 0, "tuned")


def test_nobody_leads_by_a_shape_that_knew_the_target_where_any_other_was_run() -> None:
    def ended(model: str, problem: str, error: float, knows: str = "false") -> Cell:
        metrics = {"final/dense_nmse": error, "val/mse": error}
        return made(facts("x"), metrics, model=model, problem=problem, tags={"preset.knows_target": knows})

    known, other = (
        overall(
            Evidence(
                Selection(),
                (
                    ended("siren", "waves", 1e-7, knows),
                    ended("mlp", "waves", 1e-3),
                    ended("siren", "flat", 1e-2),
                    ended("mlp", "flat", 1e-3),
                ),
                True,
                "1",
                {},
            )
        )
        for knows in ("true", "false")
    )
    assert known is not None
    assert (str(known.best), known.leads) == ("mlp, tuned", 2)
    assert other is not None
    assert (other.leads, "siren, tuned†" in map(str, known.profile)) == (1, True)


def test_the_summary_stands_on_top_of_each_page_and_in_the_json(filled: MlflowClient, outside: Path) -> None:
    found = report(Selection(), "written").report
    assert found.summary is not None
    names = [picture.name for picture in found.overview]
    for name in ("report.html", "report.md"):
        text = (outside / "written" / name).read_text()
        assert text.index("All problems at once") < text.index("Which criteria hold")
    assert all((outside / "written" / "figures" / f"{name}.png").exists() for name in names)
    chart = found.overview[0].chart
    assert chart is not None
    assert [panel.title for panel in chart.panels] == ["tuned", "lm"], "all presets, each against the best of all"
    summary = json.loads((outside / "written" / "report.json").read_text())["summary"]
    assert (summary["title"], summary["best"]) == (found.title, str(found.summary.best))
    assert {each["pair"] for each in summary["pairs"]} == {str(pair) for pair in found.summary.profile}
