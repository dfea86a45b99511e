"""A benchmark, run as users run it, while cells, workers, drivers and databases fail for real."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from harness.cli import main
from harness.execution.benchmark import benchmark, plan
from harness.execution.benchmark_config import configure
from harness.execution.executors import dask
from reports.reading.evidence import Selection
from reports.report import report
from reports.verdicts.verdict import Verdict
from tests.postgres import Server
from tests.support import all_runs, environment, harness

QUICK = """
summary: Six cells of a moment each.
problems: [poisson_2d_sin]
fields: {epochs: 4, n_train: 30, n_val: 20, n_test: 20}
variants:
  - models: [siren]
    fields: {width: 4}
  - models: [kan, kan_pruned]
    fields: {width: 2, grids: [3]}
"""
SEEDS = "2"

LONG = """
summary: Cells that go on until they are stopped.
problems: [poisson_1d_sin]
fields: {epochs: 100000, n_train: 30, n_val: 20, n_test: 20}
variants: [{models: [siren], fields: {width: 4}}]
"""


@pytest.fixture
def suite(outside: Path) -> str:
    (outside / "quick.yaml").write_text(QUICK)
    return str(outside / "quick.yaml")


def command(suite: str, **fields: str) -> list[str]:
    given = {"suite": suite, "seeds": SEEDS, "preset": "seed", "workers": "2"} | fields
    return [sys.executable, "-m", "harness", "benchmark", *(f"--{name}={value}" for name, value in given.items())]


def drive(suite: str, **fields: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(suite, **fields), env=environment(), capture_output=True, text=True, timeout=300, check=False
    )


def goes_on(suite: str) -> None:
    """What :func:`command` does, in this process, to the end."""
    done = benchmark(configure({"suite": suite, "seeds": SEEDS, "preset": "seed", "workers": "2"}))
    assert (done.stopped, done.state.failed()) == (None, [])


@contextmanager
def driver(suite: str, **fields: str) -> Iterator[subprocess.Popen[str]]:
    """A driver at work; killed with whatever it started when the test is over."""
    process = subprocess.Popen(
        command(suite, **fields), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=60)


def workers(process: subprocess.Popen[str], count: int) -> list[psutil.Process]:
    """The driver's worker processes, once there are so many."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        found = [p for p in psutil.Process(process.pid).children(recursive=True) if _is_worker(p)]
        if len(found) >= count:
            return found
        time.sleep(0.1)
    raise AssertionError(f"no {count} workers: {process.communicate(timeout=10)}")


def _is_worker(process: psutil.Process) -> bool:
    """Whether it was forked from the process that imports, which looks the same and is its parent."""
    try:
        parent = process.parent()
        return all("forkserver" in " ".join(each.cmdline()) for each in (process, parent) if each)
    except psutil.NoSuchProcess:  # also of one that is dead and not yet reaped
        return False


def cells_of(store: MlflowClient) -> list[Run]:
    return [run for run in all_runs(store) if "fingerprint" in run.data.tags]


def wait_for(store: MlflowClient, runs: int, status: str = "RUNNING") -> None:
    deadline = time.monotonic() + 90
    while sum(run.info.status == status for run in cells_of(store)) < runs:
        assert time.monotonic() < deadline, f"never {runs} {status}"
        time.sleep(0.2)


def assert_exactly_the_plan(store: MlflowClient, suite: str, **fields: str) -> None:
    """Every cell of the plan has one completed run, and nothing is left RUNNING."""
    planned = set(plan(configure({"suite": suite, "seeds": SEEDS, "preset": "seed", **fields})))
    completed = Counter(
        run.data.tags["fingerprint"] for run in cells_of(store) if run.data.tags.get("outcome") == "completed"
    )
    assert completed == dict.fromkeys(planned, 1)
    assert [run.info.run_name for run in all_runs(store) if run.info.status == "RUNNING"] == []


