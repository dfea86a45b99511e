"""Only what the protocol bears is published, and what was published can't change, or grow old, unseen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from harness import presets
from harness.cli import main
from harness.errors import BadInput
from harness.presets import KNOWS_TARGET
from harness.protocol import CONFIRMATION, DEVELOPMENT, REPORTING
from reports.pages.published_tables import errors, groups, verdicts
from reports.publishing import LEDGER, check, digest_of, ledger, publish
from tests.support import ROOT

COMMAND = "harness benchmark --suite section1_3 --seeds 10 --first_seed 10000"
PLACE = "<!-- made by harness publish: {} -->\n<!-- end -->\n"
MEASURED = "<!-- measured: commit abc1234{}; python benchmarks/start.py -->\n"
TABLE = "| what | s |\n|---|---|\n| start | 1.5 |\n"
Change = Callable[[pd.DataFrame], pd.DataFrame]


def verdict(criterion: str, preset: str | None, said: str, counts: str) -> dict[str, object]:
    return {"criterion": criterion, "sentence": "All.", "preset": preset, "verdict": said, "counts": counts}


SAID = {
    "selection": "benchmark section1_3-00000001",
    "unsettled": 0,
    "presets": ["tuned", "lm"],
    "verdicts": [
        verdict("S1", "tuned", "PASS", "4 of 4"),
        verdict("S1", "lm", "N/A", ""),
        verdict("B1", None, "UNSURE", "9 of 11"),
    ],
}


def cells() -> pd.DataFrame:
    rows = [
        {
            "model": model,
            "problem": "poisson_2d_sin",
            "preset": preset,
            "seed": seed,
            "outcome": "diverged" if (model, seed) == ("mlp", 10_009) else "completed",
            "preset_digest": presets.digest(preset),
            "knows_target": (preset, model) == ("lm", "siren"),
            "commit": "a" * 40,
            "dirty": "false",
            "final/dense_nmse": None if (model, seed) == ("mlp", 10_009) else 10.0 ** (seed - 10_009) * scale,
        }
        for model, scale in (("mlp", 1.0), ("siren", 0.1))
        for preset in ("tuned", "lm")
        for seed in REPORTING
    ]
    return pd.DataFrame(rows)


def report(folder: Path, change: Change = lambda frame: frame, **said: object) -> str:
    """The files of a report that ``publish`` reads."""
    (folder / "figures").mkdir(parents=True)
    (folder / "figures" / "loss.png").write_bytes(b"a picture")
    (folder / "report.json").write_text(json.dumps({**SAID, **said}))
    (folder / "report.md").write_text("# section1_3\n\n| problem | mlp |\n|---|---|\n| p | 1.0 |\n")
    change(cells()).to_csv(folder / "runs.csv", index=False)
    return str(folder)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("# mine\n" + PLACE.format("s/verdicts") + PLACE.format("s/summary") + "after\n")
    (tmp_path / "docs" / "results.md").write_text(PLACE.format("s/errors") + "\n" + MEASURED.format("") + TABLE)
    return tmp_path


def test_a_report_goes_into_every_place_that_is_made_for_it_with_its_trail(checkout: Path) -> None:
    publish(report(checkout / "report"), "s", [COMMAND], checkout)
    readme, errors = (checkout / "README.md").read_text(), (checkout / "docs" / "results.md").read_text()
    digests = ", ".join(f"{name} `{presets.digest(name)}`" for name in ("lm", "tuned"))
    trail = f"*Seeds 10000 to 10009, commit `aaaaaaaaaa`, presets {digests}; `{COMMAND}`.*"
    assert readme.count(trail) == 2
    assert "| S1 | All. | PASS 4 of 4 | N/A |" in readme
    assert readme.endswith("<!-- end -->\nafter\n")
    assert "| poisson_2d_sin | tuned | 1.0e-04 | **1.0e-05** |" in readme, "the sixth of ten seeds"
    assert "| poisson_2d_sin | lm | 1.0e-04 | **1.0e-05†** |" in readme
    assert KNOWS_TARGET in readme
    assert KNOWS_TARGET in errors
    assert "| poisson_2d_sin | 1.0e-04 (1.0e-09 to inf) | 1.0e-04 (1.0e-09 to inf) |" in errors
    assert trail in (checkout / "docs" / "results" / "s" / "report.md").read_text()
    assert (checkout / "docs" / "results" / "s" / "figures" / "loss.png").read_bytes() == b"a picture"
    (row,) = ledger(checkout)
    assert (row.commit, row.commands, row.seeds) == (
        "a" * 40,
        (COMMAND,),
        {name: list(REPORTING) for name in ("lm", "tuned")},
    )
    assert {"python", "torch", "mlflow", "sciml-harness"} <= set(row.versions)
    assert "cores" in row.machine
    assert check(checkout) == []


def test_publishing_again_replaces_what_was_there_and_keeps_the_others(checkout: Path) -> None:
    publish(report(checkout / "first"), "s", [COMMAND], checkout)
    publish(report(checkout / "second"), "t", [COMMAND], checkout)
    before = (checkout / "README.md").read_text()
    publish(report(checkout / "third", presets=["tuned"]), "s", [COMMAND], checkout)
    assert [row.name for row in ledger(checkout)] == ["s", "t"]
    assert (checkout / "README.md").read_text() != before
    assert check(checkout) == []


def test_a_preset_on_fewer_seeds_is_named_with_them(checkout: Path) -> None:
    def fewer(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[(frame["preset"] == "tuned") | (frame["seed"] < REPORTING[3])]

    publish(report(checkout / "report", fewer), "s", [COMMAND], checkout)
    assert "*Seeds 10000 to 10002 (lm); 10000 to 10009 (tuned), commit" in (checkout / "README.md").read_text()
    assert check(checkout) == []


def with_first(column: str, value: object) -> Change:
    def change(frame: pd.DataFrame) -> pd.DataFrame:
        frame[column] = [value, *frame[column][1:]]
        return frame

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (with_first("seed", 400), "seed = 400 is not one that may be published; reporting seeds are 10000 to 10009."),
        (with_first("seed", 10_010), "seed = 10010 is not one that may be published"),
        (with_first("preset_digest", "0" * 12), "preset = 'tuned' has the digest .* now, and runs have '000000000000'"),
        (with_first("preset_digest", ""), "preset = 'tuned' has the digest .* now, and runs have none"),
        (with_first("commit", ""), "commit is missing, aaaaaaaaaa in the runs"),
        (with_first("commit", "b" * 40), "commit is aaaaaaaaaa, bbbbbbbbbb in the runs"),
        (with_first("dirty", "true"), "commit aaaaaaaaaa had changes in 1 runs"),
        (with_first("dirty", ""), "commit aaaaaaaaaa had changes in 1 runs"),
        (lambda frame: frame[:0], "report is not complete: all of its cells"),
    ],
)
def test_what_the_protocol_does_not_bear_is_refused_and_nothing_is_written(
    checkout: Path, change: Change, sentence: str
) -> None:
    folder, before = report(checkout / "report", change), (checkout / "README.md").read_text()
    with pytest.raises(BadInput, match=sentence):
        publish(folder, "s", [COMMAND], checkout)
    assert (checkout / "README.md").read_text() == before
    assert not (checkout / "docs" / "results").exists()


def test_a_report_that_is_not_complete_or_not_there_is_refused(checkout: Path) -> None:
    with pytest.raises(BadInput, match="report is not complete: 3 of its cells have not ended"):
        publish(report(checkout / "report", unsettled=3), "s", [COMMAND], checkout)
    with pytest.raises(BadInput, match="report = 'nowhere' can't be read"):
        publish("nowhere", "s", [COMMAND], checkout)
    with pytest.raises(BadInput, match="command is missing"):
        publish(str(checkout / "report"), "s", [], checkout)
    with pytest.raises(BadInput, match="name"):
        publish(str(checkout / "report"), "../s", [COMMAND], checkout)


def test_a_run_that_ended_without_a_result_is_refused_unless_its_model_is_made_to_fail(checkout: Path) -> None:
    for number, outcome in enumerate(("interrupted", "error", "timeout", "unknown")):
        folder = report(checkout / f"report{number}", with_first("outcome", outcome))
        with pytest.raises(BadInput, match=rf"not complete: 1 of its cells have ended without a result \({outcome}\)"):
            publish(folder, "s", [COMMAND], checkout)

    def on_purpose(frame: pd.DataFrame) -> pd.DataFrame:
        return with_first("model", "fault_raises")(with_first("outcome", "error")(frame))

    publish(report(checkout / "report", on_purpose), "s", [COMMAND], checkout)
    assert "| poisson_2d_sin | tuned | 1.0e-04 |" in (checkout / "README.md").read_text()


def test_a_seed_without_a_result_is_in_no_median_and_one_that_diverged_is_infinite() -> None:
    for outcome, said in (("diverged", "1.0e-04 (1.0e-08 to inf)"), ("interrupted", "1.0e-06 (1.0e-08 to 1.0e-04)")):
        frame = cells()
        frame = frame[(frame["model"] == "mlp") & (frame["preset"] == "tuned")][1:9].reset_index(drop=True)
        frame.loc[5:, ["outcome", "final/dense_nmse"]] = [outcome, None]
        assert said in errors(frame), errors(frame)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("page", "old", "new", "fault"),
    [
        ("README.md", "PASS 4 of 4", "PASS 5 of 5", "README.md: s/verdicts is not what was published."),
        ("README.md", "commit `aaa", "commit `bbb", "README.md: s/verdicts is not what was published."),
        ("README.md", "publish: s/summary", "publish: u/summary", "README.md: u/summary has no row in the ledger."),
        ("README.md", "publish: s/summary", "gone", "s/summary is in the ledger, and in no page as it was published."),
        ("docs/results/s/report.md", "1.0", "0.9", "docs/results/s/report.md is not what was published."),
        ("docs/results/ledger.json", "10003", "1003", "s: seed 1003 is no reporting seed (10000 to 10009)."),
        ("docs/results.md", MEASURED.format(""), "", "docs/results.md: the table '| what | s |' has figures, and no"),
        (
            "docs/results.md",
            "abc1234;",
            "abc1234, presets lm=0; p",
            "docs/results.md: the table '| what | s |': preset lm",
        ),
    ],
)
def test_whatever_changes_after_it_was_published_is_told(
    checkout: Path, page: str, old: str, new: str, fault: str
) -> None:
    publish(report(checkout / "report"), "s", [COMMAND], checkout)
    edit(checkout / page, old, new)
    assert any(each.startswith(fault) for each in check(checkout)), check(checkout)


def test_a_preset_that_changes_makes_old_what_speaks_of_it(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(report(checkout / "report"), "s", [COMMAND], checkout)
    now = presets.digests
    monkeypatch.setattr(presets, "digests", lambda name: {"1" * 12} if name == "lm" else now(name))
    assert check(checkout) == [f"s: preset lm was {presets.digest('lm')} and is 111111111111 now."]


def test_rules_over_presets_stand_once_and_below() -> None:
    assert verdicts(SAID).splitlines() == [
        "| | | tuned | lm |",
        "|---|---|---|---|",
        "| S1 | All. | PASS 4 of 4 | N/A |",
        "",
        "Rules over presets (tuned, lm), each decided once:",
        "",
        "| | | |",
        "|---|---|---|",
        "| B1 | All. | UNSURE 9 of 11 |",
    ]


def test_the_command_publishes_and_checks(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(checkout)
    report(checkout / "report")

    def code(*arguments: str) -> object:
        with pytest.raises(SystemExit) as left:
            main(["publish", *arguments])
        return left.value.code

    assert code("--check") == 1, "places without a row"
    assert code("--command", COMMAND) == 2
    assert "name is missing" in capsys.readouterr().err
    assert code("--name", "s", "--command", COMMAND) == 0
    assert str(LEDGER) in capsys.readouterr().out
    assert code("--check") == 0


def test_the_seeds_of_the_protocol_are_apart_and_its_page_says_which_they_are() -> None:
    page = (ROOT / "docs" / "protocol.md").read_text()
    for seeds in (DEVELOPMENT, CONFIRMATION, REPORTING):
        assert f"| {seeds[0]} to {seeds[-1]} |" in page
    assert len({*DEVELOPMENT, *CONFIRMATION, *REPORTING}) == len(DEVELOPMENT) + len(CONFIRMATION) + len(REPORTING)


def test_a_digest_takes_no_notice_of_blank_lines_around_a_text() -> None:
    assert digest_of("\n\na\n") == digest_of("a") != digest_of("b")


def test_the_groups_of_criteria_are_counted_by_verdict_and_what_does_not_hold_is_named() -> None:
    given = [
        verdict("S1", "tuned", "PASS", "4 of 4"),
        verdict("S2", "tuned", "FAIL", "1 of 2"),
        verdict("S3", "tuned", "FAIL", "1 of 2"),
        verdict("S1", "lm", "N/A", ""),
        verdict("B1", None, "UNSURE", "9 of 11"),
    ]
    assert groups({**SAID, "verdicts": given}).splitlines() == [
        "| criteria | tuned | lm | over presets |",
        "|---|---|---|---|",
        "| SIREN (S1, S2, S3) | 1 PASS, 2 FAIL (S2, S3) | 1 N/A |  |",
        "| Beyond (B1) |  |  | 1 UNSURE (B1) |",
    ]


def test_outside_of_a_checkout_nothing_is_well(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no folder docs here"):
        check(tmp_path)
