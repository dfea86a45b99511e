"""Driver and store: cells a second without any computing, the driver's memory, and the time to find nothing left to do.

    python benchmarks/driver.py --cells 10000 --workers 2 [--executor dask] [--store postgresql+psycopg://...]

Without ``--store`` it makes a SQLite one in a temporary folder.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from itertools import islice
from pathlib import Path

import psutil
from noop import noop

from harness.config import SirenConfig
from harness.execution.attempt import Task
from harness.execution.benchmark import BenchmarkState, Cell, compute
from harness.execution.executors import ExecutorConfig, executor
from harness.execution.executors.dask import DaskConfig
from harness.execution.isolation import Limits, isolated
from harness.fingerprint import fingerprint_of
from harness.run import Stop
from harness.tracking.results import results
from harness.tracking.store import experiment_of, open_store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--executor", choices=["process", "dask"], default="process")
    parser.add_argument("--store")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MLFLOW_TRACKING_URI"] = arguments.store or f"sqlite:///{folder}/mlflow.db"
        os.chdir(folder)
        measure(arguments.cells, arguments.workers, arguments.executor)


def measure(count: int, workers: int, kind: str) -> None:
    client = open_store()
    experiment = experiment_of(client, "noop").experiment_id
    started = time.perf_counter()
    configs = [SirenConfig(seed=seed) for seed in range(count)]
    cells = {cell.fingerprint: cell for cell in (Cell(config, fingerprint_of(config)) for config in configs)}
    planned = time.perf_counter() - started
    print(
        f"{kind}, {workers} workers, {client.tracking_uri.partition(':')[0]}: {count} cells planned in {planned:.1f} s"
    )
    state = BenchmarkState(cells)
    config = DaskConfig(workers=workers) if kind == "dask" else ExecutorConfig(workers=workers)
    with executor(config) as pool:

        def submit(cell: Cell):  # type: ignore[no-untyped-def]
            task = Task({}, cell.fingerprint, client.tracking_uri, experiment, {"benchmark": "noop"})
            return pool.submit(isolated, noop, task, Limits())

        memory = psutil.Process().memory_info().rss
        step, began = max(1, count // 10), time.perf_counter()
        settled = compute(state, submit, 2 * workers, Stop(), client)
        while done := sum(1 for _ in islice(settled, step)):
            now = time.perf_counter()
            grown = (psutil.Process().memory_info().rss - memory) / 2**20
            print(
                f"{len(state.settled):>7} cells  {done / (now - began):7.1f} cells/s  driver +{grown:.0f} MiB",
                flush=True,
            )
            began = now
    started = time.perf_counter()
    found = results(client)
    print(f"resume: {len(found.keys() & cells.keys())} results found in {time.perf_counter() - started:.2f} s")
    database = Path(client.tracking_uri.removeprefix("sqlite:///"))
    if database.is_file():
        print(f"database: {database.stat().st_size / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