def test_the_suite_of_faults_fails_in_every_way_and_the_report_decides_from_what_is_left(
    store: MlflowClient, outside: Path
) -> None:
    """Bad cells cost nobody else anything, and each says what happened."""
    done = drive("faults", seeds="1", preset="tuned")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    ended: dict[str, set[tuple[str, str]]] = {}
    for run in cells_of(store):
        how = run.data.tags["outcome"], run.data.tags["outcome.reason"]
        ended.setdefault(run.data.params.get("cfg/model", str(run.info.run_name).partition("-")[0]), set()).add(how)
    expected = {
        "fault_hangs": ("timeout", "did not stop by itself"),
        "fault_is_slow": ("timeout", "deadline passed during epoch"),
        "fault_is_killed": ("error", "killed by SIGKILL"),
        "fault_raises": ("error", "ArithmeticError in epoch 3"),
        "fault_needs_memory": ("error", "allocate memory"),
        "fault_loses_the_store": ("error", "ConnectionError in epoch 3"),
    }
    assert {*ended} == {*expected, "siren"}
    for model, (outcome, word) in expected.items():
        assert {how for how, _ in ended[model]} == {outcome}, ended[model]
        assert all(word in reason for _, reason in ended[model]), ended[model]
        assert f"{model} on poisson_1d_sin" in done.stdout, "the summary names every cell without a result"
    assert sorted(outcome for outcome, _ in ended["siren"]) == ["completed", "diverged"]
    (parent,) = [run for run in all_runs(store) if "fingerprint" not in run.data.tags]
    assert (parent.info.status, parent.data.metrics["outcome/error"], parent.data.metrics["outcome/timeout"]) == (
        "FAILED",
        4,
        2,
    )

    verdicts = {each.criterion.id: each for each in report(Selection(), "written").report.of("tuned")}
    for name, holds in {"E1": (7, 7), "E2": (8, 8), "E3": (5, 5)}.items():
        (found,) = verdicts[name].problems
        assert (found.verdict, (found.holds, found.of)) == (Verdict.PASS, holds), (name, found)
    assert "fault_" not in harness("list", "models").stdout


def test_a_driver_that_is_killed_again_and_again_gets_there_with_the_same_command(
    store: MlflowClient, suite: str
) -> None:
    """Once in CI, each time at another moment; HARNESS_KILLS asks for more."""
    moments = random.Random(20251024)
    for _ in range(int(os.environ.get("HARNESS_KILLS", "1"))):
        with driver(suite) as process:
            time.sleep(moments.uniform(1, 14))
            process.kill()
    goes_on(suite)
    assert_exactly_the_plan(store, suite)


def test_workers_that_are_killed_cost_an_attempt_and_no_cell(store: MlflowClient, suite: str) -> None:
    with driver(suite) as process:
        for _ in range(2):
            wait_for(store, 1)
            random.Random(1).choice(workers(process, 2)).kill()
            time.sleep(1.5)
        out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err
    assert_exactly_the_plan(store, suite)


# On SQLite too, and behind a server: benchmarks/kills.py drivers.
@pytest.mark.parametrize("any_store", ["postgresql"], indirect=True)
def test_two_drivers_on_one_store_share_the_cells(any_store: MlflowClient, suite: str) -> None:
    with driver(suite, workers="1") as one, driver(suite, workers="1") as other:
        ends = [process.communicate(timeout=240) for process in (one, other)]
    assert (one.returncode, other.returncode) == (0, 0), ends
    assert_exactly_the_plan(any_store, suite)
    assert len([run for run in all_runs(any_store) if "fingerprint" not in run.data.tags]) == 1, "one parent"


def test_a_database_locked_for_half_a_minute_costs_no_cell(store: MlflowClient, suite: str, outside: Path) -> None:
    with driver(suite) as process:
        wait_for(store, 2, "FINISHED")
        with closing(sqlite3.connect(outside / "mlflow.db", timeout=30)) as other:
            other.execute("BEGIN IMMEDIATE")
            time.sleep(30)
            other.rollback()
        out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err
    assert_exactly_the_plan(store, suite)


