"""The command: what it writes, what it says, how it refuses, and that nothing a run says of itself becomes markup."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from mlflow import MlflowClient

from harness.cli import main
from harness.errors import BadInput
from harness.escaping import latex, markdown
from harness.presets import digest
from reports.comparing.statistics import FEWEST, Estimate
from reports.reading.evidence import Selection, gather
from reports.reading.png import check_png
from reports.reading.targets import target
from reports.report import report
from reports.verdicts.criteria import CRITERIA, Criterion, register
from reports.verdicts.problem_verdicts import every_run
from reports.verdicts.verdict import Finding, Verdict, seed_holds
from tests.reports.conftest import BENCHMARK
from tests.support import harness, python

FILES = {"report.html", "report.md", "report.json", "verdicts.csv", "tables.csv", "runs.csv", "tables.tex", "figures"}


def command(*arguments: str) -> int:
    """``harness`` with these arguments, in this process; gives its exit code."""
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert isinstance(left.value.code, int)
    return left.value.code


class Page(HTMLParser):
    """What a browser would see of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.ids |= {given["id"] or ""} if "id" in given else set()
        self.links += [given["href"] or ""] if tag == "a" else []


def test_the_command_writes_every_format_and_keeps_it_with_the_benchmark(
    filled: MlflowClient, outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("report", "--out", "written", "--strict") == 3, "one cell was never run"
    out = capsys.readouterr().out
    assert f"benchmark {BENCHMARK}: 11 cells" in out
    assert "partial     1 of 11 cells are at work, left open, or not computed yet" in out
    written = outside / "written"
    assert {path.name for path in written.iterdir()} == FILES
    for picture in (written / "figures").iterdir():
        check_png(picture.read_bytes())
    parent = gather(filled, Selection()).parent
    assert parent is not None
    assert {Path(each.path).name for each in filled.list_artifacts(parent, "report")} == FILES


def test_a_report_is_made_without_torch(filled: MlflowClient, outside: Path) -> None:
    script = """
import sys
from harness.cli import main
try:
    main(["report"])
except SystemExit as ended:
    sys.exit("torch was imported" if "torch" in sys.modules else ended.code)
"""
    assert python(["-c", script]).returncode == 0


def test_the_page_is_one_file_and_each_verdict_leads_to_its_evidence(filled: MlflowClient, outside: Path) -> None:
    report(Selection(), "written")
    text = (outside / "written" / "report.html").read_text()
    page = Page(text)
    assert not re.search(r"(src|href)=.?(https?:)?//", text), "nothing comes from elsewhere"
    inner = [link.removeprefix("#") for link in page.links if link.startswith("#")]
    once = sum(CRITERIA.get(name).all_presets for name in CRITERIA.names())
    assert len(inner) == 2 * (len(CRITERIA.names()) - once) + once + 1
    assert text.count("over presets tuned, lm") >= once
    assert set(inner) <= page.ids
    assert "Partial:" in text
    grid, folded = text.split("Not for these problems or runs: ", 1)
    assert ">P1</span>" not in grid
    assert set(re.findall(r'class="v (\S+)"', folded.split("</details>")[0])) == {"N"}, "what applies is in front"
    for name in CRITERIA.names():
        assert name in text


def test_numbers_of_a_shape_that_knows_its_target_are_marked_wherever_they_stand(
    filled: MlflowClient, outside: Path
) -> None:
    (run,) = (cell.run for cell in gather(filled, Selection()).cells if cell.preset == "lm")
    assert run is not None
    report(Selection(), "plain")
    filled.set_tag(run.run_id, "preset.knows_target", "true")
    made = report(Selection(), "marked").report
    for name in ("report.html", "report.md"):
        assert "shape chosen with knowledge of the target" not in (outside / "plain" / name).read_text()
        text = (outside / "marked" / name).read_text()
        assert "† shape chosen with knowledge of the target" in text
    recommended = json.loads((outside / "marked" / "report.json").read_text())["models"]
    assert {each["problem"] for each in recommended} == {"poisson_2d_sin", "poisson_1d_poly"}
    assert not [each for each in recommended if "†" in each["model"]], "other networks were run on it"
    assert r"$^\dagger$" in (outside / "marked" / "tables.tex").read_text()
    (of_lm,) = (each for each in made.comparisons if each.preset == "lm")
    (of_tuned,) = (each for each in made.comparisons if each.preset == "tuned")
    for found, expected in ((of_lm, True), (of_tuned, False)):
        errors = [e for table in found.tables[:4] for row in table.rows for e in row if isinstance(e, Estimate)]
        assert any(e.knows_target for e in errors) == expected
        assert any("†" in table.note for table in found.tables) == expected
    rows = list(csv.DictReader(io.StringIO((outside / "marked" / "runs.csv").read_text())))
    assert [row["preset"] for row in rows if row["knows_target"] == "True"] == ["lm"]


def test_run_links_lead_to_the_ui_where_its_address_is_given(filled: MlflowClient, outside: Path) -> None:
    report(Selection(), "written", "http://ui.example:5000/")
    page = Page((outside / "written" / "report.html").read_text())
    runs = {cell.run.run_id: cell.run.experiment_id for cell in gather(filled, Selection()).cells if cell.run}
    led = {link for link in page.links if not link.startswith("#")}
    assert led == {
        f"http://ui.example:5000/#/experiments/{experiment}/runs/{run}?workflowType=machine_learning"
        for run, experiment in runs.items()
    }


def test_json_and_csv_say_the_same_as_the_report(filled: MlflowClient, outside: Path) -> None:
    made = report(Selection(), "written").report
    content = json.loads((outside / "written" / "report.json").read_text(), parse_constant=pytest.fail)
    assert (content["schema"], content["version"], content["benchmark"]) == ("harness-report", 2, BENCHMARK)
    assert (content["cells"], content["unsettled"], content["headline"]) == (11, 1, "tuned")
    verdicts = {(each["criterion"], each["preset"]): each["verdict"] for each in content["verdicts"]}
    assert verdicts == {(each.criterion.id, each.preset): each.verdict.value for each in made.judgements}
    rows = list(csv.DictReader(io.StringIO((outside / "written" / "verdicts.csv").read_text())))
    intervals = {
        p["problem"]: p["interval"] for e in content["verdicts"] if e["criterion"] == "K3" for p in e["problems"]
    }
    assert intervals["poisson_2d_sin"] == pytest.approx(seed_holds(2, 2))
    assert "2 of 2, a seed holds with 16% to 100%" in (outside / "written" / "report.html").read_text()
    runs = [run for each in content["verdicts"] for problem in each["problems"] for run in problem["runs"]]
    assert sorted(row["run"] for row in rows if row["model"]) == sorted(run["run"] for run in runs)
    table = list(csv.DictReader(io.StringIO((outside / "written" / "runs.csv").read_text())))
    assert len(table) == 11
    assert {row["preset_digest"] for row in table if row["run_id"] and row["preset"] == "lm"} == {digest("lm")}
    commit = {(row["commit"], row["dirty"]) for row in table if row["run_id"]}
    assert len(commit) == 1, "all from one checkout"


def test_both_figures_of_the_short_time_are_on_the_test_points(filled: MlflowClient, outside: Path) -> None:
    report(Selection(), "written")
    content = json.loads((outside / "written" / "report.json").read_text())
    table = {
        (r["problem"], r["model"], r["preset"]): r for r in csv.DictReader((outside / "written" / "runs.csv").open())
    }
    (found,) = [each for each in content["models"] if each["problem"] == "poisson_1d_poly"]
    model, preset = found["model"].split(", ")
    run = table["poisson_1d_poly", model, preset]
    known = target(next(c for c in gather(filled, Selection()).cells if c.run and c.run.run_id == run["run_id"]))
    assert known is not None
    assert found["final_test_nmse"]["median"] == pytest.approx(float(run["test/mse"]) / known.scale2)
    assert found["nmse"]["median"] == pytest.approx(float(run["final/dense_nmse"]))
    for each in content["models"]:
        assert each["quick_test_nmse"] is None or each["quick_test_nmse"]["median"] <= 0.1
        assert (each["quick_model"] is None) == (each["quick_test_nmse"] is None)


def test_a_diverged_model_and_one_without_a_checkpoint_are_named_where_their_picture_would_be(
    filled: MlflowClient, outside: Path
) -> None:
    for cell in gather(filled, Selection()).cells:
        if cell.model == "mlp" and cell.run is not None:
            shutil.rmtree(Path(cell.run.artifact_uri.removeprefix("file://")))
    made = report(Selection(), "written").report
    said = {picture.name: picture.description for picture in made.pictures}
    assert "mlp: its artifacts are gone" in said["heatmap-poisson_2d_sin-tuned"]
    assert "mlp: its artifacts are gone" in said["loss-poisson_2d_sin-tuned"]
    assert "mlp: missing" in said["fit-poisson_1d_poly-tuned"]
    assert "1 of" in said["nan-tuned"], "the diverged run"


@pytest.mark.parametrize(
    "evil",
    ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "a | b\n# heading\n\n* `x` [y](javascript:z) $e$"],
)
def test_what_a_run_says_never_becomes_markup(filled: MlflowClient, outside: Path, evil: str) -> None:
    for cell in gather(filled, Selection()).cells:
        if cell.run is not None:
            for tag in ("outcome.reason", "error.message", "error.type", "mlflow.runName", "stages"):
                filled.set_tag(cell.run.run_id, tag, evil)
    report(Selection(), "clean")
    text = (outside / "clean" / "report.html").read_text()
    page = Page(text)
    charts = text.count('<script type="application/json">')
    assert page.tags.count("script") == 3 + charts, "the page's own"
    shown = page.tags.count("img") + text.count('<svg class="forest"')
    assert shown == len(list((outside / "clean" / "figures").iterdir()))
    assert not any(link.startswith("javascript") for link in page.links)
    assert "alert(1)" not in (outside / "clean" / "report.md").read_text().replace("alert\\(1\\)", "")
    lines = (outside / "clean" / "report.md").read_text().splitlines()
    assert not any(line.startswith(("# heading", "* `x`")) for line in lines)


