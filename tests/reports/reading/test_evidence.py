"""The evidence is the latest result of each planned cell, whoever computed it, and nothing of other rules."""

from __future__ import annotations

import math
import time
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric

from harness.errors import BadInput
from harness.fingerprint import COMPARABILITY, fingerprint_of
from harness.presets import resolve
from harness.run import run
from reports.reading.cells import Cell
from reports.reading.evidence import Selection, gather
from reports.reading.store import fill, heads
from tests.reports.conftest import BENCHMARK, MISSING, PLANNED, plan_and_run
from tests.support import served, small

EVERYTHING = Selection()


def cells_by_fingerprint(client: MlflowClient, selection: Selection = EVERYTHING) -> dict[str, Cell]:
    return {cell.fingerprint: cell for cell in gather(client, selection).cells}


def test_an_empty_store_has_no_cells_and_is_no_error(store: MlflowClient) -> None:
    evidence = gather(store, Selection())
    assert (evidence.cells, evidence.presets, evidence.planned, evidence.parent) == ((), [], False, None)
    assert evidence.frame().empty


@pytest.mark.parametrize(
    ("selection", "sentence"),
    [
        (Selection(tag=("suite", "tinny")), r"tag = 'suite=tinny' is on no run of the store; did you mean 'tiny'\?"),
        (Selection(tag=("owner", "alice")), r"tag = 'owner=alice' is on no run of the store; allowed: "),
        (Selection(tag=("team", "red")), r"tag = 'team=red' is on no run of the store; no run has a tag team\."),
        (Selection(experiment="Default"), r"experiment = 'Default'"),
        (Selection(benchmark="tiny-1"), r"benchmark = 'tiny-1' is not in the store; did you mean 'tiny-00000001'\?"),
        (Selection(presets=("tunde",)), r"preset = 'tunde' is not among these runs; did you mean 'tuned'\?"),
    ],
    ids=str,
)
def test_a_selection_that_no_run_is_of_is_refused_with_what_there_is(
    filled: MlflowClient, selection: Selection, sentence: str
) -> None:
    with pytest.raises(BadInput, match=sentence):
        gather(filled, selection)


def test_without_a_selection_it_is_the_latest_benchmark_and_each_planned_cell_is_there_once(
    filled: MlflowClient,
) -> None:
    evidence = gather(filled, Selection())
    assert evidence.selection.benchmark == BENCHMARK
    assert evidence.planned
    assert {cell.fingerprint for cell in evidence.cells} == {fingerprint_of(each) for each in [*PLANNED, MISSING]}
    assert [(cell.model, cell.problem) for cell in evidence.unsettled] == [("mlp", "poisson_1d_poly")]
    assert evidence.presets == ["tuned", "lm"]


def test_a_benchmark_that_is_gone_on_with_is_later_than_one_begun_in_between(filled: MlflowClient) -> None:
    other = plan_and_run(filled, "tiny-00000002", [MISSING], [])
    assert gather(filled, EVERYTHING).parent == other
    parent = gather(filled, Selection(BENCHMARK)).parent
    assert parent
    cell = filled.create_run(
        filled.get_run(parent).info.experiment_id,
        start_time=int(time.time() * 1000) + 1000,
        tags={"benchmark": BENCHMARK, "mlflow.parentRunId": parent},
    )
    assert gather(filled, EVERYTHING).parent == parent, "a cell is at work"
    filled.delete_run(cell.info.run_id)
    assert gather(filled, EVERYTHING).parent == other
    filled.set_terminated(parent, end_time=int(time.time() * 1000) + 1000)
    assert gather(filled, EVERYTHING).parent == parent


def test_numbers_are_those_that_mlflow_gives(filled: MlflowClient) -> None:
    for cell in gather(filled, Selection()).cells:
        if cell.run is None:
            continue
        data = filled.get_run(cell.run.run_id).data
        assert cell.run.metrics == pytest.approx({n: data.metrics[n] for n in cell.run.metrics}, nan_ok=True, rel=0)
        assert all(data.params[name] == value for name, value in cell.run.params.items())
        assert all(data.tags[name] == value for name, value in cell.run.tags.items())


