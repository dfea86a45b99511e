"""A preset is written from a study whose winners hold on fresh seeds, with the trail back to each trial."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from mlflow import MlflowClient
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState, create_trial

from harness.errors import BadInput
from harness.execution.isolation import DeadlinePassed, WorkerLost
from harness.explanation import comments
from harness.fingerprint import COMPARABILITY
from harness.outcome import Outcome
from harness.presets import load, text_of
from harness.run import Stop
from studies.confirmation import Confirmation, best_on, best_trial, computed, confirm
from studies.driver import tune
from studies.export import export, preset_text
from studies.findings import Findings, findings
from studies.measures import Measured
from studies.plan import Plan, Run
from studies.storage import open_storage
from studies.study_config import configure_export
from tests.reports.test_hostile import plant
from tests.studies.support import QUICK, desk, done, drive, failed, quick
from tests.support import all_runs, only_run

SIN, POLY = "poisson_1d_sin", "poisson_1d_poly"
DAY = datetime.date(2026, 11, 24)


def worth(run: Run) -> float:
    """Small rates are good on one problem, large ones on the other; a study's rate is the better the nearer to 1e-3."""
    rate = float(run.config.values()["lr"])
    if run.config.problem == SIN:
        return min(1.0, rate)
    return min(1.0, 1e-6 / rate)


def studied(**given: Any) -> tuple[Plan, Findings]:
    at = desk(quick(**{"problem": f"{SIN},{POLY}", "trials": 12, "pruning": "false", **given}))
    drive(at, lambda opened, run: done(run, worth(run)))
    return at.plan, findings(at.plan, at.study)


def submitting(value: Any) -> Any:
    def submit(run: Run, known: Mapping[str, Measured]) -> Future[Measured]:
        future: Future[Measured] = Future()
        future.set_result(done(run, value(run)))
        return future

    return submit


def confirmed(
    found: Findings, margin: float = 0.1, value: Any = worth, first: int = 1000, trial: int | None = None
) -> Confirmation:
    chosen, seeds = best_trial(found, trial), range(first, first + 5)
    return confirm(
        found, chosen, seeds, margin, submitting(value), Stop(), lambda outcome, reason, fingerprint: "", str
    )


def test_a_problem_gets_values_of_its_own_where_they_beat_the_model_s_by_the_margin(outside: Path) -> None:
    _, found = studied()
    result = confirmed(found)
    for row in result.problems:
        if row.own is not None:
            assert row.keeps_own == (row.own <= row.chosen - 0.1)
    assert result.own, "a compromise is beaten on both"
    assert all(best_on(found, problem) == trial for problem, trial in result.own.items())
    assert confirmed(found, margin=30.0).own == {}


def test_a_study_that_does_not_beat_the_preset_is_not_better(outside: Path) -> None:
    _, found = studied()
    before = found.plan.resolved({}, SIN, 0).values()["lr"]
    assert not confirmed(
        found, value=lambda run: 1e-9 if run.config.values()["lr"] == before else 1.0, trial=1
    ).is_better
    assert confirmed(found, value=lambda run: 1.0 if run.config.values()["lr"] == before else 1e-9, trial=1).is_better


def test_the_preset_can_be_beaten_by_values_for_single_problems_alone(outside: Path) -> None:
    _, found = studied()
    result = confirmed(found, trial=0)  # a study begins with the preset
    assert result.of_trial > result.before - 0.1
    assert result.own
    assert result.is_better
    assert not confirmed(found, margin=30.0).is_better


def test_every_value_of_the_preset_has_its_trail_and_the_others_keep_their_comments(outside: Path) -> None:
    plan, found = studied()
    result = confirmed(found)
    text = preset_text(plan, result, "tuned", DAY)
    content, remarks = yaml.safe_load(text), comments(text)
    assert content["summary"] == f"Preset tuned with the values of siren from study {plan.name}."
    chosen = content["models"]["siren"]
    for name, value in result.trial.params.items():
        assert chosen[name] == pytest.approx(value)
        assert remarks["models", "siren", name] == (
            f"study {plan.name}, trial {result.trial.number}, seeds 0-0 (confirmed on 1000-1004), 2026-11-24, "
            f"comparability {COMPARABILITY}"
        )
    for problem, trial in result.own.items():
        assert content["problems"]["siren"][problem]["lr"] == pytest.approx(trial.params["lr"])
        assert f"trial {trial.number}," in remarks["problems", "siren", problem, "lr"]
    before = load("tuned")
    for model in set(before["models"]) - {"siren"}:
        assert content["models"][model] == before["models"][model]
    assert chosen["lr_decay"] == before["models"]["siren"]["lr_decay"]
    assert remarks["models", "kan", "k"] == comments(text_of("tuned"))["models", "kan", "k"]
    assert content["problems"]["siren"]["sin_freq3"] == before["problems"]["siren"]["sin_freq3"]


def test_a_pruned_kan_s_grids_are_lists_in_the_preset(outside: Path) -> None:
    at = desk(quick(study="kan", trials=6, epochs=8))
    drive(at, lambda opened, run: done(run))
    found = findings(at.plan, at.study)
    content = yaml.safe_load(preset_text(at.plan, confirmed(found, value=lambda run: 0.1), "tuned", DAY))
    pruned = content["models"]["kan_pruned"]
    assert pruned["grids"][0] == 5
    assert isinstance(pruned["retrain_grids"], list)