def test_markdown_and_latex_texts_are_inert() -> None:
    assert markdown("a|b\n# c <b> [x](y) `z` $e$ &amp;") == r"a\|b \# c &lt;b&gt; \[x\]\(y\) \`z\` \$e\$ &amp;amp;"
    assert latex("50% of a_b & \\x $y$ #1 {z} ~^") == (
        r"50\% of a\_b \& \textbackslash{}x \$y\$ \#1 \{z\} \textasciitilde{}\textasciicircum{}"
    )


def test_an_empty_store_gives_a_report_that_decides_nothing(store: MlflowClient, outside: Path) -> None:
    assert command("report") == 0
    assert command("report", "--strict") == 3
    assert "no runs here" in (outside / "report" / "report.html").read_text()
    assert json.loads((outside / "report" / "report.json").read_text())["verdicts"] == []


def test_a_report_with_runs_that_ended_without_a_result_is_partial(filled: MlflowClient, outside: Path) -> None:
    first, second, *_ = (cell.run for cell in gather(filled, Selection()).cells if cell.outcome == "completed")
    assert first is not None
    assert second is not None
    for run, outcome in ((first, "interrupted"), (second, "error")):
        filled.set_tag(run.run_id, "outcome", outcome)
    assert command("report", "--out", "written") == 0
    said = "2 of 11 cells have ended without a result (1 error, 1 interrupted)."
    assert said in (outside / "written" / "report.html").read_text()
    assert said.replace("(", r"\(").replace(")", r"\)") in (outside / "written" / "report.md").read_text()
    content = json.loads((outside / "written" / "report.json").read_text())
    assert (content["unsettled"], content["failed"]) == (1, 2)


