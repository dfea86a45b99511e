"""What a run leaves behind when the machine, not the user, is at fault. Real signals, real limits, real processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.contract import shortfalls
from tests.support import as_options, environment, only_run, python, small
from tests.test_cli import Captured, call

LONG = small("siren", epochs=20_000)
"""Takes about half a minute and says something every two or three seconds."""


@contextmanager
def at_work() -> Iterator[subprocess.Popen[str]]:
    """A long run in a process of its own, from its first line of progress on."""
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "run", *as_options(LONG.values())],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("epoch "), line + process.communicate(timeout=20)[1]
        yield process
    finally:
        process.kill()
        process.communicate(timeout=20)


@pytest.mark.parametrize("number", [signal.SIGTERM])  # what is heard, and how: tests/test_run.py
def test_a_signal_in_the_middle_ends_the_run_as_interrupted_with_everything_written(
    number: signal.Signals, store: MlflowClient, tmp_path: Path
) -> None:
    with at_work() as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "interrupted" in out
    assert "Traceback" not in err
    run = only_run(store)
    assert (run.data.tags["outcome"], run.info.status) == ("interrupted", "KILLED")
    assert number.name in run.data.tags["outcome.reason"]
    assert shortfalls(store, run.info.run_id, LONG, tmp_path / "out") == []
    assert len(store.get_metric_history(run.info.run_id, "train/mse")) >= LONG.epochs // 10


def test_a_killed_process_leaves_a_run_that_doctor_finds_and_fix_closes(store: MlflowClient, capsys: Captured) -> None:
    with at_work() as process:
        run = only_run(store)
        assert run.info.status == "RUNNING"
        assert call("doctor") == 0, "it is at work"
        process.kill()
        process.communicate(timeout=20)
    assert only_run(store).info.status == "RUNNING"
    capsys.readouterr()
    assert call("doctor") == 1
    assert run.info.run_id in capsys.readouterr().out
    assert call("doctor", "--fix") == 0
    closed = only_run(store)
    assert (closed.data.tags["outcome"], closed.info.status) == ("interrupted", "KILLED")
    assert call("doctor") == 0


def test_a_run_whose_output_nobody_reads_any_more_is_completed(store: MlflowClient) -> None:
    """As ``harness run ... | head -1`` does it, with standard error in the same pipe."""
    config = small("siren", epochs=300)
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "run", *as_options(config.values())],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().startswith("epoch 30/300"), "the first of ten lines"
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    run = only_run(store)
    assert (run.data.tags["outcome"], run.info.status) == ("completed", "FINISHED")


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (8_000_000, 8_000_000))
from harness.cli import main
main(sys.argv[1:])
"""


def test_an_artifact_that_the_system_refuses_to_write_leaves_the_metrics_and_an_error(
    store: MlflowClient, tmp_path: Path
) -> None:
    config = small("siren", epochs=2, width=800, depth=3)  # 10 MB of weights; no file may grow beyond 8
    done = python(["-c", LIMITED, "run", *as_options(config.values())])
    assert done.returncode == 1, done.stderr
    run = only_run(store)
    assert (run.data.tags["outcome"], run.info.status) == ("error", "FAILED")
    assert "Could not write the checkpoint" in run.data.tags["outcome.reason"]
    assert run.data.tags["outcome.reason"].splitlines()[0] in done.stdout
    assert "error.type" in run.data.tags
    assert [m.step for m in store.get_metric_history(run.info.run_id, "train/mse")] == [1, 2]
    assert "final/dense_mse" in run.data.metrics
    found = shortfalls(store, run.info.run_id, config, tmp_path / "out")
    assert found == ["checkpoint/config.json is missing", "checkpoint/state.safetensors is missing"]
    assert "File too large" in (tmp_path / "out" / "error" / "traceback.txt").read_text()
