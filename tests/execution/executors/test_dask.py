"""What a user says of the jobs of a batch system is looked at before a cluster is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.errors import BadInput
from harness.execution.benchmark import plan
from harness.execution.benchmark_config import configure
from harness.execution.executors import executor


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("", "its content"),
        ("queue", "its content"),
        ("[1, 2]", "its content"),
        ("jobqueue: slurm", "jobqueue"),
        ("jobqueue: {pbs: [queue]}", "pbs"),
    ],
)
def test_settings_of_another_form_are_refused_in_one_sentence(content: str, place: str, outside: Path) -> None:
    Path("jobs.yaml").write_text(content)
    given = {"executor": "dask", "cluster": "pbs", "workers": "2", "cluster_config": "jobs.yaml"}
    sentence = f"cluster_config = 'jobs.yaml' can't be used: {place} should be a mapping"
    with pytest.raises(BadInput, match=sentence), executor(configure(given).where):
        pass


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"workers": "1000"}, r"workers = 1000 with threads = 1 is more than the \d+ cores of this machine"),
        ({"threads": "1000"}, r"threads = 1000 is more than the \d+ cores of this machine"),
    ],
)
def test_a_cluster_on_this_machine_is_no_larger_than_it(given: dict[str, str], sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        configure({"executor": "dask", **given})
    elsewhere: tuple[dict[str, str], ...] = ({"scheduler": "tcp://node:8786"}, {"cluster": "pbs", "workers": "1000"})
    for where in elsewhere:
        configure({"executor": "dask", **where, **given})


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_cell_that_this_machine_can_not_compute_is_refused_when_it_is_planned_for_a_cluster_on_it() -> None:
    given = {"suite": "smoke", "executor": "dask", "device": "cuda"}
    with pytest.raises(BadInput, match="device = 'cuda' is not there"):
        plan(configure(given))
    assert plan(configure({**given, "scheduler": "tcp://node:8786"}))
