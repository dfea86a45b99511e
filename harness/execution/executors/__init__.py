"""Where cells are computed: processes here, Dask workers, or what a plug-in brings (:mod:`.executor` says what that is)."""

from harness.execution.executors.executor import (
    EXECUTORS,
    ExecutorConfig,
    ExecutorKind,
    every_field,
    executor,
    fields_of_their_own,
    register,
    take,
)

__all__ = [
    "EXECUTORS",
    "ExecutorConfig",
    "ExecutorKind",
    "every_field",
    "executor",
    "fields_of_their_own",
    "register",
    "take",
]

# The built-in executors register when they are imported, as those of a plug-in do.
from harness.execution.executors import dask, process  # noqa: F401  (needs the names above)
