"""What a table of 200,000 rows and 10 columns costs on one thread: python benchmarks/table.py [rows].

Until it is split, from both kinds of file; then each run of one epoch, in a process of its own: CPU seconds from the start of
the process to the end of the first epoch, those of the whole run with its figures and its logged model, and peak memory.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

ROWS, COLUMNS = 200_000, 10
RUNS: list[dict[str, Any]] = [
    {"model": model, **how}
    for model in ("mlp", "siren", "kan")
    for how in ({"preset": "tuned"}, {"preset": "lm"}, {"preset": "tuned", "optimizer": "adam", "batch": 1024})
]


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["OMP_NUM_THREADS"] = "1"
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{folder}/mlflow.db"
        write(rows)
        for file in ("rows.parquet", "rows.csv"):
            seconds, peak = alone(until_split, file)
            print(f"{file:<36}{seconds:6.1f} s until it is split{peak:14,.0f} MB")
        for fields in RUNS:
            first, seconds, peak = alone(one_epoch, fields)
            print(
                f"{' '.join(map(str, fields.values())):<36}{first:6.1f} s, whole run {seconds:6.1f} s{peak:12,.0f} MB"
            )


def write(rows: int) -> None:
    """The table as CSV and as Parquet: a smooth function of nine inputs, with noise."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, (COLUMNS - 1, rows))
    y = np.sin(np.arange(1, COLUMNS) / 4 @ x) + x[0] * x[1] + 0.1 * random.normal(size=rows)
    table = pa.table({**{f"c{i}": column for i, column in enumerate(x)}, "y": y})
    csv.write_csv(table, "rows.csv")
    parquet.write_table(table, "rows.parquet")


def until_split(file: str) -> tuple[float, float]:
    """CPU seconds, without imports, and peak MB."""
    from harness.problems.table import read, split

    start = time.process_time()
    split(read(Path(file), outputs=["y"]), 0)
    return time.process_time() - start, peak_mb()


def one_epoch(fields: dict[str, Any]) -> tuple[float, float, float]:
    """CPU seconds of the process to the end of the first epoch and of the run, and peak MB."""
    from harness.presets import resolve
    from harness.run import run
    from harness.training import Epoch, Event

    reached: list[float] = []

    def listen(event: Event) -> None:
        if isinstance(event, Epoch):
            reached.append(time.process_time())

    run(resolve({"data": "rows.csv", "outputs": "y", "epochs": 1, **fields}), listen)
    return reached[0], time.process_time(), peak_mb()


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def alone(function: Any, argument: Any) -> Any:
    """What the function gives in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, (argument,))


if __name__ == "__main__":
    main()
