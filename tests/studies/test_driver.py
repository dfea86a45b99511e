"""Each trial is asked for once and told once, whatever its runs do."""

from __future__ import annotations

import json
import threading
from collections import Counter
from concurrent.futures import Future
from pathlib import Path

import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState

from harness.execution.driving import RETRIES
from harness.execution.isolation import DeadlinePassed, WorkerLost
from harness.outcome import Outcome
from harness.run import Stop
from harness.tracking.liveness import this_process
from studies.driver import tune, work
from studies.findings import findings
from studies.measures import CAP, Measured
from studies.plan import Run
from studies.trials import RECORD, OpenTrial
from tests.studies.support import Worker, by_value, desk, done, drive, failed, quick, states
from tests.support import all_runs, only_run

TWO = "poisson_1d_sin,poisson_1d_poly"


def by_number(how: dict[int, Measured | Exception], otherwise: float = 0.1) -> Worker:
    return lambda opened, run: how.get(opened.number, done(run, otherwise))


def test_a_trial_s_value_is_the_mean_over_problems_of_the_median_over_seeds(outside: Path) -> None:
    errors = {"poisson_1d_sin": (1e-1, 1e-3, 1e-2), "poisson_1d_poly": (1e-3, 1e-1, 1e-4)}
    at = desk(quick(problem=TWO, seeds=3, trials=1))
    (told,) = drive(at, lambda opened, run: done(run, errors[run.config.problem][run.config.seed]))
    assert told.values == pytest.approx([(-2 - 3) / 2], abs=1e-5)
    table = at.study.trials[0].user_attrs[RECORD]["problems"]
    assert table == {"poisson_1d_sin": [pytest.approx(-2)], "poisson_1d_poly": [pytest.approx(-3, abs=1e-5)]}


@pytest.mark.parametrize("outcome", [Outcome.DIVERGED, Outcome.TIMEOUT])
def test_a_trial_that_diverges_is_told_with_a_finite_penalty_and_its_reason(outcome: Outcome, any_storage: str) -> None:
    at = desk(quick(any_storage))
    told = drive(at, lambda opened, run: failed(run, outcome, "The loss became NaN."))
    assert [each.values for each in told] == [(CAP,)] * 3
    for trial in at.study.trials:
        assert trial.state is TrialState.COMPLETE
        assert trial.user_attrs[RECORD]["reason"] == "poisson_1d_sin, seed 0: The loss became NaN."
        assert trial.user_attrs[RECORD]["without_result"] == ["poisson_1d_sin"]


def test_a_trial_one_of_whose_seeds_diverges_still_has_a_result(outside: Path) -> None:
    at = desk(quick(seeds=3, trials=1))
    drive(at, lambda opened, run: failed(run, Outcome.DIVERGED) if run.config.seed == 0 else done(run))
    assert findings(at.plan, at.study).has_result
    assert at.study.trials[0].value == pytest.approx(-1)


def test_when_every_trial_diverges_the_study_says_so_and_has_no_best(outside: Path) -> None:
    at = desk(quick())
    drive(at, lambda opened, run: failed(run, Outcome.DIVERGED, "The loss became NaN."))
    found = findings(at.plan, at.study)
    assert found.best == ()
    assert "No trial has a result." in found.sentence()
    assert "The loss became NaN." in found.sentence()


def test_an_error_that_is_not_the_values_fault_fails_the_trial_and_tells_the_sampler_nothing(outside: Path) -> None:
    at = desk(quick())
    told = drive(at, by_number({1: ValueError("disk full")}))
    assert [each.state.name for each in told] == ["COMPLETE", "FAIL", "COMPLETE"]
    assert told[1].reason == "poisson_1d_sin, seed 0: ValueError: disk full"
    assert len(states(at)) == 3, "it is not tried again"


def test_a_run_whose_worker_is_lost_is_tried_again(outside: Path) -> None:
    tries: Counter[int] = Counter()

    def worker(opened: OpenTrial, run: Run) -> Measured | Exception:
        tries[opened.number] += 1
        return WorkerLost("killed") if opened.number == 1 and tries[1] <= RETRIES else done(run)

    told = drive(desk(quick()), worker)
    assert tries == {0: 1, 1: RETRIES + 1, 2: 1}
    assert {each.state for each in told} == {TrialState.COMPLETE}