def test_a_postgresql_that_is_restarted_in_the_middle_costs_no_cell(
    postgres: Server, outside: Path, suite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = postgres.fresh_database()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with driver(suite) as process:
        store = MlflowClient(uri)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not any(run.info.status == "FINISHED" for run in all_runs(store)):
            time.sleep(0.3)
        postgres.stop("immediate")
        time.sleep(3)
        postgres.start()
        out, err = process.communicate(timeout=240)
    # What MLflow writes by itself (the logged model) can fail in these seconds; the same command repeats such a cell.
    if process.returncode != 0:
        assert "Could not write the model" in out, out + err
        assert drive(suite).returncode == 0
    assert_exactly_the_plan(store, suite)


def test_a_worker_of_dask_that_is_killed_costs_an_attempt_and_no_cell(store: MlflowClient, suite: str) -> None:
    with driver(suite, executor="dask") as process:
        wait_for(store, 1)
        worker_of_dask = workers(process, 2)[0].parents()[1]
        assert worker_of_dask.pid != process.pid
        worker_of_dask.kill()
        out, err = process.communicate(timeout=240)
    assert process.returncode == 0, out + err
    assert_exactly_the_plan(store, suite)


def test_an_unreachable_scheduler_is_refused_and_nothing_is_left(
    store: MlflowClient, suite: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dask, "CONNECT_S", 1.0)
    with pytest.raises(SystemExit) as left:
        main(command(suite, executor="dask", scheduler="tcp://127.0.0.1:9")[3:])
    assert left.value.code == 2
    err = capfd.readouterr().err
    assert err.startswith("harness: scheduler = 'tcp://127.0.0.1:9' can't be reached")
    assert len(err.strip().splitlines()) == 1
    assert all_runs(store) == []


@pytest.mark.parametrize(
    ("executor", "signals"),
    [
        ("process", [signal.SIGINT, signal.SIGINT]),  # Ctrl-C, which a terminal tells every process of its group
        ("dask", [signal.SIGHUP, signal.SIGHUP]),  # a terminal that is closed: the shell and the system each say so
    ],
    ids=["Ctrl-C", "closed"],
)
def test_a_signal_ends_it_within_ten_seconds_with_everything_recorded(
    executor: str, signals: list[signal.Signals], store: MlflowClient, outside: Path
) -> None:
    """The driver alone asks its cells to stop, whoever else was told."""
    (outside / "long.yaml").write_text(LONG)
    process = subprocess.Popen(
        command(str(outside / "long.yaml"), executor=executor),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_for(store, 2)
        time.sleep(1)
        asked = time.monotonic()
        for number in signals:
            os.killpg(process.pid, number)
            time.sleep(0.2)
        out, err = process.communicate(timeout=30)
        took = time.monotonic() - asked
    finally:
        process.kill()
        process.communicate(timeout=30)
    assert took < 10
    assert process.returncode == 1, out + err
    assert f"Stopped by {signals[0].name}; the same command goes on from here" in out
    assert "Traceback" not in err
    assert {run.info.status for run in all_runs(store)} == {"KILLED"}
    assert {run.data.tags["outcome"] for run in cells_of(store)} == {"interrupted"}
    # On a machine that is busy with other things a driver may have to close one in its stead.
    closed = f"Stopped by {signals[0].name}; it did not stop by itself in time."
    by_themselves = [run for run in cells_of(store) if run.data.tags["outcome.reason"] != closed]
    assert by_themselves
    for run in by_themselves:
        assert "Stopped by SIGTERM after epoch" in run.data.tags["outcome.reason"], "its driver's"
        assert "history.parquet" in [file.path for file in store.list_artifacts(run.info.run_id)], "what it had is kept"


@pytest.fixture
def small_disk(outside: Path) -> Iterator[Path]:
    """A file system of a few megabytes; making one takes root."""
    folder = outside / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode != 0:
        pytest.skip("needs the right to mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_ends_it_with_one_sentence_and_the_same_command_goes_on_when_there_is_room(
    small_disk: Path, suite: str, empty_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(small_disk)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{small_disk}/mlflow.db")
    full = drive(suite)
    assert full.returncode == 1, full.stdout + full.stderr
    assert "Traceback" not in full.stderr
    with suppress(OSError), (small_disk / "rest").open("wb", buffering=0) as rest:
        while rest.write(b"0" * 2**12):
            pass
    for arguments in (["run", "--model", "mlp", "--problem", "poisson_1d_sin", "--epochs", "2"], ["report"]):
        refused = harness(*arguments)
        assert refused.returncode in (1, 2), refused.stdout + refused.stderr
        assert refused.stderr.startswith("harness: ")
        assert len(refused.stderr.strip().splitlines()) == 1, refused.stderr
    (small_disk / "rest").unlink()
    subprocess.run(["mount", "-o", "remount,size=300m", str(small_disk)], check=True)
    goes_on(suite)
    assert_exactly_the_plan(MlflowClient(f"sqlite:///{small_disk}/mlflow.db"), suite)
