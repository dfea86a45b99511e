"""Seconds and memory that a table of 200,000 rows and 10 columns takes until it is split: python benchmarks/table.py [rows]."""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from harness.problems.table import read, split

ROWS, COLUMNS = 200_000, 10


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    import pyarrow as pa
    from pyarrow import csv, parquet

    numbers = np.random.default_rng(0).normal(size=(COLUMNS, rows))
    table = pa.table({f"c{i}": column for i, column in enumerate(numbers)})
    with tempfile.TemporaryDirectory() as folder:
        csv.write_csv(table, Path(folder, "rows.csv"))
        parquet.write_table(table, Path(folder, "rows.parquet"))
        for name in ("rows.parquet", "rows.csv"):
            start = time.perf_counter()
            found = read(Path(folder, name), outputs=["c9"])
            split(found, 0)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
            print(f"{name:<14}{time.perf_counter() - start:6.2f} s   peak of the process so far {peak:,.0f} MB")


if __name__ == "__main__":
    main()
