"""Cells in processes of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

from harness.execution.executors.executor import ExecutorConfig, ExecutorKind, register


@contextmanager
def processes_of(threads: ThreadPoolExecutor) -> Iterator[Executor]:
    """The threads, each of which gets a child process when it first asks for one. At the end both are gone."""
    from harness.execution.isolation import end_children  # late: what is needed to compute, not to configure

    try:
        yield threads
    finally:
        threads.shutdown(wait=False, cancel_futures=True)  # no new cell from here on
        end_children()
        threads.shutdown()


def _of_this_machine(config: ExecutorConfig) -> AbstractContextManager[Executor]:
    from harness.execution.isolation import import_ahead  # late, as above

    import_ahead(config.threads)
    return processes_of(ThreadPoolExecutor(config.worker_count(), thread_name_prefix="cell"))


register(ExecutorKind("process", ExecutorConfig, _of_this_machine, "Processes of this machine."))