def test_a_tracking_server_gives_the_same_evidence(filled: MlflowClient, outside: Path) -> None:
    here = gather(filled, Selection(presets=("tuned",)))
    with served(["server", "--backend-store-uri", filled.tracking_uri, "--workers", "1"], outside) as address:
        there = gather(MlflowClient(address), Selection(presets=("tuned",)))
    pd.testing.assert_frame_equal(there.frame(), here.frame())


def test_a_run_of_another_benchmark_speaks_for_the_cell_and_the_latest_result_counts(filled: MlflowClient) -> None:
    config = PLANNED[0]
    before = cells_by_fingerprint(filled)[fingerprint_of(config)]
    again = run(config).run_id
    after = cells_by_fingerprint(filled)[fingerprint_of(config)]
    assert before.run is not None
    assert after.run is not None
    assert before.run.run_id != again == after.run.run_id


def test_an_error_after_a_result_does_not_replace_it_but_a_run_left_open_is_said(filled: MlflowClient) -> None:
    (cell, *_) = gather(filled, Selection()).cells
    assert cell.run is not None
    for outcome, status in (("error", "FAILED"), ("", "RUNNING")):
        later = filled.create_run(cell.run.experiment_id, start_time=int(time.time() * 1000) + 10_000)
        for key, value in {**cell.run.tags, "outcome": outcome}.items():
            filled.set_tag(later.info.run_id, key, value)
        filled.update_run(later.info.run_id, status=status)
    now = cells_by_fingerprint(filled)[cell.fingerprint]
    assert now.run is not None
    assert now.run.run_id == cell.run.run_id
    assert now.running
    assert now in gather(filled, Selection()).unsettled


def test_nan_and_missing_are_kept_apart(filled: MlflowClient) -> None:
    (cell, *_) = gather(filled, Selection()).cells
    assert cell.run is not None
    filled.log_batch(cell.run.run_id, metrics=[Metric("final/linf", math.nan, int(time.time() * 1000) + 9, 1)])
    now = cells_by_fingerprint(filled)[cell.fingerprint]
    assert now.metric("final/linf") is not None
    assert math.isnan(now.metric("final/linf") or 0.0)
    assert now.metric("prune/reduction") is None
    frame = gather(filled, Selection()).frame()
    row = frame[frame["fingerprint"] == cell.fingerprint]
    assert list(row["nan_metrics"]) == ["final/linf"]
    assert row["prune/reduction"].isna().all()


def test_an_infinity_is_one_again(filled: MlflowClient) -> None:
    (cell, *_) = gather(filled, Selection()).cells
    assert cell.run is not None
    filled.log_metric(cell.run.run_id, "final/linf", math.inf, timestamp=int(time.time() * 1000) + 9, step=1)
    assert cells_by_fingerprint(filled)[cell.fingerprint].metric("final/linf") == math.inf


def test_an_error_is_infinite_where_none_was_reached_and_absent_where_no_run_has_ended(filled: MlflowClient) -> None:
    evidence = gather(filled, Selection())
    assert {cell.error() for cell in evidence.cells if cell.outcome == "diverged"} == {math.inf}
    assert {cell.error() for cell in evidence.cells if cell.outcome == "missing"} == {None}


@pytest.mark.parametrize("outcome", ["interrupted", "error", "timeout", ""])
def test_a_run_that_ended_without_a_result_has_no_error_and_its_cell_is_told(
    filled: MlflowClient, outcome: str
) -> None:
    (cell, *_) = gather(filled, Selection()).cells
    assert cell.run is not None
    filled.set_tag(cell.run.run_id, "outcome", outcome)
    evidence = gather(filled, Selection())
    assert [each.fingerprint for each in evidence.failed] == [cell.fingerprint]
    assert evidence.failed[0].error() is None
    assert evidence.failed[0].validation_error() is None
    assert evidence.partial.endswith(f"1 of 11 cells have ended without a result (1 {outcome})")