def test_a_worker_that_is_lost_every_time_fails_the_trial(outside: Path) -> None:
    told = drive(desk(quick(trials=1)), lambda opened, run: WorkerLost("killed by SIGSEGV"))
    assert told[0].state is TrialState.FAIL
    assert "killed by SIGSEGV (attempt 3 of 3)" in told[0].reason


def test_a_run_that_had_to_be_killed_at_its_deadline_counts_with_the_penalty(outside: Path) -> None:
    told = drive(desk(quick(trials=1)), lambda opened, run: DeadlinePassed("late"))
    assert (told[0].state, told[0].values) == (TrialState.COMPLETE, (CAP,))


def test_a_run_that_is_at_work_elsewhere_is_asked_for_again(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.execution.driving.BUSY_S", 0.02)
    monkeypatch.setattr("harness.execution.driving.POLL_S", 0.01)
    seen: Counter[str] = Counter()

    def worker(opened: OpenTrial, run: Run) -> Measured:
        seen[run.fingerprint] += 1
        busy = Measured(run.config.problem, run.config.seed, None)
        return busy if seen[run.fingerprint] < 3 else done(run)

    assert len(drive(desk(quick()), worker)) == 3
    assert set(seen.values()) == {3}


def test_a_trial_that_is_worse_on_the_same_runs_ends_early_and_is_pruned(outside: Path) -> None:
    at = desk(quick(problem=TWO, seeds=5, trials=4))
    # Errors that differ from seed to seed, and get worse from trial to trial.
    told = drive(at, lambda opened, run: done(run, 10 ** (opened.number - 4 - 0.01 * run.config.seed)))
    assert [each.state.name for each in told] == ["COMPLETE", "PRUNED", "PRUNED", "PRUNED"]
    assert "Worse than the best trial" in told[1].reason
    assert len(at.study.trials[1].user_attrs[RECORD]["runs"]) < 10
    assert findings(at.plan, at.study).best[0].number == 0


def test_without_pruning_every_run_is_computed(outside: Path) -> None:
    at = desk(quick(problem=TWO, seeds=5, trials=3, pruning="false"))
    told = drive(at, lambda opened, run: done(run, 10 ** (opened.number - 4)))
    assert [each.state.name for each in told] == ["COMPLETE"] * 3


def test_workers_that_find_no_further_trial_help_with_those_that_are_left(outside: Path) -> None:
    at = desk(quick(seeds=4, trials=1))
    together = []

    def worker(opened: OpenTrial, run: Run) -> Measured:
        together.append(opened.at_work)
        return done(run)

    drive(at, worker, slots=3)
    assert max(together) == 3


def test_a_pruned_kan_is_held_against_its_twin_which_is_trained_once_for_all_trials(outside: Path) -> None:
    at = desk(quick(study="kan", trials=8, epochs=8))
    trained: Counter[str] = Counter()

    def worker(opened: OpenTrial, run: Run) -> Measured:
        trained[f"{run.config.model} {run.fingerprint}"] += 1
        return done(run, 0.1 if run.config.model == "kan" else 0.3)

    told = drive(at, worker, slots=3)
    twins = {name: n for name, n in trained.items() if name.startswith("kan ")}
    assert set(twins.values()) == {1}
    assert sum(n for name, n in trained.items() if name.startswith("kan_pruned")) == 8
    assert all(len(each.values) == 2 for each in told)
    assert [t.constraints["K2 poisson_1d_sin"] > 0 for t in at.study.trials] == [True] * 8, "three times the twin"
    assert findings(at.plan, at.study).best == ()
    assert findings(at.plan, at.study).has_result


def test_a_request_to_stop_hands_the_open_trial_to_the_next_driver(any_storage: str) -> None:
    stop, at = Stop(), desk(quick(any_storage, seeds=2))

    def worker(opened: OpenTrial, run: Run) -> Measured:
        if opened.number == 1:
            stop.reason = "Stopped by SIGTERM"
        return done(run)

    assert len(drive(at, worker, stop=stop)) == 1
    assert list(states(at).values()) == ["COMPLETE", "FAIL", "WAITING"]
    again = desk(quick(any_storage, seeds=2))
    assert [each.number for each in drive(again)] == [2, 3]
    trials = again.study.trials
    assert trials[2].params == trials[1].params
    assert findings(again.plan, again.study).counts["complete"] == 3
    assert findings(again.plan, again.study).counts["failed"] == 0


def test_after_the_deadline_no_trial_begins(outside: Path) -> None:
    at = desk(quick())
    at.deadline = 0.0
    assert drive(at) == []


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_a_sampler_goes_where_the_errors_are_small(sampler: str, outside: Path) -> None:
    at = desk(quick(trials={"tpe": 40, "gp": 24}[sampler], sampler=sampler, sampler_seed=1))
    drive(at, by_value("omega0", 12.0))
    late = [abs(trial.params["omega0"] - 12.0) for trial in at.study.trials[-20:]]
    early = [abs(trial.params["omega0"] - 12.0) for trial in at.study.trials[:10]]
    assert sorted(late)[10] < sorted(early)[5]


@pytest.mark.parametrize(("trials", "sampler"), [(250, "GPSampler"), (251, "TPESampler")])
def test_auto_takes_a_gaussian_process_for_as_many_trials_as_it_can_bear(
    trials: int, sampler: str, outside: Path
) -> None:
    assert type(desk(quick(trials=trials, sampler="auto")).study.sampler).__name__ == sampler


def test_auto_takes_tpe_where_no_hyperparameter_is_a_real_number(outside: Path) -> None:
    assert type(desk(quick(trials=60, sampler="auto", study="kan_rbf")).study.sampler).__name__ == "TPESampler"


def test_a_study_is_a_parent_run_whose_trials_are_children(store: MlflowClient, tmp_path: Path) -> None:
    result = tune(quick(trials=3, seeds=1))
    assert result.stopped is None
    parent = store.get_run(result.parent)
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["study"] == "siren-poisson_1d_sin"
    assert parent.data.metrics["trials/complete"] == 3
    children = [r for r in all_runs(store) if r.data.tags.get("mlflow.parentRunId") == result.parent]
    assert sorted(r.data.tags["trial"] for r in children) == ["0", "1", "2"]
    assert {r.data.tags["study"] for r in children} == {"siren-poisson_1d_sin"}
    assert {r.info.status for r in children} == {"FINISHED"}
    table = json.loads(Path(store.download_artifacts(result.parent, "trials.json", str(tmp_path))).read_text())
    assert [row[0] for row in table["data"]] == [0, 1, 2]
    best = result.findings.best[0]
    by_trial = {r.data.tags["trial"]: r for r in children}
    val = by_trial[str(best.number)].data.metrics["val/mse"]
    history = store.get_metric_history(by_trial[str(best.number)].info.run_id, "val/mse")
    assert val == max(history, key=lambda point: point.step).value, "that of the last epoch"

    again = tune(quick(trials=3, seeds=1))
    assert again.parent == result.parent
    assert len(all_runs(store)) == 4


def test_a_fault_in_the_middle_closes_the_study_s_run(
    store: MlflowClient, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studies.driver.work", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        tune(quick())
    run = only_run(store)
    assert (run.info.status, run.data.tags["outcome"]) == ("FAILED", "error")
    assert "ZeroDivisionError" in run.data.tags["outcome.reason"]


def test_a_run_that_ends_while_the_driver_stops_counts(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stop, at = Stop(), desk(quick())

    def submit(opened: OpenTrial, run: Run) -> Future[Measured]:
        future: Future[Measured] = Future()
        future.set_running_or_notify_cancel()
        stop.reason = "Stopped by SIGTERM"
        threading.Timer(1.0, future.set_result, [done(run)]).start()
        return future

    told = list(work(at, submit, 1, stop, lambda outcome, reason, fingerprint: "closed", str))
    assert [each.state for each in told] == [TrialState.COMPLETE]
    assert list(states(at).values()) == ["COMPLETE"]


def test_trials_are_computed_by_dask_workers(store: MlflowClient) -> None:
    result = tune(quick(trials=2, executor="dask"))
    assert [trial.state.name for trial in result.findings.trials] == ["COMPLETE", "COMPLETE"]
    children = [r for r in all_runs(store) if r.data.tags.get("mlflow.parentRunId") == result.parent]
    assert sorted(r.data.tags["trial"] for r in children) == ["0", "1"]
    assert str(this_process()) not in {r.data.tags["owner"] for r in children}
