"""What a store says is text: nothing of it is run, nothing becomes markup, nothing is written outside of the report."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from harness.escaping import visible
from harness.tracking.results import results
from reports.compare import compare
from reports.pages.render import vendored
from reports.reading.artifacts import Artifacts
from reports.reading.cells import Cell
from reports.reading.evidence import Selection, gather
from reports.reading.gone import Gone
from reports.reading.predictions import predict
from reports.verdicts.judgements import judgements_of
from reports.verdicts.verdict import Verdict
from tests.reports.conftest import BENCHMARK, PLANNED, plan_and_run
from tests.reports.test_report import command
from tests.support import harness

EVIL = (
    "=cmd|'/C calc'!A0 <script>alert(1)</script> \"onload=x | `a` [y](javascript:z) ![p](q) http://evil.example "
    "$\\frac{$ \\input{x} %&_#~^ \x1b[31m\x07 \u202e \n# heading\n* item /../../../../escaped"
)


class Page(HTMLParser):
    """The tags of a page, and the texts between them and in their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def folder_of(client: MlflowClient, run_id: str) -> Path:
    return Path(client.get_run(run_id).info.artifact_uri.removeprefix("file://"))


def parent_folder(client: MlflowClient) -> Path:
    parent = gather(client, Selection()).parent
    assert parent is not None
    return folder_of(client, parent)


def rename(client: MlflowClient, evil: str) -> None:
    """Names, reasons and settings of the benchmark's runs, as somebody might have written them into the store."""
    place = parent_folder(client) / "plan.json"
    plan = json.loads(place.read_text())
    for index, row in enumerate(plan["data"]):
        for column in ("model", "problem", "preset"):
            if index % 2:
                row[plan["columns"].index(column)] += evil
    place.write_text(json.dumps(plan))
    for cell in gather(client, Selection()).cells:
        if cell.run is not None:
            for tag in ("outcome.reason", "error.message", "error.type", "mlflow.runName", "stages"):
                client.set_tag(cell.run.run_id, tag, evil)
    with closing(sqlite3.connect(client.tracking_uri.removeprefix("sqlite:///"))) as database:
        database.execute("UPDATE params SET value = value || ? WHERE key = 'cfg/lr'", (evil,))
        database.commit()


