"""What an executor is, and which there are: a configuration with its fields, and how it is opened."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError, model_validator

from harness.addresses import masked
from harness.errors import BadInput, quoted, refusal
from harness.fields import field, none
from harness.machine import Memory, cores, more_threads_than_cores
from harness.registry import Registry, check_name, nearest


def _workers(value: object) -> object:
    """A number or ``auto``, refused in one sentence where a union would have one for each."""
    if value == "auto":
        return value
    if re.fullmatch(r"[0-9]{1,6}", str(value).strip()) and 1 <= int(str(value)) <= 100_000:
        return int(str(value))
    raise ValueError("give a number from 1 to 100000, or auto")


class ExecutorConfig(BaseModel):
    """What every executor has. One that needs more fields has its own class, which adds and checks them."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    executor: str = field("process", "Where cells are computed, see `harness list executors`.")
    workers: Annotated[int | Literal["auto"], BeforeValidator(_workers)] = field(
        "auto", "Cells computed at the same time. auto: as many as the cores allow.", unit="processes"
    )
    threads: int = field(1, "Threads of a worker.", ge=1, le=1024)
    max_memory: Memory = field(
        None,
        "Memory that a worker may allocate, such as 2G; a cell that wants more ends as `error`. None: no limit.",
        unit="bytes",
    )

    @property
    def here(self) -> bool:
        """Whether cells are computed on this machine, so that what it has no room for is refused when it is planned."""
        return True

    @model_validator(mode="after")
    def _fits_on_this_machine(self) -> ExecutorConfig:
        if not self.here:
            return self
        if sentence := more_threads_than_cores(self.threads):
            raise ValueError(sentence)
        if isinstance(self.workers, int) and self.workers * self.threads > cores():
            raise ValueError(
                f"workers = {self.workers} with threads = {self.threads} is more than the {cores()} cores of this "
                f"machine; at most {max(1, cores() // self.threads)} fit"
            )
        return self

    def worker_count(self) -> int:
        """The number of workers; ``auto`` fills the cores."""
        return max(1, cores() // self.threads) if self.workers == "auto" else int(self.workers)

    def refuse_unsuitable_store(self, uri: str) -> None:
        """Raise BadInput for a store that the workers can't write to. Those on this machine can write to any."""


@dataclass(frozen=True)
class ExecutorKind:
    """An executor. ``open(config)`` is a context manager that gives a :class:`concurrent.futures.Executor`.

    What is submitted to that runs in a thread, of this process or of another, at most ``config.worker_count()`` at a time;
    each of these threads has its own child process, in which the cell is computed
    (:func:`harness.execution.isolation.isolated`). A future whose worker is lost raises
    :class:`harness.execution.isolation.WorkerLost`. When no worker will ever come again, what waits is cancelled and
    ``submit`` raises BadInput. At its end nothing is at work any more.
    """

    name: str
    config: type[ExecutorConfig]
    open: Callable[[Any], AbstractContextManager[Executor]]
    summary: str

    def __post_init__(self) -> None:
        check_name("executor", self.name)


EXECUTORS: Registry[ExecutorKind] = Registry("executor", "harness.executors", ExecutorKind)


def register(kind: ExecutorKind) -> ExecutorKind:
    """Make an executor known under its name. Raises BadInput when the name is taken."""
    return EXECUTORS.register(kind.name, kind)


@contextmanager
def executor(config: ExecutorConfig) -> Iterator[Executor]:
    """The executor that the configuration names, open. Raises BadInput when it can't be had."""
    with EXECUTORS.get(config.executor).open(config) as opened:
        yield opened


def take(given: Mapping[str, str], taken: Collection[str]) -> tuple[ExecutorConfig, dict[str, str]]:
    """The executor that the user's fields ask for, configured, and those of the fields that are no executor's.

    ``taken`` are the names of all other fields that the command has. Raises BadInput with one sentence, also for a field
    that only another executor has.
    """
    chosen = given.get("executor", str(ExecutorConfig.model_fields["executor"].default))
    if chosen not in EXECUTORS.names():
        raise BadInput(f"executor = {quoted(chosen)} can't be used: {nearest(chosen, EXECUTORS.names())}")
    config = EXECUTORS.get(chosen).config
    if clash := (config.model_fields.keys() - ExecutorConfig.model_fields.keys()) & set(taken):
        raise BadInput(
            f"executor = {chosen!r} can't be used: its field {min(clash)!r} is one of the command's; give it another name."
        )
    others: dict[str, str] = {}
    for name, value in given.items():
        if name in config.model_fields:
            continue
        owners = [] if name in taken else [each for each, own in fields_of_their_own().items() if name in own]
        if not owners:
            others[name] = value
        elif none(value) is not None:
            belongs = " and ".join(f"executor={owner}" for owner in owners)
            raise BadInput(f"{name} = {quoted(masked(value))} belongs to {belongs}, not to executor={chosen}.")
    try:
        return config.model_validate({name: given[name] for name in config.model_fields if name in given}), others
    except ValidationError as error:
        raise refusal(error) from error


def fields_of_their_own() -> dict[str, dict[str, Any]]:
    """The fields that only some executors have, by the executor's name."""
    common = ExecutorConfig.model_fields
    return {
        name: {n: f for n, f in kind.config.model_fields.items() if n not in common}
        for name, kind in EXECUTORS.usable().items()
    }


def every_field() -> set[str]:
    """The names of the fields of all executors."""
    return {*ExecutorConfig.model_fields, *(name for own in fields_of_their_own().values() for name in own)}
