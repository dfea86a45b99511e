"""What a user says of the jobs of a batch system is looked at before a cluster is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import BadInput
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