def test_hostile_names_and_reasons_are_text_in_every_format(
    filled: MlflowClient, outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("report", "--out", "clean") == 0
    clean = Page((outside / "clean" / "report.html").read_text())
    there = {path for path in outside.rglob("*") if "store" not in path.parts}
    rename(filled, EVIL)
    capsys.readouterr()
    assert command("report", "--out", "out/written") == 0
    for line in capsys.readouterr().out.splitlines():
        assert line.isprintable()
    written = outside / "out" / "written"
    new = {path for path in outside.rglob("*") if "store" not in path.parts} - there
    assert all(path == written.parent or written in (path, *path.parents) for path in new)

    page = Page((written / "report.html").read_text())
    assert page.attributes == clean.attributes
    assert set(page.tags) == set(clean.tags)
    charts = (written / "report.html").read_text().count('<script type="application/json">')
    assert page.tags.count("script") == 3 + charts, "the page's own"
    assert all(re.match(r"#|data:(image/png|,)", link) for link in page.links)
    assert any(visible(EVIL) in text for text in page.texts)
    ours = (written / "report.html").read_text().replace(vendored("vendor/uPlot.iife.min.js"), "")
    assert ours.replace("\n", "").isprintable()

    for name in ("runs.csv", "verdicts.csv", "tables.csv"):
        rows = list(csv.reader(io.StringIO((written / name).read_text())))
        assert all(len(row) <= len(rows[0]) for row in rows)
        for row in rows:
            assert not any(entry.startswith(("=", "+", "@", "\t")) for entry in row), row
    reasons = [row["reason"] for row in csv.DictReader(io.StringIO((written / "runs.csv").read_text()))]
    assert f"'{EVIL}" in reasons

    for line in (written / "report.md").read_text().splitlines():
        assert line.isprintable()
        inert = re.sub(r"\\.", "", line)
        assert "<" not in inert
        assert not re.search(r"\]\((?!figures/[A-Za-z0-9_.-]+\.png\)$)", inert), line
        assert not re.search(r"(?i)https?:|javascript:[^z]|`", inert), line
        assert not line.startswith(("# heading", "* "))
    pictures = {path.name for path in (written / "figures").iterdir()}
    linked = re.findall(r"\]\(figures/([A-Za-z0-9_.-]+)\)", (written / "report.md").read_text())
    assert set(linked) == pictures
    assert len(linked) == len(pictures)

    latex = (written / "tables.tex").read_text()
    assert latex.replace("\n", "").isprintable()
    body = latex[latex.index(r"\begin{table}") :].replace(r">{\raggedright\arraybackslash}", "")
    body = re.sub(r"(?<!\\)\$(<|>|-|\\leq|\\geq|\^\\d{1,2}agger)\$", "", body)
    commands = set(re.findall(r"\\([A-Za-z]+)", body))
    text = {
        "textbackslash",
        "textasciitilde",
        "textasciicircum",
        "textbar",
        "textasciigrave",
    }
    rules = {"toprule", "midrule", "bottomrule"}
    assert commands <= text | rules | {
        "begin",
        "end",
        "caption",
        "centering",
        "small",
        "medskip",
        "fitted",
        "clearpage",
    }
    assert not re.search(r"(?<!\\)[%$#<>|\"~^]", body)

    content = json.loads((written / "report.json").read_text())
    assert any(EVIL in model["model"] or EVIL in model["problem"] for model in content["models"])


def plant(client: MlflowClient, folder: Path) -> Path:
    """A file that says when it is run, named wherever a store has room for a name of code. Gives where it would say so."""
    marker = folder / "it-ran"
    evil = folder / "evil.py"
    evil.write_text(f"from pathlib import Path\nPath({str(marker)!r}).write_text('')\n")
    (folder / "evil_module.py").write_text(evil.read_text())
    named = [str(evil), "evil_module"]
    for run in client.search_runs([each.experiment_id for each in client.search_experiments()]):
        place = folder_of(client, run.info.run_id)
        if (config := place / "checkpoint" / "config.json").exists():
            config.write_text(json.dumps(json.loads(config.read_text()) | {"plugins": named, "model": "evil"}))
        if (plan := place / "plan.json").exists():
            table = json.loads(plan.read_text())
            table["columns"].append("plugins")
            table["data"] = [[*row, named] for row in table["data"]]
            plan.write_text(json.dumps(table))
        (place / "symbolic").mkdir(exist_ok=True)
        (place / "symbolic" / "formula.json").write_text(json.dumps({"formula": f"open({str(marker)!r}, 'w')"}))
        for tag in ("symbolic.formula", "problem.facts", "stages"):
            client.set_tag(run.info.run_id, tag, f"open({str(marker)!r}, 'w')")
    database = client.tracking_uri.removeprefix("sqlite:///")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE params SET value = ? WHERE key = 'cfg/plugins'", (",".join(named),))
        connection.commit()
    return marker


def test_a_planted_file_is_not_run_by_report_compare_or_doctor(filled: MlflowClient, outside: Path) -> None:
    plan_and_run(filled, "tiny-00000002", PLANNED[:1], PLANNED[:1])
    marker = plant(filled, outside)
    # What the second benchmark has not computed holds no more.
    for arguments, code in (
        (["report"], 0),
        (["report", "compare", BENCHMARK, "tiny-00000002"], 1),
        (["doctor", "--fix"], 0),
    ):
        done = harness(*arguments, PYTHONPATH=f"{outside}:{Path(__file__).parents[2]}")
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
        assert not marker.exists(), arguments


HEAD = b'{"columns": ["fingerprint", "model", "problem", "preset", "seed", "epochs"], '


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"[" * 100_000,
        b'{"columns": ["fingerprint"], "data": [["f"]]}',
        HEAD + b'"data": [["f", "m", "p", "t", "x", 3]]}',
        HEAD + b'"data": [["f", "\\ud800", "p", "t", 1, 3]]}',
        HEAD + b'"data": [["f", "m", "p", "t", 1]]}',
        HEAD + b'"data": {}',
    ],
)
def test_a_plan_that_is_none_leaves_the_runs_that_are_there(filled: MlflowClient, damage: bytes) -> None:
    (parent_folder(filled) / "plan.json").write_bytes(damage)
    evidence = gather(filled, Selection())
    assert not evidence.planned
    assert len(evidence.cells) == 10


@pytest.mark.parametrize("number", ["²", "9" * 5000, "-1", "1e9", "x"])
def test_a_param_that_is_no_number_is_none(filled: MlflowClient, number: str) -> None:
    with closing(sqlite3.connect(filled.tracking_uri.removeprefix("sqlite:///"))) as database:
        database.execute("UPDATE params SET value = ? WHERE key IN ('cfg/epochs', 'cfg/seed', 'cfg/depth')", (number,))
        database.commit()
    assert gather(filled, Selection(experiment="section1_3")).cells[0].epochs == 0
    assert {result.epochs for result in results(filled).values()} == {0}


FACTS = {"dimension": 2, "scale2": 0.25, "smooth": True, "sections": ["mine"], "formula": "x"}


