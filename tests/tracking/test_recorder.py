"""The recorder writes what comes in, when it should, to the run that it should; and a run never stays open."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from mlflow import MlflowClient

import harness.tracking.recorder as module
from harness import problems
from harness.config import RunConfig
from harness.errors import BadInput
from harness.outcome import Additions, Ending, Outcome
from harness.tracking.recorder import Recorder
from harness.training import BaseStarted, Diverged, Epoch, NonFinite, Pruned, StageStarted
from tests.support import all_runs, only_run, parts, python, small

DONE = Ending(Outcome.COMPLETED, "All done.")


def recorder(config: RunConfig | None = None, tags: dict[str, str] | None = None) -> Recorder:
    config = config or small("siren", epochs=5)
    model, data = parts(config)
    return Recorder(config, problems.get(config.problem), data, model.state_dict(), tags)


def epoch(number: int, mse: float = 1.0, stage: int = 0, **fields: Any) -> Epoch:
    state = parts(small("siren"))[0].state_dict()
    return Epoch(number, stage, mse, mse, mse, 0.5, 1e-3, 0.1 * number, number, state, **fields)


def nan(number: int, value: float = math.nan) -> NonFinite:
    return NonFinite(number, "train", number, "gradient", value, 1e-3, math.nan, 1.0)


def curve(client: MlflowClient, name: str = "train/mse") -> list[tuple[int, float]]:
    return sorted((m.step, m.value) for m in client.get_metric_history(only_run(client).info.run_id, name))


def test_the_error_of_an_epoch_is_logged_as_a_logarithm_with_a_floor(store: MlflowClient) -> None:
    with recorder() as recording:
        recording.record(StageStarted(0, "train"))
        for number, mse in enumerate((97.4, 9.74, 0.0), start=1):
            recording.record(epoch(number, mse))
        recording.conclude(DONE)
    found = [value for _, value in curve(store, "test/log10_nmse")]
    assert found == pytest.approx([0.0, -1.0, -20.0], abs=0.02)
    assert "test/log10_nmse" not in recording.history


def test_a_run_that_mlflow_started_is_resumed_and_no_other_is_made(
    store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = store.create_run(store.create_experiment("theirs"), run_name="a name of MLflow's")
    store.log_param(given.info.run_id, "lr", "'0.0010'")
    monkeypatch.setenv("MLFLOW_RUN_ID", given.info.run_id)
    with recorder() as recording:
        assert recording.run_id == given.info.run_id
        recording.conclude(DONE)
    run = only_run(store)
    assert run.info.run_id == given.info.run_id
    assert run.info.run_name == "siren-poisson_2d_sin-tuned-epochs5-n_train40-n_val20-n_test30-width8-depth2-s0"
    assert run.info.status == "FINISHED"
    assert run.data.params["lr"] == "'0.0010'"
    assert run.data.params["cfg/epochs"] == "5"
    assert run.info.experiment_id == given.info.experiment_id


def test_a_finished_run_of_that_id_stays_as_it_is(store: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    with recorder() as recording:
        recording.conclude(DONE)
    before = only_run(store).to_dictionary()
    monkeypatch.setenv("MLFLOW_RUN_ID", recording.run_id)
    with pytest.raises(BadInput, match="it is FINISHED"):
        recorder()
    assert only_run(store).to_dictionary() == before


def test_an_empty_run_id_is_none(store: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "")
    with recorder() as recording:
        recording.conclude(DONE)
    assert only_run(store).info.status == "FINISHED"


def test_a_run_id_that_is_not_there_is_bad_input(store: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "0" * 32)
    with pytest.raises(BadInput, match="MLFLOW_RUN_ID"):
        recorder()
    assert all_runs(store) == []


def test_the_caller_s_experiment_is_used(store: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    with recorder() as recording:
        recording.conclude(DONE)
    assert store.get_experiment(only_run(store).info.experiment_id).name == "mine"


def test_a_run_left_by_an_exception_is_an_error_with_its_traceback(store: MlflowClient, tmp_path: Path) -> None:
    def accident() -> None:
        with recorder() as recording:
            recording.record(StageStarted(0, "train"))
            recording.record(epoch(1))
            raise ValueError("by accident")

    with pytest.raises(ValueError, match="by accident"):
        accident()
    run = only_run(store)
    assert (run.data.tags["outcome"], run.info.status) == ("error", "FAILED")
    assert run.data.tags["error.message"] == "by accident"
    assert curve(store) == [(1, 1.0)]
    path = store.download_artifacts(run.info.run_id, "error/traceback.txt", str(tmp_path))
    assert "ValueError: by accident" in Path(path).read_text()


def test_a_run_left_by_ctrl_c_is_interrupted(store: MlflowClient) -> None:
    with pytest.raises(KeyboardInterrupt), recorder():
        raise KeyboardInterrupt
    run = only_run(store)
    assert (run.data.tags["outcome"], run.info.status) == ("interrupted", "KILLED")


def test_a_run_left_without_a_conclusion_is_an_error(store: MlflowClient) -> None:
    with recorder():
        pass
    assert only_run(store).data.tags["outcome.reason"] == "The run was left without a conclusion."
    assert only_run(store).info.status == "FAILED"


def test_a_run_that_can_not_be_opened_completely_does_not_stay_open(
    store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(module, "write_datasets", broken)
    with pytest.raises(OSError, match="no space left"):
        recorder()
    run = only_run(store)
    assert run.info.status == "FAILED"
    assert run.data.tags["outcome"] == "error"
    assert "no space left" in run.data.tags["outcome.reason"]


def test_metrics_are_buffered_and_flushed_after_ten_seconds_and_at_the_end(
    store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("harness.tracking.recorder.time.monotonic", lambda: now[0])
    with recorder() as recording:
        recording.record(StageStarted(0, "train"))
        recording.record(epoch(1))
        assert curve(store) == []
        now[0] += module.FLUSH_S + 1
        recording.record(epoch(2))
        assert [step for step, _ in curve(store)] == [1, 2]
        recording.record(epoch(3))
        assert [step for step, _ in curve(store)] == [1, 2]
        recording.conclude(DONE)
    assert [step for step, _ in curve(store)] == [1, 2, 3]


def test_more_metrics_than_mlflow_takes_at_once_are_written_in_batches(store: MlflowClient) -> None:
    config = small("siren", epochs=400)
    with recorder(config) as recording:
        recording.record(StageStarted(0, "train"))
        state = epoch(1).state
        for number in range(1, 401):
            recording.record(Epoch(number, 0, float(number), 1.0, 1.0, 0.5, 1e-3, 0.1, number, state))
        recording.conclude(DONE)
    assert curve(store) == [(number, float(number)) for number in range(1, 401)]


def test_a_nan_is_in_the_curve_once_and_an_infinity_is_counted_but_never_written_as_one(
    store: MlflowClient, tmp_path: Path
) -> None:
    with recorder() as recording:
        recording.record(StageStarted(0, "train"))
        recording.record(epoch(1))
        recording.record(nan(2, math.inf))
        recording.record(Diverged("The gradient became inf."))
        recording.conclude(Ending(Outcome.DIVERGED, "The gradient became inf."))
    steps = curve(store)
    assert [step for step, _ in steps] == [1, 2]
    assert math.isnan(steps[1][1])
    run = only_run(store)
    assert run.data.metrics["inf/count"] == 1
    assert run.data.metrics["nan/count"] == 0
    assert run.data.metrics["nan/first_step"] == 2
    assert run.data.tags["nan.kind"] == "gradient"
    table = json.loads(Path(store.download_artifacts(run.info.run_id, "nan_events.json", str(tmp_path))).read_text())
    (row,) = (dict(zip(table["columns"], row, strict=True)) for row in table["data"])
    assert (row["step"], row["value"], row["grad_norm"]) == (2, "inf", "nan")


def test_the_history_has_a_row_for_each_planned_epoch(store: MlflowClient) -> None:
    with recorder() as recording:
        recording.record(StageStarted(0, "train"))
        for number in (1, 2):
            recording.record(epoch(number, mse=number / 10))
        history = recording.history
        recording.conclude(DONE)
    assert history["epoch"].tolist() == [1, 2, 3, 4, 5]
    assert history["train/mse"].tolist()[:2] == [0.1, 0.2]
    assert history["train/mse"].isna().tolist() == [False, False, True, True, True]
    assert history["stage"].tolist()[:2] == ["train", "train"]


def test_of_the_unpruned_twin_only_its_non_finite_numbers_are_kept(store: MlflowClient) -> None:
    with recorder() as recording:
        recording.record(StageStarted(0, "sparsify"))
        recording.record(epoch(1))
        recording.record(Pruned(100, 60, 1.0, 2.0))
        recording.record(BaseStarted())
        recording.record(StageStarted(0, "grid_5"))
        recording.record(epoch(1, mse=99.0))
        recording.record(epoch(2, mse=99.0))
        recording.record(nan(3))
        (event,) = recording.events
        recording.conclude(DONE)
    assert event.stage == "base: train"
    assert curve(store) == [(1, 1.0)]
    run = only_run(store)
    assert run.data.tags["stages"] == "sparsify"
    assert run.data.metrics["prune/reduction"] == pytest.approx(0.4)
    assert run.data.metrics["nan/count"] == 1


def test_the_first_step_that_was_not_finite_is_told_whichever_came_last(store: MlflowClient) -> None:
    with recorder() as recording:
        recording.record(StageStarted(0, "train"))
        for event in (epoch(1), epoch(2), epoch(3), nan(4), BaseStarted(), nan(2, math.inf)):
            recording.record(event)
        recording.conclude(DONE, added=Additions({"final/linf": math.nan}))
    metrics = only_run(store).data.metrics
    assert (metrics["nan/count"], metrics["inf/count"], metrics["nan/first_step"]) == (2, 1, 2)


def test_final_metrics_that_are_not_finite_are_events_and_not_written(store: MlflowClient, tmp_path: Path) -> None:
    with recorder() as recording:
        recording.record(StageStarted(0, "train"))
        recording.record(epoch(1, mse=0.25))
        recording.conclude(
            DONE, added=Additions({"final/linf": math.nan, "final/h1_rel": math.inf, "final/rel_l2": 0.5})
        )
    run = only_run(store)
    metrics = run.data.metrics
    assert metrics["final/rel_l2"] == 0.5
    assert not {"final/linf", "final/h1_rel"} & set(metrics)
    assert (metrics["nan/count"], metrics["inf/count"], metrics["nan/first_step"]) == (1, 1, 1)
    assert (run.data.tags["nan.occurred"], run.data.tags["nan.kind"]) == ("true", "final/linf")
    assert curve(store) == [(1, 0.25)], "the loss was finite"
    table = json.loads(Path(store.download_artifacts(run.info.run_id, "nan_events.json", str(tmp_path))).read_text())
    rows = [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]
    assert [(row["what"], row["value"], row["step"], row["stage"]) for row in rows] == [
        ("final/linf", "nan", 1, "train"),
        ("final/h1_rel", "inf", 1, "train"),
    ]
    assert "First non-finite number: final/linf = nan at epoch 1" in run.data.tags["mlflow.note.content"]


def test_a_model_is_found_by_its_final_metrics_and_params_which_the_run_has_once(any_store: MlflowClient) -> None:
    config = small("mlp", epochs=2)
    model, _ = parts(config)
    final = {"final/dense_nmse": 1e-4, "final/linf": math.inf, "final/h1_rel": math.nan, "model/params": 67.0}
    with recorder(config) as recording:
        assert recording.conclude(DONE, added=Additions(final), model=model).outcome is Outcome.COMPLETED
    run = only_run(any_store)
    where = "metrics.`final/dense_nmse` < 1e-3 AND params.`cfg/width` = '6'"
    (found,) = any_store.search_logged_models([run.info.experiment_id], where)
    assert (found.source_run_id, found.model_type, found.name) == (run.info.run_id, "regressor", run.info.run_name)
    assert run.inputs is not None
    assert found.metrics is not None
    (dense,) = (each for each in run.inputs.dataset_inputs if each.tags[0].value == "dense")
    assert {(metric.key, metric.value, metric.dataset_name, metric.dataset_digest) for metric in found.metrics} == {
        ("final/dense_nmse", 1e-4, "poisson_2d_sin-dense", dense.dataset.digest),
        ("model/params", 67.0, None, None),
    }
    assert curve(any_store, "final/dense_nmse") == [(0, 1e-4)]
    other = where.replace("'6'", "'7'")
    assert any_store.search_logged_models([run.info.experiment_id], other) == []


def test_the_final_metrics_are_there_where_the_model_can_not_be_written(
    store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_model", full)
    with recorder() as recording:
        ending = recording.conclude(DONE, added=Additions({"final/dense_nmse": 1e-4}), model=parts(small("siren"))[0])
    assert ending.reason == "Could not write the model: [Errno 28] No space left on device."
    run = only_run(store)
    assert curve(store, "final/dense_nmse") == [(0, 1e-4)]
    assert run.data.tags["outcome"] == "error"
    assert store.search_logged_models([run.info.experiment_id]) == []


def test_an_artifact_that_can_not_be_written_makes_an_error_and_the_rest_is_written(
    store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_history", full)
    with recorder() as recording:
        recording.record(StageStarted(0, "train"))
        recording.record(epoch(1))
        ending = recording.conclude(DONE, figures={"loss.png": lambda: Figure()})
    assert ending.outcome is Outcome.ERROR
    run = only_run(store)
    assert (run.data.tags["outcome"], run.info.status) == ("error", "FAILED")
    assert run.data.tags["error.type"] == "OSError"
    assert "Could not write history.parquet" in run.data.tags["outcome.reason"]
    assert curve(store) == [(1, 1.0)]
    assert {f.path for f in store.list_artifacts(run.info.run_id, "checkpoint")} == {
        "checkpoint/config.json",
        "checkpoint/state.safetensors",
    }
    assert {f.path for f in store.list_artifacts(run.info.run_id, "figures")} == {"figures/loss.png"}
    assert {f.path for f in store.list_artifacts(run.info.run_id, "error")} == {"error/traceback.txt"}


def test_a_fault_while_writing_does_not_hide_why_the_run_failed(
    store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_checkpoint", full)
    with recorder() as recording:
        ending = recording.conclude(Ending(Outcome.DIVERGED, "The loss became nan."))
    assert ending.outcome is Outcome.DIVERGED
    assert ending.reason.startswith("The loss became nan. Could not write the checkpoint")


def ctrl_c(*args: object) -> Figure:
    raise KeyboardInterrupt


def test_a_second_ctrl_c_while_the_results_are_written_costs_neither_the_final_metrics_nor_the_ending(
    store: MlflowClient,
) -> None:
    recording = recorder()
    recording.record(StageStarted(0, "train"))
    recording.record(epoch(1))
    with pytest.raises(KeyboardInterrupt), recording:
        recording.conclude(DONE, figures={"loss.png": ctrl_c}, added=Additions({"final/rel_l2": 0.5}, {"kept": "x"}))
    run = only_run(store)
    assert (run.data.tags["outcome"], run.info.status) == ("interrupted", "KILLED")
    assert run.data.tags["outcome.reason"] == "Left by KeyboardInterrupt while the results were written."
    assert (run.data.metrics["final/rel_l2"], run.data.tags["kept"]) == (0.5, "x")
    assert curve(store) == [(1, 1.0)]
    assert {f.path for f in store.list_artifacts(run.info.run_id, "error")} == {"error/traceback.txt"}


def test_a_second_ctrl_c_does_not_hide_why_the_run_failed(store: MlflowClient) -> None:
    with pytest.raises(KeyboardInterrupt), recorder() as recording:
        recording.conclude(Ending(Outcome.DIVERGED, "The loss became nan."), figures={"loss.png": ctrl_c})
    run = only_run(store)
    assert (run.data.tags["outcome"], run.info.status) == ("diverged", "FAILED")
    assert run.data.tags["outcome.reason"].startswith("The loss became nan. Left by KeyboardInterrupt")


def test_a_ctrl_c_while_the_model_is_written_leaves_no_half_of_one(
    store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.tracking.artifacts._save_model", ctrl_c)
    with pytest.raises(KeyboardInterrupt), recorder() as recording:
        recording.conclude(DONE, model=parts(small("siren"))[0])
    run = only_run(store)
    assert (run.data.tags["outcome"], run.info.status) == ("interrupted", "KILLED")
    assert store.search_logged_models([run.info.experiment_id]) == []


def test_a_ctrl_c_while_the_traceback_is_written_still_ends_the_run(
    store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = recorder()
    monkeypatch.setattr(recording.client, "log_text", ctrl_c)
    with pytest.raises(KeyboardInterrupt), recording:
        recording.conclude(Ending(Outcome.ERROR, "Why.", ValueError("why")), added=Additions({"final/rel_l2": 0.5}))
    run = only_run(store)
    assert (run.data.tags["outcome"], run.info.status) == ("error", "FAILED")
    assert run.data.metrics["final/rel_l2"] == 0.5


def test_a_figure_that_exits_is_an_error_and_the_rest_is_written(store: MlflowClient) -> None:
    with recorder() as recording:
        ending = recording.conclude(DONE, figures={"a.png": lambda: sys.exit(0), "b.png": lambda: Figure()})
    assert ending.reason == "Could not write figures/a.png: SystemExit: 0."
    run = only_run(store)
    assert (run.data.tags["outcome"], run.info.status) == ("error", "FAILED")
    assert {f.path for f in store.list_artifacts(run.info.run_id, "figures")} == {"figures/b.png"}


def test_a_run_whose_artifacts_need_a_client_that_is_not_there_ends_with_its_final_metrics(
    store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)  # as where it is not installed
    run_id = store.create_run(store.create_experiment("theirs", artifact_location="s3://bucket/here")).info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", run_id)
    with recorder() as recording:
        ending = recording.conclude(DONE, added=Additions({"final/rel_l2": 0.5}))
    assert "Could not write the traceback: " in ending.reason
    run = only_run(store)
    assert (run.data.tags["outcome"], run.info.status) == ("error", "FAILED")
    assert run.data.tags["error.type"] == "ModuleNotFoundError"
    assert "Could not write history.parquet: " in run.data.tags["outcome.reason"]
    assert run.data.metrics["final/rel_l2"] == 0.5


@pytest.mark.parametrize("length", [9_000])
def test_messages_longer_than_mlflow_takes_are_cut(store: MlflowClient, length: int) -> None:
    with recorder() as recording:
        recording.conclude(Ending(Outcome.ERROR, "x" * length, ValueError("y" * length)))
    tags = only_run(store).data.tags
    assert len(tags["outcome.reason"]) == len(tags["error.message"]) == 8000


def test_a_configuration_value_longer_than_mlflow_takes_does_not_break_the_run(store: MlflowClient) -> None:
    config = small("kan", grids=tuple(range(3, 2500)), epochs=1)
    with recorder(config) as recording:
        recording.conclude(DONE)
    assert only_run(store).info.status == "FINISHED"


def test_the_note_says_how_it_went(store: MlflowClient) -> None:
    with recorder() as recording:
        assert "at work" in store.get_run(recording.run_id).data.tags["mlflow.note.content"]
        recording.record(StageStarted(0, "train"))
        recording.record(nan(1))
        recording.conclude(Ending(Outcome.DIVERGED, "Why."))
    note = only_run(store).data.tags["mlflow.note.content"]
    assert "**diverged**. Why." in note
    assert "First non-finite number: gradient = nan at epoch 1" in note
    assert "2 pi^2 sin(pi x) sin(pi y)" in note


def test_the_note_does_not_call_a_huge_number_non_finite(store: MlflowClient) -> None:
    with recorder() as recording:
        recording.record(StageStarted(0, "train"))
        recording.record(nan(1, 4.55e63))
        recording.conclude(Ending(Outcome.DIVERGED, "Why."))
    note = only_run(store).data.tags["mlflow.note.content"]
    assert "Exceeds 10^6 times its start: gradient = 4.55e+63 at epoch 1" in note
    assert "non-finite" not in note


def git(*arguments: str, at: Path) -> str:
    of_nobody = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    author = ["-c", "user.name=me", "-c", "user.email=me@example.org"]
    command = ["git", *author, *arguments]
    done = subprocess.run(command, cwd=at, env=os.environ | of_nobody, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_commit_is_that_of_the_repository_that_has_the_code_and_not_of_one_around_it(tmp_path: Path) -> None:
    code, installed = tmp_path / "code.py", tmp_path / ".venv" / "lib" / "code.py"
    code.write_text("")
    git("init", "-q", at=tmp_path)
    git("add", "code.py", at=tmp_path)
    git("commit", "-q", "-m", "mine", at=tmp_path)
    head = git("rev-parse", "HEAD", at=tmp_path)
    assert module._git_tags(code) == {"mlflow.source.git.commit": head, "mlflow.source.git.dirty": "false"}
    installed.parent.mkdir(parents=True)
    installed.write_text("")
    assert module._git_tags(installed) == {}


def test_a_commit_of_where_a_script_lies_is_not_taken_for_that_of_the_code(
    store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "mlflow.tracking.context.git_context.GitRunContext._git_info", {"mlflow.source.git.commit": "of"}
    )
    monkeypatch.setattr(module, "_git_tags", dict)
    with recorder() as recording:
        recording.conclude(DONE)
    assert "mlflow.source.git.commit" not in only_run(store).data.tags


RECORDING = """
from harness.run import run
from tests.support import small
print(run(small("siren", epochs=1)).ending.outcome.value)
"""


def test_where_there_is_no_git_no_commit_is_recorded_and_nothing_is_said(store: MlflowClient, tmp_path: Path) -> None:
    assert shutil.which("git", path=str(tmp_path)) is None
    done = python(["-c", RECORDING], PATH=str(tmp_path))
    assert (done.stdout, done.stderr) == ("completed\n", "")
    tags = only_run(store).data.tags
    assert not [name for name in tags if name.startswith("mlflow.source.git")]