def test_the_title_and_the_exit_code_of_strict_agree(filled: MlflowClient, outside: Path) -> None:
    made = report(Selection(), "written").report
    over = [each for each in made.judgements if each.preset is None]
    for verdict, said in (
        (Verdict.FAIL, f"{over[0].criterion.id} does not hold over presets"),
        (Verdict.PASS, "every"),
    ):
        changed = replace(made, judgements=(replace(over[0], verdict=verdict),))
        assert changed.is_clean() == (verdict is Verdict.PASS)
        assert said in changed.title


def test_the_page_says_how_many_seeds_make_sure(filled: MlflowClient, outside: Path) -> None:
    report(Selection(), "written")
    assert f"beats the next best, {FEWEST} seeds or more" in (outside / "written" / "report.html").read_text()


def test_left_out_runs_are_counted_on_every_page(filled: MlflowClient, outside: Path) -> None:
    (first, *_) = gather(filled, Selection()).cells
    assert first.run is not None
    filled.set_tag(first.run.run_id, "comparability", "0")
    report(Selection(), "written")
    assert "1 runs of comparability version 0" in (outside / "written" / "report.html").read_text()
    assert "1 runs of comparability version 0" in (outside / "written" / "report.md").read_text()
    assert json.loads((outside / "written" / "report.json").read_text())["left_out"] == {"0": 1}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--benchmark", "tiny-0000000l"],
            "benchmark = 'tiny-0000000l' is not in the store; did you mean 'tiny-00000001'?",
        ),
        (["--preset", "tunde"], "preset = 'tunde' is not among these runs; did you mean 'tuned'?"),
        (["--tag", "colour"], "tag = 'colour' is not a tag with its value"),
        (["--tag", "a=b", "--experiment", "tiny"], "experiment and tag are given"),
        (["--ui", "javascript:alert(1)"], "ui = 'javascript:alert(1)' is not an address"),
        (["--out", "taken"], "out = 'taken' can't be written: Not a directory."),
        (["--out", "taken/below"], "out = 'taken/below' can't be written: Not a directory."),
        (["--plugins", "nowhere.py"], "plugins = 'nowhere.py' is not there"),
    ],
)
def test_bad_input_is_one_sentence(
    filled: MlflowClient, outside: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    (outside / "taken").write_text("")
    assert command("report", *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"harness: {sentence}")
    assert error.count("\n") == 1


def test_a_full_disk_leaves_the_files_of_before_and_no_part_of_another(filled: MlflowClient, outside: Path) -> None:
    folder = outside / "written"
    folder.mkdir()
    (folder / "report.md").write_text("before")
    (folder / "report.md.part").symlink_to("/dev/full")
    with pytest.raises(BadInput, match="out = 'written' can't be written: No space left on device"):
        report(Selection(), "written")
    assert (folder / "report.md").read_text() == "before"
    assert not list(folder.rglob("*.part"))


def test_without_a_store_there_is_nothing_to_report_on_and_none_is_made(outside: Path) -> None:
    done = harness("report")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no store here" in done.stderr
    assert list(outside.iterdir()) == []


def test_a_store_that_takes_no_copy_costs_a_word_and_not_the_report(filled: MlflowClient, outside: Path) -> None:
    parent = gather(filled, Selection()).parent
    assert parent is not None
    folder = Path(filled.get_run(parent).info.artifact_uri.removeprefix("file://"))
    plan = (folder / "plan.json").read_text()
    (folder / "report").write_text("in the way")
    assert plan
    written = report(Selection(), "written")
    assert written.logged.startswith("not kept in the store: ")
    assert (outside / "written" / "report.html").exists()


@pytest.fixture
def _own_criteria() -> Iterator[None]:
    before = dict(CRITERIA._things)
    yield
    CRITERIA._things = before


@pytest.mark.usefixtures("_own_criteria")
def test_a_criterion_of_a_plug_in_is_judged_and_shown_like_any_other(filled: MlflowClient, outside: Path) -> None:
    def decide(cell: object, artifacts: object) -> Finding:
        return Finding(Verdict.FAIL, 7.0, "mine")

    register(Criterion("Z1", "Mine", "All is <well>", "a rule", "<= 1", "nothing", every_run(decide)))
    made = report(Selection(presets=("lm",)), "written").report
    assert {each.verdict for each in made.judgements if each.criterion.id == "Z1"} == {Verdict.FAIL}
    assert "All is &lt;well&gt;" in (outside / "written" / "report.html").read_text()
