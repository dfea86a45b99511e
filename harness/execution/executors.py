"""Where cells are computed: threads with a child process each, here or on the workers of a Dask cluster."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import yaml

from harness.addresses import masked
from harness.errors import BadInput
from harness.execution.config import BenchmarkConfig
from harness.execution.isolation import WorkerLost, end_children, out_of_the_terminal_s_reach
from harness.tracking.sqlite import is_sqlite, sqlite_file

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
MAY_HAVE_CHILDREN = "export DASK_DISTRIBUTED__WORKER__DAEMON=False"
NO_WEB = {"dashboard": False, "dashboard_address": "127.0.0.1:0", "preload": ["harness.execution.nodes"]}
"""Dask opens a web server all the same; on a port that nobody else has, until the module closes it."""
NO_WEB_OF_A_JOB = ("--no-dashboard", "--dashboard-address", "127.0.0.1:0", "--preload", "harness.execution.nodes")


@contextmanager
def executor(config: BenchmarkConfig) -> Iterator[Executor]:
    """The executor that the configuration names; each of its threads calls :func:`isolation.isolated`.

    Raises BadInput when a scheduler can't be reached, when Dask is not installed, or when a cluster can't be set up.
    """
    with _processes(config) if config.executor == "process" else _dask(config) as chosen:
        yield chosen


@contextmanager
def _processes(config: BenchmarkConfig) -> Iterator[Executor]:
    threads = ThreadPoolExecutor(config.worker_count(), thread_name_prefix="cell")
    try:
        yield threads
    finally:
        threads.shutdown(wait=False, cancel_futures=True)  # no new cell from here on
        end_children()
        threads.shutdown()


@contextmanager
def _dask(config: BenchmarkConfig) -> Iterator[Executor]:
    try:
        import dask

        # Read when distributed is loaded, here and in each local worker. A worker that we stop says so with a traceback, from
        # whichever thread was about to write to it; what a user needs to know of a loss stands on the cell's run.
        if dask.config.get("logging", None) is None:
            dask.config.set({"logging.distributed": "critical"})
        from distributed import Client, Security

        ours = Security.temporary()
    except ImportError as error:
        raise BadInput(f"executor = 'dask' can't be used: {error}; pip install 'harness[cluster]'.") from error
    dask.config.set(
        {
            # A worker that is lost is our business (retries, both attempts on record), and it has to have children.
            "distributed.scheduler.allowed-failures": 0,
            "distributed.worker.daemon": False,
            "distributed.comm.timeouts.connect": f"{CONNECT_S}s",
        }
    )
    certified = dask.config.get("distributed.comm.tls.ca-file") is not None
    if config.scheduler is not None and config.scheduler.startswith("tls://") and not certified:
        raise BadInput(
            f"scheduler = {masked(config.scheduler)!r} can't be used without certificates; name them in Dask's settings, under "
            "distributed.comm.tls (docs/scaling.md)."
        )
    with _cluster(config, ours) as address:
        try:
            client = Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            raise BadInput(
                f"scheduler = {masked(config.scheduler or '')!r} can't be reached: {str(error) or type(error).__name__}; "
                "start it with `dask scheduler`, or leave it out for a cluster of our own."
            ) from error
        with client:
            yield client.get_executor(pure=False, retries=0)


@contextmanager
def _cluster(config: BenchmarkConfig, security: Any) -> Iterator[Any]:
    """The address of the scheduler, or a cluster that ends with the benchmark.

    Whoever can talk to a scheduler can run code as its user. So a cluster of ours talks TLS alone, with a key that is made
    for it: in memory, and for the jobs of a batch system in files that only their user can read.
    """
    if config.scheduler is not None:
        yield config.scheduler
        return
    with out_of_the_terminal_s_reach():
        ours = _local_cluster(config, security) if config.cluster is None else _batch_cluster(config, security)
    with ours as cluster:
        if config.cluster is not None:
            cluster.scale(jobs=config.worker_count())
        yield cluster


def _local_cluster(config: BenchmarkConfig, security: Any) -> Any:
    from distributed import LocalCluster

    return LocalCluster(
        n_workers=config.worker_count(),
        threads_per_worker=1,
        processes=True,
        security=security,
        scheduler_kwargs=NO_WEB,
        preload=NO_WEB["preload"],
    )


def _batch_cluster(config: BenchmarkConfig, security: Any) -> Any:
    """A cluster whose workers are jobs of a batch system. Raises BadInput when its settings can't be used."""
    import dask

    if config.cluster_config is not None:
        try:
            settings = yaml.safe_load(Path(config.cluster_config).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise BadInput(f"cluster_config = {config.cluster_config!r} can't be read: {error}.") from error
        dask.config.update(dask.config.config, settings, priority="new")
    name = {"slurm": "SLURMCluster", "pbs": "PBSCluster"}[str(config.cluster)]

    def given(setting: str) -> Any:
        return dask.config.get(f"jobqueue.{config.cluster}.{setting}", None)

    try:
        module = importlib.import_module("dask_jobqueue")
        return getattr(module, name)(
            processes=1,
            security=security,
            shared_temp_directory=given("shared-temp-directory") or str(Path.cwd()),
            scheduler_options={**NO_WEB, **(given("scheduler-options") or {})},
            worker_extra_args=[*NO_WEB_OF_A_JOB, *(given("worker-extra-args") or [])],
            job_script_prologue=[MAY_HAVE_CHILDREN, *(given("job-script-prologue") or [])],
        )
    except (ImportError, OSError, ValueError, TypeError) as error:
        why = str(error).splitlines()[0].removesuffix(", for example:")
        raise BadInput(
            f"cluster = {config.cluster!r} can't be set up: {why}; give what is missing in cluster_config (docs/scaling.md)."
        ) from error


def is_loss(error: BaseException) -> bool:
    """Whether a worker was lost, rather than that the cell failed."""
    return isinstance(error, WorkerLost) or type(error).__name__ in (
        "KilledWorker",
        "FutureCancelledError",
        "CancelledError",
    )


def refuse_unsuitable_store(config: BenchmarkConfig, uri: str) -> None:
    """Raise BadInput for a SQLite store that other machines would have to write to, or could only over a network."""
    if not is_sqlite(uri) or config.executor == "process":
        return
    instead = "use postgresql+psycopg://... or the address of an MLflow tracking server."
    if config.cluster is not None:
        raise BadInput(
            f"MLFLOW_TRACKING_URI = {masked(uri)!r} can't be used with cluster={config.cluster}: jobs on other "
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