def test_that_a_clock_has_stopped_a_run_is_read_from_the_store(filled: MlflowClient) -> None:
    (cell, *_) = gather(filled, Selection()).cells
    assert cell.run is not None
    filled.set_tag(cell.run.run_id, "search.cut_short", "the seconds were over")
    frame = gather(filled, Selection()).frame()
    assert list(frame[frame["cut_short"]]["fingerprint"]) == [cell.fingerprint]


def test_runs_of_other_rules_are_left_out_and_counted(filled: MlflowClient) -> None:
    (first, *_) = gather(filled, Selection()).cells
    assert first.run is not None
    filled.set_tag(first.run.run_id, "comparability", "0")
    evidence = gather(filled, Selection())
    assert (evidence.comparability, dict(evidence.left_out)) == (COMPARABILITY, {"0": 1})
    assert {cell.fingerprint: cell for cell in evidence.cells}[first.fingerprint].run is None


def test_experiment_tag_and_preset_select(filled: MlflowClient) -> None:
    alone = gather(filled, Selection(experiment="section1_3"))
    assert [(cell.model, cell.seed) for cell in alone.cells] == [("siren", 9)]
    assert not alone.planned
    tagged = gather(filled, Selection(tag=("nan.occurred", "true")))
    assert [cell.outcome for cell in tagged.cells] == ["diverged"]
    assert {cell.preset for cell in gather(filled, Selection(presets=("lm",))).cells} == {"lm"}


def test_several_benchmarks_are_one_report_with_the_cells_of_all_their_plans(filled: MlflowClient) -> None:
    more = small("siren", epochs=4, seed=10)
    plan_and_run(filled, "tiny-00000002", [PLANNED[0], more], [])
    evidence = gather(filled, Selection(benchmark=f"{BENCHMARK}, tiny-00000002"))
    assert {cell.fingerprint for cell in evidence.cells} == {fingerprint_of(each) for each in [*PLANNED, MISSING, more]}
    assert (evidence.planned, evidence.parent) == (True, None)
    with pytest.raises(BadInput, match="benchmark = 'tiny-3' is not in the store"):
        gather(filled, Selection(benchmark=f"{BENCHMARK},tiny-3"))


@pytest.mark.parametrize(
    ("selection", "sentence"),
    [
        (
            Selection(benchmark="tiny-00000002"),
            "benchmark = 'tiny-00000002' is not in the store; did you mean 'tiny-00000001'?",
        ),
        (Selection(experiment="section1_4"), "experiment = 'section1_4' is not in the store; did you mean"),
        (Selection(presets=("tune",)), "preset = 'tune' is not among these runs; did you mean 'tuned'?"),
    ],
)
def test_what_is_not_there_is_refused_with_what_comes_nearest(
    filled: MlflowClient, selection: Selection, sentence: str
) -> None:
    with pytest.raises(BadInput) as refused:
        gather(filled, selection)
    assert str(refused.value).startswith(sentence)


def test_variants_of_a_model_are_told_apart_by_what_differs(filled: MlflowClient) -> None:
    evidence = gather(filled, Selection(presets=("tuned",)))
    variants = {cell.variant for cell in evidence.cells if cell.model == "siren"}
    of_preset = resolve({"model": "siren", "preset": "tuned", "problem": "poisson_2d_sin"}).values()["lr"]
    assert variants == {f"lr={of_preset}", "lr=1000000.0"}
    assert {cell.variant for cell in evidence.cells if cell.model == "kan"} == {""}


def test_a_large_selection_is_read_whole(filled: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.tracking.queries.AT_ONCE", 3)
    runs = heads(filled)
    fill(filled, runs)
    with_parameters = [run for run in runs if run.params]
    assert len(with_parameters) == len(PLANNED) + 1
    assert small("mlp", epochs=3).model in {run.field("model") for run in with_parameters}
