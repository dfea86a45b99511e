"""How long the commands take to start, of this checkout and of another one side by side.

    OMP_NUM_THREADS=1 python benchmarks/startup.py [--repeats 5] [--against PATH]

Each figure is the median over processes of their own; checkouts alternate. ``run`` is measured until its first epoch is
told, in an empty folder, where it makes the store, and in one with a store; the imports that it can't do without are measured
by themselves: no start is quicker. "Screen" is the time until a terminal shows anything. CPU seconds say more where other
processes compete; a ratio below 1 says that this checkout is faster.
"""

from __future__ import annotations

import argparse
import os
import pty
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from overhead import of_machine

HERE = Path(__file__).resolve().parents[1]
RUN = ("-m", "harness", "run", "--epochs", "10")  # at ten, every epoch is told
IMPORT = "import gc; gc.disable(); import {}; gc.freeze()"  # as harness.loading does
COMMANDS = {
    "harness --help": ("-m", "harness", "--help"),
    "harness run --help": ("-m", "harness", "run", "--help"),
    "harness list": ("-m", "harness", "list"),
    "harness doctor": ("-m", "harness", "doctor"),
    "harness run, new store": RUN,
    "harness run": RUN,
    "import torch": ("-c", IMPORT.format("torch")),
    "import torch and MLflow's store": ("-c", IMPORT.format("torch, mlflow.store.tracking.sqlalchemy_store")),
}
WITH_STORE = ("harness doctor", "harness run")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--against", type=Path, help="another checkout")
    options = parser.parse_args()
    checkouts = [HERE, *([options.against.resolve()] if options.against else [])]
    heads = [f"{what}{of}" for of in ("", " before")[: len(checkouts)] for what in ("wall", "CPU", "screen")]
    heads += ["ratio of walls", "of CPU"] if options.against else []
    print(f"{of_machine()}\n")
    print(f"| command | {' | '.join(heads)} |\n|{'---|' * (len(heads) + 1)}")
    with tempfile.TemporaryDirectory() as name, _with_stores(checkouts, Path(name)) as stores:
        for command, arguments in COMMANDS.items():
            rounds = []
            for _ in range(options.repeats):
                with tempfile.TemporaryDirectory() as empty:
                    folders = {of: Path(empty, str(n)) for n, of in enumerate(checkouts)}
                    for folder in folders.values():
                        folder.mkdir()
                    rounds.append(
                        [measure(of, arguments, (stores if command in WITH_STORE else folders)[of]) for of in checkouts]
                    )
            middle = np.median(np.array(rounds), axis=0)
            shown = ["-" if np.isnan(seconds) else f"{seconds:.2f} s" for seconds in middle.flatten()]
            if options.against:
                shown += [f"{ratio:.2f}" for ratio in middle[0, :2] / middle[1, :2]]
            print(f"| `{command}` | {' | '.join(shown)} |", flush=True)


@contextmanager
def _with_stores(checkouts: list[Path], folder: Path) -> Iterator[dict[Path, Path]]:
    """For each checkout a folder in which a run was made; its byte code is compiled then, too."""
    stores = {of: folder / str(number) for number, of in enumerate(checkouts)}
    for of, store in stores.items():
        store.mkdir()
        made = [sys.executable, "-m", "harness", "run", "--epochs", "1"]
        subprocess.run(made, cwd=store, env=environment(of), check=True, **QUIET)
    yield stores


QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def environment(checkout: Path) -> dict[str, str]:
    """In which that checkout's packages are found, whatever is installed."""
    return {**os.environ, "PYTHONPATH": str(checkout), "TERM": "xterm", "OMP_NUM_THREADS": "1"}


def measure(checkout: Path, arguments: tuple[str, ...], folder: Path) -> tuple[float, float, float]:
    """Wall and CPU seconds of a command, of a run until its first epoch, and wall seconds until a terminal shows anything."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=folder, env=environment(checkout), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    if arguments is RUN:
        next(line for line in process.stdout if line.startswith("epoch 1/"))
        wall, used = time.perf_counter() - started, psutil.Process(process.pid).cpu_times()
        cpu = used.user + used.system + used.children_user + used.children_system
        process.kill()
        process.communicate()
    else:
        process.stdout.read()
        _, _, usage = os.wait4(process.pid, 0)
        wall, cpu = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
    return wall, cpu, first_sign(checkout, arguments, folder)


def first_sign(checkout: Path, arguments: tuple[str, ...], folder: Path) -> float:
    """Seconds until a command shows anything on a terminal, where it is ended; NaN for one that ends without a word."""
    ours, theirs = pty.openpty()
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=folder, env=environment(checkout), stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    try:
        os.read(ours, 1)
        seconds = time.perf_counter() - started
    except OSError:  # how Linux says that the other end was closed
        seconds = float("nan")
    process.kill()
    process.wait()
    os.close(ours)
    return seconds


if __name__ == "__main__":
    main()
