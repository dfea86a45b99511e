"""Every cell of the plan is settled once, whatever its workers do; what the store has is not computed again."""

from __future__ import annotations

import io
import json
import math
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from rich.console import Console

from harness.errors import BadInput
from harness.execution.attempt import Attempted
from harness.execution.benchmark import (
    ERRORS,
    BenchmarkResult,
    BenchmarkState,
    Cell,
    Spread,
    benchmark,
    compute,
    plan,
    shortened,
)
from harness.execution.benchmark_config import BenchmarkConfig, configure
from harness.execution.driving import RETRIES
from harness.execution.estimate import duration, estimate
from harness.execution.isolation import DeadlinePassed, WorkerLost
from harness.fingerprint import fingerprint_of
from harness.outcome import Outcome
from harness.presets import digest
from harness.run import Stop, run
from harness.terminal import results, summarise_benchmark
from harness.tracking.liveness import owner_tag, this_process
from tests.support import all_runs, only_run, write_line

SUITE = """
summary: Cells that take a moment.
problems: [poisson_1d_sin]
fields: {epochs: 4, n_train: 30, n_val: 20, n_test: 20}
variants:
  - models: [kan_pruned, kan]
    fields: {width: 2, grids: [3]}
  - models: [siren]
    fields: {width: 4}
"""


@pytest.fixture
def config(tmp_path: Path) -> BenchmarkConfig:
    path = tmp_path / "quick.yaml"
    path.write_text(SUITE)
    return configure({"suite": str(path), "seeds": "1", "workers": "1", "preset": "seed"})


def settle(
    cells: dict[str, Cell], how: Callable[[Cell, int], Attempted | Exception], store: MlflowClient
) -> tuple[BenchmarkState, list[str]]:
    """Compute cells with workers of which ``how`` says what each attempt comes to; gives the order of the attempts too."""
    state, tried = BenchmarkState(cells), []

    def submit(cell: Cell) -> Future[Attempted]:
        tried.append(cell.fingerprint)
        future: Future[Attempted] = Future()
        came = how(cell, tried.count(cell.fingerprint))
        future.set_exception(came) if isinstance(came, Exception) else future.set_result(came)
        return future

    yielded = [ended.fingerprint for ended in compute(state, submit, 2, Stop(), store)]
    assert sorted(yielded) == sorted(cells), "each is yielded once"
    assert set(state.settled) == set(cells)
    return state, tried


def completed(cell: Cell) -> Attempted:
    return Attempted(cell.fingerprint, Outcome.COMPLETED, "r", dense_mse=0.5, log10_nmse=-1.0)


def test_a_pruned_kan_waits_for_its_twin(config: BenchmarkConfig, store: MlflowClient) -> None:
    cells = plan(config)
    models = {fingerprint: cell.config.model for fingerprint, cell in cells.items()}
    assert list(models.values()) == ["kan_pruned", "kan", "siren"]
    _, tried = settle(cells, lambda cell, _: completed(cell), store)
    order = [models[fingerprint] for fingerprint in tried]
    assert order.index("kan") < order.index("kan_pruned")
    pruned = next(cell for cell in cells.values() if cell.config.model == "kan_pruned")
    assert models[str(pruned.twin)] == "kan"


def test_a_cell_whose_worker_is_lost_is_tried_again_twice_and_both_attempts_stay_on_record(
    config: BenchmarkConfig, store: MlflowClient
) -> None:
    cells = plan(config)
    unlucky = next(iter(cells))

    def how(cell: Cell, attempt: int) -> Attempted | Exception:
        if cell.fingerprint == unlucky:
            store.create_run("0", tags={"fingerprint": unlucky, "driver": owner_tag()["owner"], **owner_tag()})
            return WorkerLost("The worker was killed by SIGKILL.")
        return completed(cell)

    state, tried = settle(cells, how, store)
    assert Counter(tried)[unlucky] == RETRIES + 1
    ended = state.settled[unlucky]
    assert ended.outcome is Outcome.ERROR
    assert "SIGKILL" in ended.reason
    assert [cell.fingerprint for cell, _ in state.failed()] == [unlucky]
    records = [r for r in all_runs(store) if r.data.tags["fingerprint"] == unlucky]
    assert [(r.info.status, r.data.tags["outcome"]) for r in records] == [("FAILED", "error")] * (RETRIES + 1)
    assert {r.data.tags["outcome.reason"] for r in records} == {
        f"The worker was killed by SIGKILL. (attempt {n} of 3)" for n in (1, 2, 3)
    }


def test_a_lost_worker_costs_nothing_when_the_second_attempt_succeeds(
    config: BenchmarkConfig, store: MlflowClient
) -> None:
    state, tried = settle(
        plan(config), lambda cell, attempt: completed(cell) if attempt > 1 else WorkerLost("gone"), store
    )
    assert set(Counter(tried).values()) == {2}
    assert state.failed() == []


