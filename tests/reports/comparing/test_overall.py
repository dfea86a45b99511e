"""The title says what came out, and the pictures below it show what it was read from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from reports.comparing.overall import Overall, Pair, title
from reports.reading.evidence import Selection
from reports.report import report

BEST = Overall(Pair("siren", "lm", True), 8, 14, 15, 10, {}, {}, {}, {})
NOBODY = Overall(Pair("mlp", "seed"), 0, 0, 15, 3, {}, {}, {}, {})


@pytest.mark.parametrize(
    ("found", "failed", "unsure", "sentence"),
    [
        (
            BEST,
            ["S1", "K2"],
            [],
            "Of 15 problems, siren under lm† is best or as good as the best on 8; S1 and K2 do not hold",
        ),
        (BEST, ["S1"], ["S2"], "S1 does not hold under tuned"),
        (BEST, list("ABCDEF"), [], "6 criteria do not hold under tuned"),
        (BEST, [], ["S2"], "no criterion fails under tuned, 1 is not decided"),
        (BEST, [], [], "every criterion that applies holds under tuned"),
        (NOBODY, ["S1"], [], "Of 15 problems, no model has reached NMSE 0.1 on any; S1"),
        (None, [], [], "No run has ended yet, so nothing is decided"),
    ],
)
def test_the_title_is_a_sentence(found: Overall | None, failed: list[str], unsure: list[str], sentence: str) -> None:
    assert sentence in title(found, failed, unsure, [], "tuned")


def test_the_summary_stands_on_top_of_each_page_and_in_the_json(filled: MlflowClient, outside: Path) -> None:
    made = report(Selection(), "written").report
    assert made.summary is not None
    names = [picture.name for picture in made.overview]
    for name in ("report.html", "report.md"):
        text = (outside / "written" / name).read_text()
        assert text.index("All problems at once") < text.index("Which criteria hold")
    assert all((outside / "written" / "figures" / f"{name}.png").exists() for name in names)
    chart = made.overview[0].chart
    assert chart is not None
    assert [panel.title for panel in chart.panels] == ["tuned", "lm"], "all presets, each against the best of all"
    summary = json.loads((outside / "written" / "report.json").read_text())["summary"]
    assert (summary["title"], summary["best"]) == (made.title, str(made.summary.best))
    assert {each["pair"] for each in summary["pairs"]} == {str(pair) for pair in made.summary.profile}
