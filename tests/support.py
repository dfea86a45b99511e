"""What several tests need: small configurations, and the real commands in a process of their own."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from filelock import FileLock
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from harness import problems
from harness.config import RunConfig
from harness.data import Data, sample
from harness.execution.isolation import Limits, end_children, isolated
from harness.models import Regressor, build
from harness.presets import resolve
from harness.tracking.liveness import Owner, this_process

R = TypeVar("R")
ROOT = Path(__file__).parents[1]
MODELS = ("mlp", "mlp_fourier", "siren", "kan", "kan_pruned")

FEW_POINTS = {"n_train": 40, "n_val": 20, "n_test": 30}
SMALL: dict[str, dict[str, Any]] = {
    "mlp": {"width": 6, "depth": 2, "iterations": 5},
    "mlp_fourier": {"width": 6, "depth": 1, "features": 4, "iterations": 5},
    "siren": {"width": 8, "depth": 2},
    "kan": {"width": 3, "grids": (3, 6), "iterations": 5},
    "wire": {"width": 6, "depth": 2},
    "finer": {"width": 6, "depth": 2},
    "gauss": {"width": 6, "depth": 2},
    "mlp_bspline": {"width": 4, "depth": 2, "grid": 4},
    "kan_pruned": {"width": 3, "grids": (3, 6), "iterations": 5, "prune_mode": "threshold", "sparsify_fraction": 0.5},
}


def small(model: str, **fields: Any) -> RunConfig:
    """A configuration of that model that trains in a fraction of a second."""
    return resolve(
        {"model": model, "problem": "poisson_2d_sin", "epochs": 8, **FEW_POINTS, **SMALL.get(model, {}), **fields}
    )


def write_line(path: Path, rows: int = 60, noise: float = 0.1, seed: int = 0) -> str:
    """Write a CSV file with the rows of a plane, y = 1 + 2 a - 3 b, and normal noise on y. Gives its path."""
    random = np.random.default_rng(seed)
    a, b = random.uniform(-1, 1, (2, rows))
    y = 1 + 2 * a - 3 * b + noise * random.standard_normal(rows)
    path.parent.mkdir(exist_ok=True)
    path.write_text(
        "\n".join(
            ["a,b,y", *(f"{x!r},{z!r},{t!r}" for x, z, t in zip(a.tolist(), b.tolist(), y.tolist(), strict=True))]
        )
        + "\n"
    )
    return str(path)


def parts(config: RunConfig) -> tuple[Regressor, Data]:
    """The untrained model and the data of a configuration."""
    import torch

    problem = problems.get(config.problem)
    points, sides = (config.n_train, config.n_val, config.n_test), (config.n_boundary, config.boundary_weight)
    data = sample(problem, config.seed, *points, getattr(torch, config.dtype), "cpu", 0.0, *sides)
    return build(config, problem, data.train), data


def as_options(fields: dict[str, Any]) -> list[str]:
    """``--name value`` for each field, as the command line takes them."""
    spelled = {name: ",".join(map(str, v)) if isinstance(v, list | tuple) else str(v) for name, v in fields.items()}
    return [word for name, value in spelled.items() for word in (f"--{name}", value)]


def environment(**extra: str) -> dict[str, str]:
    """The environment of a child process that finds this checkout, whatever else is installed."""
    return os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"} | extra


def harness(*arguments: str, timeout: float = 120, **extra: str) -> subprocess.CompletedProcess[str]:
    """``python -m harness`` with these arguments, in the current folder."""
    return python(["-m", "harness", *arguments], timeout=timeout, **extra)


def python(arguments: Sequence[str], timeout: float = 120, **extra: str) -> subprocess.CompletedProcess[str]:
    """This interpreter with these arguments, in the current folder."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment(**extra),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def at_once(function: Callable[[Any], R], arguments: Sequence[Any], processes: int) -> list[list[R]]:
    """What ``function`` of each argument gives in each of several processes, which all begin with it at the same moment."""
    together = threading.Barrier(processes, timeout=120)

    def one(_: int) -> list[R]:
        isolated(callable, function, Limits())  # the process is there, and has the function's module
        found = []
        for argument in arguments:
            together.wait()
            found.append(isolated(function, argument, Limits()))
        return found

    try:
        with ThreadPoolExecutor(processes) as pool:
            of_each = list(pool.map(one, range(processes)))
    finally:
        end_children()
    return [list(said) for said in zip(*of_each, strict=True)]


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that ``make`` fills, once for all processes of the tests (pytest-xdist), which wait for the one that does it."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    ready = folder.with_suffix(".ready")
    with FileLock(folder.with_suffix(".lock")):
        if not ready.exists():
            shutil.rmtree(folder, ignore_errors=True)  # half of it, where another process has failed
            folder.mkdir()
            make(folder)
            ready.touch()
    return folder


def gone() -> Owner:
    """A process of this machine that has ended."""
    process = subprocess.Popen(["true"])
    process.wait(timeout=60)
    return replace(this_process(), pid=process.pid)


@contextmanager
def served(command: Sequence[str], folder: Path, **extra: str) -> Iterator[str]:
    """``mlflow`` with that command, which starts a server, on a free port; gives its address once it is healthy."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    of_server = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # eight more processes, for jobs that no test has
    with (folder / "server.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *command, "--port", str(port)],
            env=environment(**of_server, **extra),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(f"{address}/health", process, folder / "server.log")
            yield address
        finally:
            # The server and its workers, which are a session of their own.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=20)


def _wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(f"the server did not start:\n{log.read_text()}")


def all_runs(client: MlflowClient) -> list[Run]:
    """Every run of the store."""
    experiments = [each.experiment_id for each in client.search_experiments(view_type=ViewType.ALL)]
    return list(client.search_runs(experiments)) if experiments else []


def only_run(client: MlflowClient) -> Run:
    """The one run of a store that has one."""
    (run,) = all_runs(client)
    return run
