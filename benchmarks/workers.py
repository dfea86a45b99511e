"""Workers of a driver, forked from a process that has imported what they need, and spawned: how soon they are there, and memory.

    python benchmarks/workers.py [--repeats 5] [--workers 2]

Forked is the way on Linux, spawned that of macOS, and of Linux where the fork server can't be had. Each repeat is a driver of
its own, the two ways in turns; medians. "First": from the moment at which a driver asks for its first worker until this has
multiplied two matrices; a real driver has asked before it opens its store. "Next": the same for one that takes the place of a
worker that has ended, and what it takes of the CPU. Memory is the proportional set size (PSS) of the driver and of all
processes below it, with all workers idle: what several of them share is counted once.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
from overhead import of_machine

from harness.execution import isolation
from harness.execution.isolation import Limits, discard_child, end_children, isolated
from harness.loading import load

WAYS = ("forked", "spawned")


def multiply(size: int) -> float:
    """Something that needs torch; the CPU seconds of its process so far."""
    import torch

    torch.ones(size, size) @ torch.ones(size, size)
    return time.process_time()


def of_driver(way: str, workers: int) -> dict[str, float]:
    """Figures of this process as a driver."""
    isolation.FORKS = way == "forked"
    load("harness.run")  # as a driver has it

    def fresh() -> tuple[float, float]:
        started = time.perf_counter()
        cpu = isolated(multiply, 100, Limits())
        passed = time.perf_counter() - started
        discard_child()
        return passed, cpu

    found = {"first, s": fresh()[0]}
    found["next, s"], found["next, CPU s"] = fresh()
    here = threading.Barrier(workers)

    def wait_for_all(_: int) -> None:
        isolated(multiply, 100, Limits())
        here.wait()

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(wait_for_all, range(workers)))
        family = [psutil.Process(), *psutil.Process().children(recursive=True)]
        found[f"MB with {workers} workers"] = sum(each.memory_full_info().pss for each in family) / 1e6
        end_children()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        print(json.dumps(of_driver(options.way, options.workers)))
        return
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    for _ in range(options.repeats):
        for way, measured in found.items():
            command = [sys.executable, __file__, f"--way={way}", f"--workers={options.workers}"]
            measured.append(json.loads(subprocess.check_output(command)))
    print(f"{of_machine()} Medians of {options.repeats}.\n\n| | {' | '.join(WAYS)} |\n|---|---|---|")
    for what in found[WAYS[0]][0]:
        medians = (statistics.median(each[what] for each in measured) for measured in found.values())
        print(f"| {what} | {' | '.join(f'{median:.3g}' for median in medians)} |")


if __name__ == "__main__":
    main()