def test_when_all_trials_diverged_no_preset_is_written(outside: Path) -> None:
    at = desk(quick())
    drive(at, lambda opened, run: failed(run, Outcome.DIVERGED, "NaN."))
    with pytest.raises(
        BadInput, match=r"no trial of study 'siren-poisson_1d_sin' has a result, so no preset is written"
    ):
        best_trial(findings(at.plan, at.study), None)


def test_a_trial_can_be_named_and_has_to_have_a_result(outside: Path) -> None:
    _, found = studied()
    assert best_trial(found, 3).number == 3
    with pytest.raises(BadInput, match=r"trial = 99 of study .* has no result; those that have: 0, 1"):
        best_trial(found, 99)


def test_when_no_trial_meets_the_constraints_one_has_to_be_named(outside: Path) -> None:
    at = desk(quick(study="kan", epochs=8))
    drive(at, lambda opened, run: done(run, 1.0 if run.config.model == "kan_pruned" else 0.1))
    with pytest.raises(BadInput, match="meets its constraints, so no preset is written; name one with trial"):
        best_trial(findings(at.plan, at.study), None)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"fresh": "4"}, "fresh = '4' can't be used: .* greater than or equal to 5"),
        ({"margin": "-1"}, "margin = '-1' can't be used"),
        ({"frehs": "5"}, "frehs = '5' is not a field of a study"),
    ],
)
def test_bad_input_is_one_sentence(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        configure_export(given)


def test_an_unknown_study_is_refused_with_the_nearest(outside: Path) -> None:
    desk(quick())
    given = {**QUICK, "problem": SIN, "name": "siren-poisson_1d_sni"}
    with pytest.raises(BadInput, match="name = 'siren-poisson_1d_sni' is not in the storage; did you mean"):
        export(*configure_export(given))


def test_a_study_is_exported_or_is_no_better_and_what_a_store_and_a_storage_name_is_not_run(
    store: MlflowClient, outside: Path
) -> None:
    given = {**QUICK, "problem": SIN, "trials": "2", "seeds": "1", "workers": "1"}
    config, wanted = configure_export({**given, "to": "mine.yaml", "margin": "0"})
    tune(config)
    marker = plant(store, outside)
    study = optuna.load_study(study_name="siren-poisson_1d_sin", storage=open_storage(config.storage))
    evil = str(outside / "evil.py")
    for name, value in {"plugins": [evil], "owner": evil}.items():
        study.set_user_attr(name, value)
    tune(config.model_copy(update={"trials": 4}))
    exported = export(config, wanted)
    assert exported.confirmation.is_better == Path("mine.yaml").exists()
    assert f"| {SIN} |" in "\n".join(exported.table())
    if exported.path is not None:
        assert yaml.safe_load(exported.path.read_text())["models"]["siren"]["optimizer"] == "adam"
    (told,) = study.get_trials(states=[TrialState.COMPLETE])[:1]
    named = {**told.params, "plugins": evil}
    distributions = {**told.distributions, "plugins": CategoricalDistribution([evil])}
    study.add_trial(create_trial(params=named, distributions=distributions, value=-99.0))
    with pytest.raises(BadInput, match=r"plugins = .* is not searched by this study"):
        export(config, wanted)
    assert not marker.exists()


def test_a_run_whose_worker_is_lost_is_tried_again_and_one_past_its_deadline_is_not(outside: Path) -> None:
    lost, late, *_ = runs = list(desk(quick()).plan.runs({}, seeds=range(1000, 1003)))
    asked: Counter[str] = Counter()
    closed: list[tuple[Outcome, str]] = []

    def submit(run: Run, known: Mapping[str, Measured]) -> Future[Measured]:
        asked[run.fingerprint] += 1
        future: Future[Measured] = Future()
        if run == late:
            future.set_exception(DeadlinePassed("It did not stop."))
        elif run == lost and asked[run.fingerprint] < 3:
            future.set_exception(WorkerLost("It is gone."))
        else:
            future.set_result(done(run))
        return future

    def close_lost(outcome: Outcome, reason: str, fingerprint: str) -> str:
        closed.append((outcome, fingerprint))
        return "closed"

    results = computed(runs, submit, Stop(), close_lost, str)
    assert [results[run.fingerprint].outcome for run in runs] == [
        Outcome.COMPLETED,
        Outcome.TIMEOUT,
        Outcome.COMPLETED,
    ]
    assert [asked[run.fingerprint] for run in runs] == [3, 1, 1]
    assert Counter(closed) == {(Outcome.ERROR, lost.fingerprint): 2, (Outcome.TIMEOUT, late.fingerprint): 1}


def test_a_fault_in_the_middle_closes_the_export_s_run(
    store: MlflowClient, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive(desk(quick()))
    monkeypatch.setattr("studies.export.confirm", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(*configure_export({**QUICK, "problem": SIN, "trials": "3", "seeds": "1", "workers": "1"}))
    run = only_run(store)
    assert (run.info.status, run.data.tags["outcome"]) == ("FAILED", "error")
    assert "ZeroDivisionError" in run.data.tags["outcome.reason"]


@pytest.mark.parametrize("to", ["no/such/folder.yaml", "."])
def test_a_file_that_can_not_be_written_is_refused_before_anything_is_trained(
    to: str, store: MlflowClient, outside: Path
) -> None:
    drive(desk(quick()))
    given = {**QUICK, "problem": SIN, "trials": "3", "seeds": "1", "workers": "1", "to": to}
    with pytest.raises(BadInput, match=f"to = '{to}' can't be written: "):
        export(*configure_export(given))
    assert all_runs(store) == []
