"""Cells on the workers of a Dask cluster: one that is there, one of our own here, or one of jobs of a batch system.

Dask is imported when a cluster is wanted, not before.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import psutil
import yaml
from pydantic import field_validator, model_validator

from harness.addresses import fault, guard, masked
from harness.errors import BadInput
from harness.execution.executors import jobs
from harness.execution.executors.executor import ExecutorConfig, ExecutorKind, register
from harness.fields import OrNone, field

SCHEDULERS = ("tcp", "tls", "ws", "wss", "ucx")
NETWORK_FILE_SYSTEMS = (
    "nfs",
    "cifs",
    "smb",
    "lustre",
    "gpfs",
    "beegfs",
    "ceph",
    "afs",
    "glusterfs",
    "9p",
    "fuse.sshfs",
)
CONNECT_S = 10.0
OF_A_JOB = ("export DASK_DISTRIBUTED__WORKER__DAEMON=False", "export PYTHONSAFEPATH=1")
"""A worker may have children; and files in the folder of a job do not stand before installed packages of their name."""
NODES = "harness.execution.executors.nodes"
NO_WEB = {"dashboard": False, "dashboard_address": "127.0.0.1:0", "preload": [NODES]}
"""Dask opens a web server in any case: on any free port, until the module closes it."""
NO_WEB_OF_A_JOB = ("--no-dashboard", "--dashboard-address", "127.0.0.1:0", "--preload", NODES)


class DaskConfig(ExecutorConfig):
    """Which cluster."""

    executor: str = "dask"
    scheduler: Annotated[str | None, OrNone] = field(
        None, "Address of a running scheduler, such as tcp://node1:8786. None: a cluster of our own."
    )
    cluster: Annotated[Literal["slurm", "pbs"] | None, OrNone] = field(
        None, "Submit `workers` jobs, each with a Dask worker, to this batch system: slurm or pbs (dask-jobqueue)."
    )
    cluster_config: Annotated[str | None, OrNone] = field(
        None, "YAML file with the settings of the jobs: queue, walltime, memory (docs/scaling.md)."
    )

    @property
    def here(self) -> bool:
        """Only a cluster of our own without jobs is on this machine."""
        return self.scheduler is None and self.cluster is None

    @field_validator("scheduler")
    @classmethod
    def _an_address(cls, scheduler: str | None) -> str | None:
        if scheduler is None:
            return None
        scheme, mark, _ = scheduler.partition("://")
        guard(scheduler if mark else f"tcp://{scheduler}")  # Dask quotes it without its scheme
        if mark and scheme not in SCHEDULERS:
            raise ValueError(f"scheduler = {masked(scheduler)!r} can't be used: it begins with none of {SCHEDULERS}")
        if (wrong := fault(scheduler if mark else f"tcp://{scheduler}")) is not None:
            raise ValueError(
                f"scheduler = {masked(scheduler)!r} can't be used: {wrong}; give one such as tcp://node1:8786"
            )
        return scheduler

    @model_validator(mode="after")
    def _one_cluster(self) -> DaskConfig:
        if self.cluster is not None and self.workers == "auto":
            raise ValueError("workers = 'auto' can't be used with cluster: say how many jobs to submit")
        if self.scheduler is not None and self.cluster is not None:
            raise ValueError(
                f"cluster = {self.cluster!r} can't be used with scheduler = {masked(self.scheduler)!r}; give one of them"
            )
        if self.cluster_config is not None and self.cluster is None:
            raise ValueError(f"cluster_config = {self.cluster_config!r} needs cluster=slurm or cluster=pbs")
        return self

    def refuse_unsuitable_store(self, uri: str) -> None:
        """Raise BadInput for a SQLite store that other machines would have to write to, or could only over a network."""
        from harness.tracking.sqlite import is_sqlite, sqlite_file

        if not is_sqlite(uri):
            return
        instead = "use postgresql+psycopg://... or the address of an MLflow tracking server."
        if self.cluster is not None:
            raise BadInput(
                f"MLFLOW_TRACKING_URI = {masked(uri)!r} can't be used with cluster={self.cluster}: jobs on other "
                f"machines can't write safely to a SQLite file; {instead}"
            )
        kind = file_system(sqlite_file(uri).path)
        if kind.startswith(NETWORK_FILE_SYSTEMS):
            raise BadInput(
                f"MLFLOW_TRACKING_URI = {masked(uri)!r} can't be used with executor=dask: it lies on a network file system "
                f"({kind}), whose locks SQLite can't rely on; {instead}"
            )


def file_system(path: Path) -> str:
    """The kind of file system that a path lies on, as the system calls it; empty where that is not known."""
    place = path.resolve()
    mounts = [part for part in psutil.disk_partitions(all=True) if place.is_relative_to(part.mountpoint)]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else ""


@contextmanager
def dask_workers(config: DaskConfig) -> Iterator[Executor]:
    """The workers of the cluster, as an executor.

    Raises BadInput when a scheduler can't be reached, when Dask is not installed, or when a cluster can't be set up or its
    jobs not submitted.
    """
    dask, distributed, ours = _imported()
    certified = dask.config.get("distributed.comm.tls.ca-file") is not None
    if config.scheduler is not None and config.scheduler.startswith("tls://") and not certified:
        raise BadInput(
            f"scheduler = {masked(config.scheduler)!r} can't be used without certificates; name them in Dask's settings, under "
            "distributed.comm.tls (docs/scaling.md)."
        )
    with _cluster(config, ours) as address:
        try:
            client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise BadInput(
                f"scheduler = {masked(config.scheduler or '')!r} can't be reached: {str(error) or type(error).__name__}; "
                "start it with `dask scheduler`, or leave it out for a cluster of our own."
            ) from error
        with client:
            pool = client.get_executor(pure=False, retries=0)
            if config.cluster is None:
                yield pool
                return
            with jobs.kept(address, config.cluster, config.worker_count(), pool) as kept:
                yield kept


def _imported() -> tuple[Any, Any, Any]:
    """Dask and distributed, with the settings that we need, and a key and a certificate for a cluster of our own.

    Raises BadInput when they are not installed.
    """
    try:
        import dask

        # Read when distributed is loaded, here and in each local worker. A worker that we stop says so with a traceback, from
        # whichever thread was about to write to it; what a user needs to know of a loss stands on the cell's run.
        if dask.config.get("logging", None) is None:
            dask.config.set({"logging.distributed": "critical"})
        import distributed

        ours = distributed.Security.temporary()
    except ImportError as error:
        raise BadInput(f"executor = 'dask' can't be used: {error}; pip install -e \".[cluster]\".") from error
    dask.config.set(
        {
            # A worker that is lost is our business (retries, both attempts on record), and it has to have children.
            "distributed.scheduler.allowed-failures": 0,
            "distributed.worker.daemon": False,
            "distributed.comm.timeouts.connect": f"{CONNECT_S}s",
        }
    )
    return dask, distributed, ours


@contextmanager
def _cluster(config: DaskConfig, security: Any) -> Iterator[Any]:
    """The address of the scheduler, or a cluster that ends with the benchmark.

    Whoever can talk to a scheduler can run code as its user. So a cluster of ours talks TLS alone, with a key that is made
    for it: in memory, and for the jobs of a batch system in files that only their user can read.
    """
    from harness.execution.isolation import out_of_the_terminal_s_reach

    if config.scheduler is not None:
        yield config.scheduler
        return
    with out_of_the_terminal_s_reach():
        ours = _local_cluster(config, security) if config.cluster is None else _batch_cluster(config, security)
    with ours as cluster:
        if config.cluster is not None:
            jobs.submit(cluster, config.cluster, config.worker_count())
        yield cluster


def _local_cluster(config: DaskConfig, security: Any) -> Any:
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=config.worker_count(),
        threads_per_worker=1,
        processes=True,
        security=security,
        scheduler_kwargs=NO_WEB,
        preload=NO_WEB["preload"],
    )


def _batch_cluster(config: DaskConfig, security: Any) -> Any:
    """A cluster whose workers are jobs of a batch system. Raises BadInput when its settings can't be used."""
    import dask

    if config.cluster_config is not None:
        settings = _settings(config.cluster_config, str(config.cluster))
        dask.config.update(dask.config.config, settings, priority="new")
    name = {"slurm": "SLURMCluster", "pbs": "PBSCluster"}[str(config.cluster)]

    def given(setting: str) -> Any:
        return dask.config.get(f"jobqueue.{config.cluster}.{setting}", None)

    try:
        kind = getattr(importlib.import_module("dask_jobqueue"), name)
        folder = given("shared-temp-directory") or str(Path.cwd())
        return kind(
            job_cls=jobs.job_of(kind.job_cls, folder),
            processes=1,
            security=security,
            shared_temp_directory=folder,
            scheduler_options={**NO_WEB, **(given("scheduler-options") or {})},
            worker_extra_args=[*NO_WEB_OF_A_JOB, *(given("worker-extra-args") or [])],
            job_script_prologue=[*OF_A_JOB, *(given("job-script-prologue") or [])],
        )
    except (ImportError, OSError, ValueError, TypeError) as error:
        why = str(error).splitlines()[0].removesuffix(", for example:")
        raise BadInput(
            f"cluster = {config.cluster!r} can't be set up: {why}; give what is missing in cluster_config (docs/scaling.md)."
        ) from error


def _settings(path: str, cluster: str) -> Mapping[str, Any]:
    """The settings of the jobs. Raises BadInput for a file that can't be read, or whose content has another form."""
    try:
        settings = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadInput(f"cluster_config = {path!r} can't be read: {error}.") from error
    inner, place = settings, "its content"
    for name in ("jobqueue", cluster, None):
        if not isinstance(inner, Mapping):
            raise BadInput(
                f"cluster_config = {path!r} can't be used: {place} should be a mapping of names to values, as in "
                f"jobqueue: {{{cluster}: {{cores: 1}}}} (docs/scaling.md)."
            )
        if name not in inner:
            break
        inner, place = inner[name], str(name)
    return settings  # type: ignore[no-any-return]  # a mapping, as was seen


register(ExecutorKind("dask", DaskConfig, dask_workers, "Workers of a Dask cluster, or jobs of PBS or Slurm."))
