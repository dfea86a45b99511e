"""Start-up time and memory of whole commands, each in processes of its own.

python benchmarks/start.py [--repeats 5]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

COMMANDS = {
    "harness --help": ["--help"],
    "harness run --help": ["run", "--help"],
    "harness run (defaults)": ["run"],
    "harness run --model kan_pruned": ["run", "--model", "kan_pruned"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print("| command | median, s | peak memory, MB |")
    print("|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, arguments in COMMANDS.items():
            times, peaks = zip(*(measure(arguments, folder) for _ in range(repeats)), strict=True)
            print(f"| `{name}` | {statistics.median(times):.2f} | {statistics.median(peaks):.0f} |", flush=True)


def measure(arguments: list[str], folder: str) -> tuple[float, float]:
    """Wall seconds, and the peak resident memory in MB, of one process."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", *arguments], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, _, usage = os.wait4(process.pid, 0)
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return time.perf_counter() - started, usage.ru_maxrss / unit


if __name__ == "__main__":
    main()
