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
from harness.execution.isolation import WorkerLost, end_children
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
        from distributed import Client, LocalCluster
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
    with _cluster(config, LocalCluster) as address:
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
def _cluster(config: BenchmarkConfig, local: type[Any]) -> Iterator[Any]:
    """The address of the scheduler, or a cluster that ends with the benchmark."""
    if config.scheduler is not None:
        yield config.scheduler
    elif config.cluster is None:
        with local(config.worker_count(), threads_per_worker=1, processes=True, dashboard_address=None) as cluster:
            yield cluster
    else:
        with _batch_cluster(config) as cluster:
            cluster.scale(jobs=config.worker_count())
            yield cluster


def _batch_cluster(config: BenchmarkConfig) -> Any:
    """A cluster whose workers are jobs of a batch system. Raises BadInput when its settings can't be used."""
    import dask

    if config.cluster_config is not None:
        try:
            settings = yaml.safe_load(Path(config.cluster_config).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise BadInput(f"cluster_config = {config.cluster_config!r} can't be read: {error}.") from error
        dask.config.update(dask.config.config, settings, priority="new")
    name = {"slurm": "SLURMCluster", "pbs": "PBSCluster"}[str(config.cluster)]
    prologue = dask.config.get(f"jobqueue.{config.cluster}.job-script-prologue", None) or []
    try:
        module = importlib.import_module("dask_jobqueue")
        return getattr(module, name)(processes=1, job_script_prologue=[MAY_HAVE_CHILDREN, *prologue])
    except (ImportError, ValueError, TypeError) as error:
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