@pytest.mark.parametrize(
    ("error", "outcome"), [(DeadlinePassed("late"), Outcome.TIMEOUT), (ValueError("wrong"), Outcome.ERROR)]
)
def test_other_faults_are_not_tried_again(
    config: BenchmarkConfig, store: MlflowClient, error: Exception, outcome: Outcome
) -> None:
    state, tried = settle(plan(config), lambda cell, _: error, store)
    assert set(Counter(tried).values()) == {1}
    assert {ended.outcome for ended in state.settled.values()} == {outcome}
    assert str(error) in next(iter(state.settled.values())).reason


def test_a_cell_that_somebody_else_is_at_work_on_is_asked_for_again_later(
    config: BenchmarkConfig, store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.execution.driving.BUSY_S", 0.05)
    monkeypatch.setattr("harness.execution.driving.POLL_S", 0.02)

    theirs = store.create_run("0", tags={"fingerprint": "f", **owner_tag()}).info.run_id

    def how(cell: Cell, attempt: int) -> Attempted:
        return Attempted(cell.fingerprint, None, theirs) if attempt < 3 else completed(cell)

    state, tried = settle(plan(config), how, store)
    assert set(Counter(tried).values()) == {3}
    assert state.busy == 0
    assert store.get_run(theirs).info.status == "RUNNING"


def test_the_run_of_a_process_elsewhere_is_closed_once_that_gives_no_sign_and_its_cell_is_computed(
    config: BenchmarkConfig, store: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"BUSY_S": 0.05, "POLL_S": 0.02}.items():
        monkeypatch.setattr(f"harness.execution.driving.{name}", value)
    monkeypatch.setattr("harness.tracking.liveness.SILENCE_S", 0.5)
    elsewhere = str(replace(this_process(), host="elsewhere"))
    theirs = store.create_run("0", tags={"fingerprint": "f", "owner": elsewhere}).info.run_id

    def how(cell: Cell, attempt: int) -> Attempted:
        over = store.get_run(theirs).info.status == "KILLED"
        return completed(cell) if over else Attempted(cell.fingerprint, None, theirs)

    settle(plan(config), how, store)
    assert "gave no sign" in store.get_run(theirs).data.tags["outcome.reason"]


def test_a_cell_whose_run_somebody_else_closed_is_tried_again(config: BenchmarkConfig, store: MlflowClient) -> None:
    def how(cell: Cell, attempt: int) -> Attempted:
        closed = Attempted(cell.fingerprint, Outcome.INTERRUPTED, "r", "Closed by somebody else while it was at work.")
        return closed if attempt == 1 else completed(cell)

    state, tried = settle(plan(config), how, store)
    assert set(Counter(tried).values()) == {2}
    assert {ended.outcome for ended in state.settled.values()} == {Outcome.COMPLETED}


def test_a_request_to_stop_ends_it_with_what_is_settled(config: BenchmarkConfig, store: MlflowClient) -> None:
    stop, state = Stop(), BenchmarkState(plan(config))

    def submit(cell: Cell) -> Future[Attempted]:
        stop.reason = "Stopped by SIGTERM"
        future: Future[Attempted] = Future()
        future.set_result(completed(cell))
        return future

    assert len(list(compute(state, submit, 1, stop, store))) == 1
    assert state.counts()["left"] == 2


def test_a_cell_that_our_stop_interrupts_is_left_and_says_what_stopped_us(
    config: BenchmarkConfig, store: MlflowClient
) -> None:
    stop, state = Stop(), BenchmarkState(plan(config))
    asked: list[tuple[Future[Attempted], Cell]] = []

    def submit(cell: Cell) -> Future[Attempted]:
        future: Future[Attempted] = Future()
        future.set_running_or_notify_cancel()
        asked.append((future, cell))
        if len(asked) == 2:
            stop.reason = "Stopped by SIGINT"
            for each, of in asked:
                threading.Timer(
                    1.0, each.set_result, [Attempted(of.fingerprint, Outcome.INTERRUPTED, "r", "Stopped by SIGTERM")]
                ).start()
        return future

    yielded = list(compute(state, submit, 2, stop, store))
    assert {(each.outcome, each.reason) for each in yielded} == {(Outcome.INTERRUPTED, "Stopped by SIGINT")}
    counts = state.counts()
    assert (counts["interrupted"], counts["left"], state.failed()) == (0, 3, [])


def test_errors_are_summed_up_for_each_problem_model_and_preset_and_a_diverged_run_counts(
    config: BenchmarkConfig,
) -> None:
    cells = plan(config.model_copy(update={"seeds": 3, "preset": ("seed", "tuned"), "models": ("siren",)}))
    state = BenchmarkState(cells)
    errors: dict[str, list[float | None]] = {"seed": [-1.0, -3.0, None], "tuned": [-5.0, -4.0, -4.5]}
    for preset, found in errors.items():
        of = [cell.fingerprint for cell in cells.values() if cell.config.preset == preset]
        for fingerprint, error in zip(of, found, strict=True):
            outcome = Outcome.DIVERGED if error is None else Outcome.COMPLETED
            state.settled[fingerprint] = Attempted(fingerprint, outcome, log10_nmse=error)
    seed = state.spreads()[0]
    assert (seed.preset, seed.median, seed.errors, seed.seeds) == ("seed", -1.0, (-3.0, -1.0, math.inf), 3)
    assert state.table() == [
        ["problem", "siren"],
        ["poisson_1d_sin, seed", "-1.0 (-3.0 to none, 3 seeds)"],
        ["poisson_1d_sin, tuned", "-4.5 (-5.0 to -4.0, 3 seeds)"],
    ]
    out = io.StringIO()
    result = BenchmarkResult("smoke-1", "p", state, None, "http://h/", None)
    summarise_benchmark(result, Console(file=out, width=50, color_system=None))
    heads, problem, first, second, *rest = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    assert heads == "log10 NMSE median least largest seeds"
    assert (problem, first) == ("poisson_1d_sin", "siren, seed -1.0 -3.0 none 3")
    assert second == "siren, tuned -4.5 -5.0 -4.0 3"
    assert "next harness report --benchmark smoke-1" in rest
    assert state.legend() == ERRORS
    state.settled[next(iter(state.settled))] = Attempted("f", Outcome.ERROR)
    assert len(state.spreads()[0].errors) == 2, "what failed for another reason has no result"


def test_of_very_many_results_the_end_shows_medians_over_the_problems() -> None:
    spreads = [
        Spread(f"p{number}", "kan", "tuned", (-3.0 - number, -2.0 - number, -1.0 - number), 3) for number in range(61)
    ]
    out = io.StringIO()
    Console(file=out, width=50, color_system=None).print(results(spreads))
    assert [" ".join(line.split()) for line in out.getvalue().splitlines()] == [
        "log10 NMSE median least largest problems",
        "61 problems",
        "kan -32.0 -62.0 -2.0 61",
    ]


def test_an_error_of_a_shape_that_knows_the_target_has_a_dagger_and_its_legend(config: BenchmarkConfig) -> None:
    state = BenchmarkState(plan(config.model_copy(update={"preset": ("lm",), "models": ("siren",)})))
    for fingerprint in state.cells:
        state.settled[fingerprint] = Attempted(fingerprint, Outcome.COMPLETED, log10_nmse=-5.0)
    assert state.table()[1] == ["poisson_1d_sin", "-5.0† (1 seed)"]
    assert "knowledge of the target" in state.legend()
    out = io.StringIO()
    result = BenchmarkResult("smoke-1", "p", state, None, "http://h/", None)
    summarise_benchmark(result, Console(file=out, width=80, color_system=None))
    assert "  siren†" in out.getvalue()
    assert "knowledge of the target" in out.getvalue()


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(89.0, "89 s"), (90.0, "2 min"), (89 * 60, "89 min"), (90 * 60, "1 h 30 min"), (7 * 3600 + 28 * 60, "7 h 28 min")],
)
def test_a_time_is_said_as_people_say_it(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def test_a_benchmark_is_a_parent_with_plan_and_summary_and_its_cells_are_children_computed_once(
    config: BenchmarkConfig, store: MlflowClient, tmp_path: Path
) -> None:
    result = benchmark(config)
    assert result.stopped is None
    assert result.state.counts() == {
        "completed": 3,
        "diverged": 0,
        "timeout": 0,
        "interrupted": 0,
        "error": 0,
        "left": 0,
    }
    parent = store.get_run(result.parent)
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["benchmark"] == result.benchmark
    assert parent.data.tags["preset.digest.seed"] == digest("seed")
    assert parent.data.metrics["outcome/completed"] == 3
    errors = {name: value for name, value in parent.data.metrics.items() if name.startswith("log10_nmse/")}
    assert errors == {f"log10_nmse/poisson_1d_sin/{each.model}-seed": each.median for each in result.state.spreads()}
    about = store.get_experiment(parent.info.experiment_id).tags["mlflow.note.content"]
    assert "Benchmarks of the suite quick: " in about
    assert "| poisson_1d_sin |" in parent.data.tags["mlflow.note.content"]
    children = [r for r in all_runs(store) if r.data.tags.get("mlflow.parentRunId") == result.parent]
    assert {r.data.tags["fingerprint"] for r in children} == set(result.state.cells)
    assert {(r.data.tags["benchmark"], r.data.tags["suite"]) for r in children} == {(result.benchmark, "quick")}
    assert {r.info.experiment_id for r in children} == {parent.info.experiment_id}, "or the UI would not nest them"
    shown = store.download_artifacts(result.parent, "plan.json", str(tmp_path))
    table = json.loads(Path(shown).read_text())
    assert [row[table["columns"].index("fingerprint")] for row in table["data"]] == list(result.state.cells)
    summary = json.loads(Path(store.download_artifacts(result.parent, "summary.json", str(tmp_path))).read_text())
    heads = ["problem", "model", "preset", "median", "min", "max", "seeds", "knows_target", "runs", "reached"]
    assert summary["columns"] == heads
    assert [row[:3] for row in summary["data"]] == [
        ["poisson_1d_sin", cell.config.model, "seed"] for cell in result.state.cells.values()
    ]
    by_model = {r.data.params["cfg/model"]: r for r in children}
    pruned, kan = by_model["kan_pruned"], by_model["kan"]
    assert pruned.data.tags["twin_run"] == kan.info.run_id
    assert pruned.data.metrics["prune/base_dense_mse"] == kan.data.metrics["final/dense_mse"]

    again = benchmark(config)
    assert again.parent == result.parent
    assert again.state.computed == 0
    assert len(all_runs(store)) == 4
    assert store.get_run(result.parent).info.status == "FINISHED"
    assert "Nothing to compute" in estimate(plan(config), config).sentence()

    forced = benchmark(config.model_copy(update={"force": True, "models": ("siren",)}))
    assert forced.state.computed == 1


def test_a_benchmark_learns_the_rows_of_a_file_once_and_anew_when_they_change(
    store: MlflowClient, tmp_path: Path
) -> None:
    data = tmp_path / "data" / "plane.csv"
    path = tmp_path / "rows.yaml"
    path.write_text(SUITE.partition("variants:")[0] + "variants: [{models: [siren], fields: {width: 4}}]\n")
    given = {"suite": str(path), "seeds": "1", "workers": "1", "data": write_line(data), "outputs": "y"}
    result = benchmark(configure(given))
    assert result.state.counts()["completed"] == 1
    assert [str(cell) for cell in result.state.cells.values()] == ["siren on plane, tuned, seed 0"]
    parent = store.get_run(result.parent)
    assert [name for name in parent.data.metrics if "plane" in name] == ["log10_nmse/plane/siren-tuned"]
    assert str(data.parent) not in str([run.data for run in all_runs(store)])

    assert benchmark(configure(given)).state.computed == 0
    write_line(data, seed=1)
    assert not {*plan(configure(given))} & {*result.state.cells}


def test_a_fault_in_the_middle_closes_the_benchmark_s_run(config: BenchmarkConfig, store: MlflowClient) -> None:
    with pytest.raises(ZeroDivisionError):
        benchmark(config, lambda state, ended: 1 / 0)  # type: ignore[arg-type]  # it is to be wrong
    run = only_run(store)
    assert (run.info.status, run.data.tags["outcome"]) == ("FAILED", "error")
    assert "ZeroDivisionError" in run.data.tags["outcome.reason"]


def test_a_twin_trained_in_a_benchmark_is_the_one_that_the_run_would_have_trained(
    config: BenchmarkConfig, store: MlflowClient
) -> None:
    pruned = next(cell for cell in plan(config).values() if cell.config.model == "kan_pruned")
    alone = run(pruned.config)
    twin = pruned.config.twin()
    assert twin is not None
    assert fingerprint_of(twin) == pruned.twin
    assert alone.metrics["prune/base_dense_mse"] == run(twin).metrics["final/dense_mse"]


@pytest.mark.parametrize("named", [("mlp",), ("kan", "mlp")])
def test_a_family_that_a_suite_leaves_nothing_for_is_refused(config: BenchmarkConfig, named: tuple[str, ...]) -> None:
    with pytest.raises(BadInput, match="models = 'mlp' leaves nothing"):
        plan(config.model_copy(update={"models": named}))


def test_an_estimate_makes_no_store_and_says_what_it_does_not_know(config: BenchmarkConfig, outside: Path) -> None:
    sentence = estimate(plan(config), config).sentence()
    assert "not known" in sentence
    assert not (outside / "mlflow.db").exists()


def test_a_note_has_as_many_rows_as_fit_and_says_where_the_others_are() -> None:
    rows = [f"| {number:08} |" for number in range(100)]
    assert shortened(rows, 10_000) == rows
    found = shortened(rows, 130)
    assert found == [*rows[:10], "", "90 more rows are in the artifact `summary.json`."]
    assert shortened(rows, -5) == ["", "100 more rows are in the artifact `summary.json`."]
