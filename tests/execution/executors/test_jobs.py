"""A job of a batch system knows what is wrong with it; tests/system/test_cluster.py has the rest, with real ones."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from harness.execution.executors import jobs


class Base:
    """What is needed of a job of dask-jobqueue."""

    submit_command, job_id = "sbatch", "7"

    def __init__(self, error: Exception | None = None) -> None:
        self._job_script_prologue = ["export A=1"]
        self.error = error

    async def start(self) -> None:
        if self.error is not None:
            raise self.error
        if self.job_id == "never":
            await asyncio.sleep(60)


def failed(exit_code: int, stderr: str) -> RuntimeError:
    """As dask-jobqueue 0.9 says it."""
    return RuntimeError(
        f"Command exited with non-zero exit code.\nExit code: {exit_code}\nCommand:\nsbatch x.sh\nstdout:\n\nstderr:\n{stderr}\n"
    )


@pytest.mark.parametrize(
    ("error", "refusal"),
    [
        (FileNotFoundError(2, "No such file", "sbatch"), "there is no sbatch on this machine; "),
        (
            PermissionError(13, "Permission denied", "sbatch"),
            "sbatch can't be used: \"[Errno 13] Permission denied: 'sbatch'\"",
        ),
        (ValueError("Could not parse job id\nmore"), "sbatch can't be used: 'Could not parse job id'"),
        (
            failed(1, "sbatch: error: \x1b[31mno\nmore"),
            r"sbatch ended with status 1 and says 'sbatch: error: \x1b[31mno'; ",
        ),
        (failed(-9, ""), "sbatch ended with status -9 and says nothing; "),
    ],
)
def test_a_refused_submission_is_kept_in_a_few_words_and_leaves_no_file(
    error: Exception, refusal: str, outside: Path
) -> None:
    job = jobs.job_of(Base, str(outside))(error)
    asyncio.run(job.start())
    assert job.refusal.startswith(refusal)
    assert job.of_no_use()
    assert list(outside.iterdir()) == []


def test_a_submission_without_an_answer_is_a_refused_one(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "SUBMIT_S", 0.1)
    job = jobs.job_of(Base, str(outside))()
    job.job_id = "never"
    asyncio.run(job.start())
    assert job.refusal.startswith("sbatch does not answer within")


def test_a_job_is_of_no_use_from_the_second_look_on_after_its_script_has_ended(outside: Path) -> None:
    job = jobs.job_of(Base, str(outside))()
    asyncio.run(job.start())
    (file,) = outside.iterdir()
    assert job._job_script_prologue == [f"trap 'rm -f {file}' EXIT", "export A=1"]
    assert not job.of_no_use()
    file.unlink()
    assert [job.of_no_use() for _ in range(3)] == [False, True, True]
    assert job.refusal == "job 7 ended before its worker had joined; its output says why"
