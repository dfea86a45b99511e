"""kill -9 in mid-trial, of the driver and of a worker: no trial is lost or doubled, and nothing stays RUNNING."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState

from harness.tracking.claims import owner_of
from harness.tracking.liveness import owner_tag, this_process
from studies.findings import findings
from studies.left_behind import OWNER, take_over
from studies.measures import Measured
from studies.plan import Run
from studies.storage import AGAIN, DRIVER, counted
from studies.trials import OpenTrial
from tests.studies.support import QUICK, desk, done, drive, quick, states
from tests.support import all_runs, environment, gone

SLOW = {"epochs": "100000", "problem": "poisson_1d_sin", "seeds": "1", "workers": "1"}


def command(storage: str, *export: str, **given: Any) -> list[str]:
    fields = {**QUICK, **SLOW, "storage": storage, **{name: str(value) for name, value in given.items()}}
    return [sys.executable, "-m", "harness", "study", *export, *[w for k, v in fields.items() for w in (f"--{k}", v)]]


@contextmanager
def started(storage: str, **given: Any) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        command(storage, **given), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.2)


def at_work(store: MlflowClient) -> list[int]:
    """The processes of the runs of trials that are RUNNING and have written something."""
    found = [r for r in all_runs(store) if r.info.status == "RUNNING" and "trial" in r.data.tags]
    return [owner.pid for r in found if "cfg/lr" in r.data.params and (owner := owner_of(r)) is not None]


# On each kind of storage, ten times over: benchmarks/kills.py studies.
@pytest.mark.parametrize("any_storage", ["postgresql"], indirect=True)
def test_after_kill_9_of_the_driver_the_trial_is_done_once_by_the_next(any_storage: str, store: MlflowClient) -> None:
    with started(any_storage, trials=2) as driver:
        until(lambda: at_work(store))
        (worker,) = at_work(store)
        os.kill(driver.pid, signal.SIGKILL)
        driver.wait()
    until(lambda: not psutil.pid_exists(worker))
    at = desk(quick(any_storage, trials=2, **SLOW))
    assert list(states(at).values()) == ["RUNNING"]
    values = at.study.trials[0].params
    told = drive(at)
    assert [each.number for each in told] == [1, 2]
    assert list(states(at).values()) == ["FAIL", "COMPLETE", "COMPLETE"]
    assert at.study.trials[1].params == values
    assert at.study.trials[1].user_attrs[AGAIN] == 0
    counts = findings(at.plan, at.study).counts
    assert (counts["complete"], counts["failed"], counts["running"]) == (2, 0, 0)
    statuses = [r.info.status for r in all_runs(store) if "trial" in r.data.tags]
    assert statuses == ["KILLED"], "the worker had the time to close its run"


def test_a_worker_that_is_killed_costs_the_trial_a_second_attempt(store: MlflowClient, outside: Path) -> None:
    with started("studies.journal", trials=1, epochs=1000) as driver:
        until(lambda: at_work(store))
        os.kill(at_work(store)[0], signal.SIGKILL)
        output, _ = driver.communicate(timeout=120)
    assert driver.returncode == 0, output
    assert "1 trials: 1 complete." in output
    runs = [r for r in all_runs(store) if "trial" in r.data.tags]
    assert sorted((r.info.status, r.data.tags["outcome"]) for r in runs) == [
        ("FAILED", "error"),
        ("FINISHED", "completed"),
    ]
    (lost,) = [r for r in runs if r.info.status == "FAILED"]
    assert "killed by SIGKILL" in lost.data.tags["outcome.reason"]


def test_a_driver_that_is_asked_to_stop_leaves_nothing_running(store: MlflowClient, outside: Path) -> None:
    with started("studies.journal", trials=2) as driver:
        until(lambda: at_work(store))
        driver.send_signal(signal.SIGTERM)
        output, _ = driver.communicate(timeout=60)
    assert driver.returncode == 1
    assert "Stopped by SIGTERM; the same command goes on from here." in output
    assert {r.info.status for r in all_runs(store)} == {"KILLED"}
    at = desk(quick(trials=2, **SLOW))
    assert list(states(at).values()) == ["FAIL", "WAITING"]


@pytest.mark.parametrize("number", [signal.SIGHUP])  # what is heard, and how: tests/test_run.py
def test_an_export_that_is_asked_to_stop_leaves_nothing_running(
    number: signal.Signals, store: MlflowClient, outside: Path
) -> None:
    drive(desk(quick(trials=2, **SLOW)))
    process = subprocess.Popen(
        command("studies.journal", "export", trials=2, to="new.yaml"),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        until(lambda: at_work(store))
        os.killpg(process.pid, number)  # as a terminal does; a batch system tells all of a job, too
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 1, out + err
    assert f"stopped: Stopped by {number.name}; the same command goes on from here." in out
    assert "Traceback" not in err
    assert not Path("new.yaml").exists()
    runs = all_runs(store)
    assert {run.info.status for run in runs} == {"KILLED"}
    (parent,) = [run for run in runs if "study_export" in run.data.tags]
    assert (parent.data.tags["outcome"], parent.data.tags["outcome.reason"]) == (
        "interrupted",
        f"Stopped by {number.name}",
    )


@pytest.mark.parametrize("any_storage", ["sqlite"], indirect=True)
def test_two_drivers_on_one_study_ask_for_as_many_trials_as_one(any_storage: str, store: MlflowClient) -> None:
    given = {"trials": 6, "epochs": 30}
    with started(any_storage, **given) as one, started(any_storage, **given) as other:
        outputs = [process.communicate(timeout=120)[0] for process in (one, other)]
    assert (one.returncode, other.returncode) == (0, 0), outputs
    at = desk(quick(any_storage, **{**SLOW, **given}))
    assert list(states(at).values()) == ["COMPLETE"] * 6, [trial.user_attrs for trial in at.study.trials]
    assert len({tuple(t.params.values()) for t in at.study.trials}) == 6, (
        "each driver draws from a generator of its own"
    )
    assert all(any(f"trial {n} " in output for n in range(6)) for output in outputs), "both were at work"
    assert sum("trial" in r.data.tags for r in all_runs(store)) == 6


def test_a_driver_takes_over_the_trial_of_another_that_dies_while_it_is_at_work(
    any_storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studies.driver.ASK_S", 0.01)
    other_driver = str(gone())
    at = desk(quick(any_storage, trials=3))

    def worker(opened: OpenTrial, run: Run) -> Measured:
        if opened.number == 0:
            other = at.study.ask({name: d.distribution() for name, d in at.plan.study.space.items()})
            other.set_user_attr(OWNER, other_driver)
        return done(run)

    drive(at, worker)
    assert [state for state in states(at).values() if state != "FAIL"] == ["COMPLETE"] * 3
    assert len(counted(at.study)) == 3


ELSEWHERE = str(replace(this_process(), host="elsewhere"))


def left(owner: str | None, any_storage: str) -> Any:
    """A study with one RUNNING trial."""
    at = desk(quick(any_storage))
    trial = at.study.ask({name: d.distribution() for name, d in at.plan.study.space.items()})
    if owner is not None:
        trial.set_user_attr(OWNER, owner)
    return at


def test_a_trial_of_a_driver_on_another_machine_is_taken_over_once_that_is_silent(
    any_storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = left(ELSEWHERE, any_storage)
    for sign in ("600", "500", "400"):  # its clock runs backwards, and is decades behind
        at.study.set_user_attr(DRIVER + ELSEWHERE, sign)
        undecided = take_over(at.study, at.watch)
        assert list(states(at).values()) == ["RUNNING"]
    assert undecided == 0, "it is at work"
    monkeypatch.setattr("harness.tracking.liveness.SILENCE_S", 0.0)
    assert take_over(at.study, at.watch) == 0
    assert list(states(at).values()) == ["FAIL", "WAITING"]


def test_a_study_does_not_end_before_it_is_known_whether_another_driver_will_tell_its_trial(
    any_storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("studies.driver.ASK_S", "harness.execution.driving.POLL_S"):
        monkeypatch.setattr(name, 0.01)
    at = left(ELSEWHERE, any_storage)
    at.study.set_user_attr(DRIVER + ELSEWHERE, "600")
    monkeypatch.setattr("harness.tracking.liveness.SILENCE_S", 0.5)
    drive(at)
    assert [state for state in states(at).values() if state != "FAIL"] == ["COMPLETE"] * 3


def test_a_trial_that_its_driver_had_no_time_to_claim_is_taken_over(any_storage: str) -> None:
    at = left(None, any_storage)
    take_over(at.study, at.watch)
    assert list(states(at).values()) == ["FAIL", "WAITING"]


def test_a_trial_that_another_driver_may_be_claiming_is_left_to_it(any_storage: str) -> None:
    at = left(None, any_storage)
    at.study.set_user_attr(DRIVER + ELSEWHERE, time.time())
    assert take_over(at.study, at.watch) == 1, "it is to be seen"
    assert list(states(at).values()) == ["RUNNING"]


def test_a_trial_of_our_own_is_not_taken_over(any_storage: str) -> None:
    at = left(owner_tag()["owner"], any_storage)
    assert take_over(at.study, at.watch) == 0
    assert list(states(at).values()) == ["RUNNING"]


def test_a_process_that_dies_while_it_hands_over_leaves_no_trial_twice(
    any_storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = left(str(gone()), any_storage)
    with monkeypatch.context() as patch:
        patch.setattr(type(at.study), "tell", lambda *args, **kwargs: os_error())
        with pytest.raises(OSError, match="killed"):
            take_over(at.study, at.watch)
    assert list(states(at).values()) == ["RUNNING", "WAITING"]
    take_over(at.study, at.watch)
    assert list(states(at).values()) == ["FAIL", "WAITING"]
    assert [t.user_attrs[AGAIN] for t in at.study.get_trials(states=(TrialState.WAITING,))] == [0]
    assert len(counted(at.study)) == 0


def os_error() -> None:
    raise OSError("killed")