@pytest.mark.parametrize(
    "facts",
    [
        "",
        "[",
        "[]",
        "[" * 100_000,
        json.dumps({**FACTS, "dimension": 3}),
        json.dumps({**FACTS, "scale2": 0}),
        json.dumps({**FACTS, "scale2": "nan"}),
        json.dumps({**FACTS, "scale2": 10**400}),
        json.dumps({**FACTS, "smooth": "yes"}),
        json.dumps({"dimension": 2}),
    ],
)
def test_facts_that_are_none_are_left_out(facts: str) -> None:
    from reports.reading.targets import target

    assert target(Cell("f", "mlp", "somebody's", "tuned", 0, 1, None, facts=facts)) is None
    known = target(Cell("f", "mlp", "poisson_1d_sin", "tuned", 0, 1, None, facts=facts))
    assert known is not None
    assert known.dimension == 1, "as it is declared here"


def test_a_prediction_is_what_the_run_recorded(filled: MlflowClient) -> None:
    artifacts = Artifacts(filled)
    for cell in gather(filled, Selection()).cells:
        if cell.outcome == "completed":
            assert predict(cell, artifacts).mse == pytest.approx(cell.metric("final/dense_mse"), rel=1e-12)


def test_two_benchmarks_of_hostile_names_can_be_compared(filled: MlflowClient) -> None:
    rename(filled, EVIL)
    plan_and_run(filled, "tiny-00000002", PLANNED[:1], PLANNED[:1])
    text = compare(BENCHMARK, "tiny-00000002").text
    assert text.replace("\n", "").isprintable()


PLUGIN = """
import torch
from torch import nn
from harness.config import RunConfig
from harness.families import Family
from harness.families import register as register_family
from harness.problems import Problem, register

register(
    Problem(
        name="wave", dimension=2, target=lambda x: torch.cos(x).prod(1, keepdim=True), low=0.0, high=2.0,
        gradient=lambda x: torch.stack([-x[:, 0].sin() * x[:, 1].cos(), -x[:, 0].cos() * x[:, 1].sin()], 1),
        formula="cos x cos y", sections=("section1_3",), citation="none",
    )
)
register_family(Family("line", RunConfig, lambda config, dimension, generator: nn.Linear(dimension, 1), "A line."))
"""


def test_a_report_on_runs_of_a_plug_in_needs_no_plug_in(store: MlflowClient, outside: Path) -> None:
    (outside / "mine.py").write_text(PLUGIN)
    fields = ["--plugins", "mine.py", "--problem", "wave", "--model", "line", "--epochs", "25", "--n_train", "40"]
    made = harness("run", *fields)
    assert made.returncode == 0, made.stdout + made.stderr
    (outside / "mine.py").unlink()
    done = harness("report", "--experiment", "section1_3")
    assert done.returncode == 0, done.stderr
    page = (outside / "report" / "report.md").read_text()
    assert "plug-in" not in page
    assert re.search(r"\| wave \| final \| \d", page), "Table 3 has its section"
    assert "Median seed of each model: prediction on the target's scale" in page
    assert "Not shown" not in page.split("Median seed of each model")[1]


def test_a_run_that_recorded_nothing_of_its_problem_has_no_data_for_a_reason(filled: MlflowClient) -> None:
    with closing(sqlite3.connect(filled.tracking_uri.removeprefix("sqlite:///"))) as database:
        database.execute("UPDATE params SET value = 'somebody_s' WHERE key = 'cfg/problem'")
        database.execute("DELETE FROM tags WHERE key = 'problem.facts'")
        database.execute(
            "UPDATE latest_metrics SET value = 0.1 WHERE key = 'final/dense_nmse'"
        )  # something was learned
        database.commit()
    evidence = gather(filled, Selection(experiment="section1_3"))
    for judgement in judgements_of(evidence, Artifacts(filled)):
        if judgement.criterion.id == "S3":
            assert judgement.verdict is Verdict.NO_DATA
            assert "no run says what problem 'somebody_s' is; name its plug-in with --plugins" in str(judgement)
    for cell in evidence.cells:
        with pytest.raises(Gone, match="no run says what problem this is"):
            predict(cell, Artifacts(filled))


@pytest.mark.parametrize("damage", ["gone", "empty", "short", "column"])
def test_a_prediction_that_can_not_be_read_is_gone_with_the_reason(filled: MlflowClient, damage: str) -> None:
    cell = next(cell for cell in gather(filled, Selection()).cells if cell.outcome == "completed")
    assert cell.run is not None
    place = folder_of(filled, cell.run.run_id) / "dense.parquet"
    frame = pd.read_parquet(place)
    place.unlink()
    if damage == "empty":
        place.write_bytes(b"")
    elif damage != "gone":
        frame = frame[:-1] if damage == "short" else frame.drop(columns="prediction")
        frame.to_parquet(place)
    reasons = {
        "gone": "dense.parquet is not there",
        "empty": "dense.parquet can't be read",
        "short": "dense.parquet has 10200 points, which is not the dense grid",
        "column": "dense.parquet has no column 'prediction'",
    }
    with pytest.raises(Gone, match=reasons[damage]):
        predict(cell, Artifacts(filled))
