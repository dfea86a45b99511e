"""What a study leaves behind in its parent run."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from PIL import Image
from rich.console import Console

from harness.outcome import Outcome
from studies.driver import StudyResult
from studies.findings import findings, rows, write_findings
from studies.terminal import print_trial, summarise
from studies.trials import LEAST_WEIGHED
from tests.studies.support import by_value, desk, done, drive, failed, quick

FIGURES = {"siren": ["history", "importance", "slice"], "kan": ["history", "importance", "pareto", "slice"]}


def leave(store: MlflowClient, study: str, worker: Any, folder: Path, **given: Any) -> tuple[str, Path]:
    config = quick(study=study, **given)
    at = desk(config)
    drive(at, worker)
    run_id = store.create_run("0").info.run_id
    write_findings(store, run_id, at.plan, config, at.study, findings(at.plan, at.study, weigh=True))
    return run_id, Path(store.download_artifacts(run_id, "", str(folder)))


def kan_worker(opened: Any, run: Any) -> Any:
    value = float(opened.trial.params["sparsify_fraction"])
    error = 10 ** (-4 * value) if run.config.model == "kan_pruned" else 1.0
    return done(run, error, **{"model/active_params": round(100 * value)})


@pytest.mark.parametrize("study", ["siren", "kan"])
def test_a_study_leaves_plots_that_are_not_blank_tables_and_the_command(
    study: str, store: MlflowClient, tmp_path: Path
) -> None:
    worker = by_value("omega0", 10.0) if study == "siren" else kan_worker
    run_id, folder = leave(store, study, worker, tmp_path / "out", trials=14, epochs=8)
    assert sorted(p.stem for p in (folder / "figures").glob("*.png")) == FIGURES[study]
    for path in (folder / "figures").glob("*.png"):
        assert len(Image.open(path).convert("RGB").getcolors(maxcolors=10**7) or ()) > 20
    page = (folder / "figures" / "study.html").read_text()
    assert page.count("plotly-graph-div") >= 4
    assert "cdn.plot.ly" not in page.partition("<body>")[0][:2000], "it has to work without a network"
    table = json.loads((folder / "trials.json").read_text())
    assert len(table["data"]) == 14
    assert (folder / "command.txt").read_text().startswith("harness study --problem poisson_1d_sin --trials 14")
    note = store.get_run(run_id).data.tags["mlflow.note.content"]
    assert "| best trial |" in note
    assert "optuna-dashboard studies.journal" in note
    assert "Importance for log10 NMSE:" in note


def test_importance_finds_the_one_hyperparameter_that_counts(outside: Path) -> None:
    at = desk(quick(trials=40, sampler="random", pruning="false"))
    drive(at, by_value("omega0", 10.0))
    (parts,) = findings(at.plan, at.study, weigh=True).importance.values()
    assert max(parts, key=lambda name: parts[name]) == "omega0"
    assert sum(parts.values()) == pytest.approx(1)


def test_of_few_trials_no_importance_is_told(outside: Path) -> None:
    at = desk(quick(trials=LEAST_WEIGHED - 1, sampler="random", pruning="false"))
    drive(at, by_value("omega0", 10.0))
    assert findings(at.plan, at.study, weigh=True).importance == {}


def test_the_pareto_front_holds_what_no_other_trial_beats_in_both(outside: Path) -> None:
    at = desk(quick(study="kan", trials=12, epochs=8))
    drive(at, kan_worker)
    found = findings(at.plan, at.study)
    values = [tuple(trial.values) for trial in found.best]
    assert values == sorted(values)
    assert [v[1] for v in values] == sorted((v[1] for v in values), reverse=True)
    assert len(values) > 2


def test_a_study_without_any_result_leaves_its_reasons_and_no_plot(store: MlflowClient, tmp_path: Path) -> None:
    def worker(opened: Any, run: Any) -> Any:
        return failed(run, Outcome.DIVERGED, "The loss became NaN at epoch 3.")

    run_id, folder = leave(store, "siren", worker, tmp_path / "out")
    assert not (folder / "figures").exists()
    note = store.get_run(run_id).data.tags["mlflow.note.content"]
    assert "No trial has a result." in note
    assert "The loss became NaN at epoch 3." in note


def test_a_trial_that_violates_a_constraint_is_named_beside_the_best(outside: Path) -> None:
    at = desk(config := quick())
    nmse, excess = [0.8, 1e-4, 0.5], [-0.02, 0.42, -0.02]

    def worker(opened: Any, run: Any) -> Any:
        return replace(done(run, nmse[opened.number]), excess={"S3": excess[opened.number], "K1": -1.0})

    told = drive(at, worker)
    assert [each.violated for each in told] == ["", "S3 poisson_1d_sin by 0.42", ""]
    found = findings(at.plan, at.study)
    assert [trial.number for trial in found.best] == [2]
    assert found.unconstrained is not None
    assert found.unconstrained.number == 1
    assert found.sentence() == "3 trials: 3 complete. 1 of 3 with a result violate a constraint (S3: trials 1)."
    out = io.StringIO()
    console = Console(file=out, width=200, color_system=None)
    print_trial(told[1], config, console)
    summarise(StudyResult("s", "p", found, None, "url", None), config, console)
    text = out.getvalue()
    assert "complete  -4" in text.splitlines()[0]
    assert "violates S3 poisson_1d_sin by 0.42" in text.splitlines()[0]
    assert [" ".join(line.split()) for line in text.splitlines()[1:4]] == [
        "trial log10 NMSE constraints",
        "1 -4 violates S3 poisson_1d_sin by 0.42",
        "2 -0.301 met",
    ]
    assert "next        harness study export" in text
    assert "best        trial 2: log10 NMSE -0.301" in text
    assert "least       trial 1: log10 NMSE -4, but it violates S3 poisson_1d_sin by 0.42" in text


def test_the_table_names_what_was_wrong_with_a_trial(outside: Path) -> None:
    at = desk(quick())
    drive(at, lambda opened, run: failed(run, Outcome.DIVERGED, "NaN.") if opened.number == 1 else done(run))
    assert [row["reason"] for row in rows(findings(at.plan, at.study))] == ["", "poisson_1d_sin, seed 0: NaN.", ""]
