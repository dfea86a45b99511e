"""The jobs of a batch system that are a cluster's workers: refused ones are told of, ended ones are submitted again.

Dask submits a job once, logs what the submission raises, and takes a job for one that waits until its worker joins.
"""

from __future__ import annotations

import os
import shlex
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from harness.errors import BadInput, quoted

AGAIN_S = 30.0
"""Seconds between two looks at the jobs."""
TRIES = 5
"""Looks that find jobs of no use, with no worker in between, after which no more are submitted."""
SUBMIT_S = 60.0
"""Seconds that a submission may take."""

T = TypeVar("T")


def job_of(base: Any, folder: str) -> Any:
    """A job of dask-jobqueue that keeps what is wrong with it, instead of raising it where nobody listens.

    ``folder`` is one that this machine and the nodes share. A file in it is there until the job's script has ended.
    """
    from asyncio import wait_for

    from distributed.core import Status

    shared = os.path.expandvars(Path(folder).expanduser())  # as Dask does for its own files there

    class Job(base):  # type: ignore[misc]  # known when dask-jobqueue is imported
        refusal = ""
        """Why no worker will come of it."""
        _ended = False
        _job_script_prologue: list[str]

        async def start(self) -> None:
            self._file = Path(shared, f".dask-jobqueue.job.{uuid4().hex}")
            at_its_end = shlex.quote(f"rm -f {shlex.quote(str(self._file))}")
            self._job_script_prologue = [f"trap {at_its_end} EXIT", *self._job_script_prologue]
            try:
                self._file.touch()
                await wait_for(super().start(), SUBMIT_S)
            except (OSError, RuntimeError, ValueError) as error:
                self._file.unlink(missing_ok=True)
                self.refusal = _refusal(self.submit_command, error)
                self.status = Status.running  # as the cluster has to believe, until we take it out

        async def close(self) -> None:
            self._file.unlink(missing_ok=True)
            await super().close()
            self.status = Status.closed

        def take_out(self) -> None:
            """Its end is known: there is nothing to cancel, and a cluster that closes asks each job it ever made."""
            self.status = Status.closed

        def of_no_use(self) -> bool:
            """Whether no worker will come of it: at the second look after its end, for by then Dask has removed one that had."""
            if not self.refusal and not self._file.exists():
                if self._ended:
                    self.refusal = f"job {self.job_id} ended before its worker had joined; its output says why"
                self._ended = True
            return bool(self.refusal)

    return Job


def _refusal(command: str, error: Exception) -> str:
    """What is wrong with a submission, from what dask-jobqueue raises."""
    if isinstance(error, FileNotFoundError) and error.filename == command:
        return f"there is no {command} on this machine; give the command where jobs can be submitted"
    if isinstance(error, TimeoutError):
        return f"{command} does not answer within {SUBMIT_S:.0f} s"
    text = str(error)
    if not isinstance(error, RuntimeError):
        return f"{command} can't be used: {quoted(text.splitlines()[0])}"
    status = text.partition("Exit code: ")[2].partition("\n")[0]
    said = text.partition("stderr:\n")[2].strip().splitlines()
    return (
        f"{command} ended with status {status} and says {quoted(said[0]) if said else 'nothing'}; see queue, account and "
        "limits in cluster_config, and workers"
    )


def submit(cluster: Any, name: str, count: int) -> None:
    """Submit the first jobs. Raises BadInput when one is refused."""
    import dask

    async def submitted() -> None:
        await cluster

    dask.config.set({"distributed.deploy.lost-worker-timeout": f"{AGAIN_S / 2}s"})  # so that it acts before we do
    cluster.scale(jobs=count)
    cluster.sync(submitted)
    for job in cluster.workers.values():
        if job.refusal:
            raise BadInput(f"cluster = {name!r} can't be used: {job.refusal} (docs/scaling.md).")


class _WhileJobsCome(Executor):
    """The cluster's workers. Once it is given up nothing that was submitted is computed."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        self._why = ""

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Raises BadInput when it was given up."""
        try:
            return self._pool.submit(function, *args, **kwargs)
        except RuntimeError:  # of one that is shut down
            if self._why:
                raise BadInput(self._why) from None
            raise

    def give_up(self, why: str) -> None:
        self._why = why
        self._pool.shutdown(wait=False)


@contextmanager
def kept(cluster: Any, name: str, count: int, pool: Executor) -> Iterator[Executor]:
    """The pool, while which is open as many jobs as are wanted wait or are at work, as far as that can be had."""
    over, given = threading.Event(), _WhileJobsCome(pool)

    def keep() -> None:
        failed = 0
        while not over.wait(AGAIN_S):
            joined = {worker["name"] for worker in cluster.scheduler_info["workers"].copy().values()}
            jobs = cluster.workers.copy()
            useless = {each: job for each, job in jobs.items() if each not in joined and job.of_no_use()}
            failed = 0 if joined else failed + bool(useless)
            if failed == TRIES:
                why = next(iter(useless.values())).refusal
                given.give_up(
                    f"cluster = {name!r} can't be used any more: {why}. It was tried {TRIES} times; the same command goes on "
                    "from here."
                )
                return
            for each, job in useless.items():
                job.take_out()
                cluster.workers.pop(each, None)
            cluster.scale(jobs=count)  # submits those that are not among its workers

    keeper = threading.Thread(target=keep, name="jobs", daemon=True)
    keeper.start()
    try:
        yield given
    finally:
        over.set()
        keeper.join()
