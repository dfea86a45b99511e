"""The configuration of a benchmark: a record like that of a run, whose fields the command line takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from harness.addresses import fault, masked
from harness.config import RunConfig, fields_of
from harness.errors import BadInput, quoted, refusal
from harness.families import FAMILIES
from harness.fields import Names, OrNone, field
from harness.machine import Memory, cores, more_threads_than_cores
from harness.presets import load
from harness.registry import load_plugins, nearest

SCHEDULERS = ("tcp", "tls", "ws", "wss", "ucx")


def _workers(value: object) -> object:
    """A number or ``auto``, refused in one sentence where a union would have one for each."""
    if value == "auto":
        return value
    if re.fullmatch(r"[0-9]{1,6}", str(value).strip()) and 1 <= int(str(value)) <= 100_000:
        return int(str(value))
    raise ValueError("give a number from 1 to 100000, or auto")


def _all(value: object) -> object:
    return () if value == "all" else value


class BenchmarkConfig(BaseModel):
    """What a benchmark computes, and where."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    suite: str = field("section1", "Suite, see `harness list suites`, or the path of a .yaml file with one.")
    seeds: int = field(5, "Number of seeds.", ge=1, le=1_000_000)
    first_seed: int = field(0, "The first of the seeds, which follow one another.", ge=0, lt=2**31 - 1_000_000)
    models: Annotated[Names, BeforeValidator(_all)] = field(
        (), "Only these model families of the suite, comma-separated, or `all`."
    )
    preset: Names = field((), "Presets, comma-separated. Default: the one that the suite names.")
    workers: Annotated[int | Literal["auto"], BeforeValidator(_workers)] = field(
        "auto", "Cells computed at the same time. auto: as many as the cores allow.", unit="processes"
    )
    threads: int = field(1, "Threads of a worker.", ge=1, le=1024)
    timeout: Annotated[float | None, OrNone] = field(
        None,
        "Deadline of a cell. It is asked to stop then, keeping what it has, and killed 15 s later.",
        unit="s",
        gt=0,
    )
    max_memory: Memory = field(
        None,
        "Memory that a worker may allocate, such as 2G; a cell that wants more ends as `error`. None: no limit.",
        unit="bytes",
    )
    executor: Literal["process", "dask"] = field(
        "process", "Where cells are computed: processes here, or Dask workers."
    )
    scheduler: Annotated[str | None, OrNone] = field(
        None, "dask: address of a running scheduler, such as tcp://node1:8786. None: a cluster of our own."
    )
    cluster: Annotated[Literal["slurm", "pbs"] | None, OrNone] = field(
        None, "dask: submit `workers` jobs, each with a Dask worker, to this batch system (dask-jobqueue)."
    )
    cluster_config: Annotated[str | None, OrNone] = field(
        None, "dask: YAML file with the settings of the jobs: queue, walltime, memory (docs/scaling.md)."
    )
    force: bool = field(False, "Compute every cell again, whatever the store has.")
    dry_run: bool = field(False, "Print the plan and an estimate of its time, and compute nothing.")
    plugins: Names = field((), "Modules or .py files to import first, comma-separated.")
    fields: dict[str, Any] = Field({}, description="Fields of the run configuration, for every cell.")

    @field_validator("scheduler")
    @classmethod
    def _an_address(cls, scheduler: str | None) -> str | None:
        if scheduler is None:
            return None
        scheme, mark, _ = scheduler.partition("://")
        if mark and scheme not in SCHEDULERS:
            raise ValueError(f"scheduler = {masked(scheduler)!r} can't be used: it begins with none of {SCHEDULERS}")
        if (wrong := fault(scheduler if mark else f"tcp://{scheduler}")) is not None:
            raise ValueError(
                f"scheduler = {masked(scheduler)!r} can't be used: {wrong}; give one such as tcp://node1:8786"
            )
        return scheduler

    @model_validator(mode="after")
    def _fits_together(self) -> BenchmarkConfig:
        if self.executor == "process":
            for name in ("scheduler", "cluster", "cluster_config"):
                if getattr(self, name) is not None:
                    raise ValueError(
                        f"{name} = {masked(getattr(self, name))!r} belongs to executor=dask, not to executor=process"
                    )
            if sentence := more_threads_than_cores(self.threads):
                raise ValueError(sentence)
            if isinstance(self.workers, int) and self.workers * self.threads > cores():
                raise ValueError(
                    f"workers = {self.workers} with threads = {self.threads} is more than the {cores()} cores of this "
                    f"machine; at most {max(1, cores() // self.threads)} fit"
                )
        if self.cluster is not None and self.workers == "auto":
            raise ValueError("workers = 'auto' can't be used with cluster: say how many jobs to submit")
        if self.scheduler is not None and self.cluster is not None:
            raise ValueError(
                f"cluster = {self.cluster!r} can't be used with scheduler = {masked(self.scheduler)!r}; give one of them"
            )
        if self.cluster_config is not None and self.cluster is None:
            raise ValueError(f"cluster_config = {self.cluster_config!r} needs cluster=slurm or cluster=pbs")
        return self

    def seed_range(self) -> range:
        """The seeds, in order."""
        return range(self.first_seed, self.first_seed + self.seeds)

    def worker_count(self) -> int:
        """The number of workers; ``auto`` fills the cores."""
        return max(1, cores() // self.threads) if self.workers == "auto" else int(self.workers)


def configure(given: Mapping[str, str]) -> BenchmarkConfig:
    """The validated configuration for what the user gave. What every run has, such as ``epochs``, is taken for all cells.

    Raises BadInput with one sentence.
    """
    own = {name: value for name, value in given.items() if name in BenchmarkConfig.model_fields and name != "fields"}
    others = {name: value for name, value in given.items() if name not in own}
    try:
        config = BenchmarkConfig.model_validate({**own, "fields": others})
    except ValidationError as error:
        raise refusal(error) from error
    load_plugins(config.plugins)
    for name, value in others.items():
        if name in ("model", "problem", "seed"):
            raise BadInput(
                f"{name} = {quoted(value)} is decided by the suite; choose with suite, models, seeds and first_seed."
            )
        if name not in fields_of(RunConfig):
            owners = [model for model in FAMILIES.names() if name in FAMILIES.get(model).config.model_fields]
            if owners:
                raise BadInput(
                    f"{name} = {quoted(value)} is a field of {', '.join(owners)} only; set it in a suite file, for these models."
                )
            known = {*BenchmarkConfig.model_fields, *fields_of(RunConfig)}
            raise BadInput(f"{name} = {quoted(value)} is not a field of a benchmark; {nearest(name, known)}")
    for model in config.models:
        FAMILIES.get(model)
    for preset in config.preset:
        load(preset)
    return config
