"""Time and memory of the full report of a large store, which is made here: real runs, copied as rows and hard links.

    python benchmarks/report.py [--runs 2500 5000 10000] [--epochs 200] [--keep FOLDER] [--before CHECKOUT] [--repeats 3]
    [--cells 50]

Copies differ from their original in seed and fingerprint, and their final metrics by a random factor; a tenth have diverged.
Before that: the report of a small store of 40 runs, and ``harness list``. After that, for each size of a store: how long it takes
to find what has a result, and cells a second that are claimed, recorded (1,000 metrics) and closed one after the other. With
``--before`` every report and list is also made by the code in another checkout, in turns; told are medians.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

PRESETS = ("tuned", "lm", "seed")
VERSIONS = ("mlflow", "numpy", "pyarrow", "matplotlib", "scipy")
METRICS = 1000
"""That a recorded cell has: five curves of 200 epochs."""


@dataclass(frozen=True)
class Spent:
    """What a command took."""

    seconds: float
    cpu: float
    memory: float
    """Peak of all its processes, in MB; what they share counts once."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[2500, 5000, 10_000])
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--keep", type=Path, help="Make the stores here and leave them.")
    parser.add_argument("--before", type=Path, help="A checkout of the code to hold this one against.")
    parser.add_argument("--repeats", type=int, default=3, help="How often each report and list is made.")
    parser.add_argument("--cells", type=int, default=50, help="Cells to record in each store.")
    given = parser.parse_args()
    tell_the_machine()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.keep or Path(temporary)).absolute()
        tell_reports(folder, given.runs, given.epochs, given.before, given.repeats)
        tell_lists(folder, given.before, given.repeats)
        tell_growth(folder, given.runs, given.cells)


def tell_the_machine() -> None:
    from harness.machine import cores, processor

    known = ", ".join(f"{name} {version(name)}" for name in VERSIONS)
    print(
        f"{processor()}, {cores()} cores, load {os.getloadavg()[0]:.1f}; Python {platform.python_version()}, {known}\n"
    )


def tell_reports(folder: Path, counts: list[int], epochs: int, before: Path | None, repeats: int) -> None:
    """A line for the small store, and for a store of each size."""
    print(
        "| runs | store made, s | report, s | CPU, s | peak memory, MB | HTML, MB | before: s | CPU, s | MB | ratio |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    originals = folder / "originals"
    for count in (40, *counts):
        store = folder / ("small" if count == 40 else str(count))
        started = time.perf_counter()
        if not (store / "mlflow.db").exists():
            if count == 40:
                make_small(store, epochs)
            else:
                if not (originals / "mlflow.db").exists():
                    make_originals(originals, epochs)
                multiply(originals, store, count)
        made = time.perf_counter() - started
        now, then = beside("report", store, before, repeats)
        size = (store / "report" / "report.html").stat().st_size / 2**20
        own = f"{count} | {made:.0f} | {now.seconds:.1f} | {now.cpu:.1f} | {now.memory:.0f} | {size:.1f}"
        print(f"| {own} | {compared(now, then, memory=True)} |", flush=True)


def tell_lists(folder: Path, before: Path | None, repeats: int) -> None:
    """A line for each list."""
    from harness.cli import LISTED

    print("\n| list | s | CPU, s | peak memory, MB | before: s | CPU, s | ratio |\n|---|---|---|---|---|---|---|")
    for kind in ("", "problems", *LISTED):
        now, then = beside(f"list {kind}", folder, before, repeats)
        print(
            f"| {kind or 'all'} | {now.seconds:.2f} | {now.cpu:.2f} | {now.memory:.0f} | {compared(now, then)} |",
            flush=True,
        )


def compared(now: Spent, then: Spent | None, *, memory: bool = False) -> str:
    """What the code before took, and how many times as long that is."""
    if then is None:
        return " | ".join(["–"] * (3 + memory))
    figures = [f"{then.seconds:.2f}", f"{then.cpu:.2f}", *([f"{then.memory:.0f}"] if memory else [])]
    return " | ".join([*figures, f"{then.seconds / now.seconds:.2f}"])


def tell_growth(folder: Path, counts: list[int], cells: int) -> None:
    """A line for a store of each size: what a driver and a worker ask of it, one cell after the other."""
    print(
        f"\n| runs in the store | results found, s | cells recorded a second ({METRICS} metrics each) | ms of CPU each |"
    )
    print("|---|---|---|---|", flush=True)
    for name, count in (("small", 40), *((str(count), count) for count in counts)):
        found, wall, cpu = record_cells(folder / name, cells)
        print(f"| {count} | {found:.2f} | {cells / wall:.1f} | {1000 * cpu / cells:.0f} |", flush=True)


def record_cells(store: Path, cells: int) -> tuple[float, float, float]:
    """Seconds to find all results, and wall and CPU seconds to claim, record and close cells; they are deleted afterwards."""
    from mlflow.entities import Metric

    from harness.tracking.claims import Claimed, claim
    from harness.tracking.results import results
    from harness.tracking.store import experiment_of, open_store

    os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{store / 'mlflow.db'}"
    client = open_store()
    experiment = experiment_of(client, "section1_1").experiment_id
    results(client)
    started = time.perf_counter()
    results(client)
    found = time.perf_counter() - started
    made, wall, cpu = [], time.perf_counter(), time.process_time()
    for number in range(cells):
        claimed = claim(client, f"growth {os.getpid()} {number}", experiment, "growth", {})
        assert isinstance(claimed, Claimed)
        now = int(time.time() * 1000)
        metrics = [Metric(f"metric {each % 5}", 0.5, now, each // 5) for each in range(METRICS)]
        client.log_batch(claimed.run_id, metrics=metrics)
        client.set_tag(claimed.run_id, "outcome", "completed")
        client.set_terminated(claimed.run_id)
        made.append(claimed.run_id)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    for run_id in made:
        client.delete_run(run_id)
    return found, wall, cpu


def make_small(folder: Path, epochs: int) -> None:
    """A benchmark of 40 runs: four families on a problem of each dimension, five seeds."""
    folder.mkdir(parents=True, exist_ok=True)
    benchmark(folder, epochs, "--suite", "smoke", "--models", "mlp,siren,kan,kan_pruned", "--seeds", "5")


def make_originals(folder: Path, epochs: int) -> None:
    """One seed of section1 with all presets, on few points: what a run computes does not matter here, what it leaves does."""
    folder.mkdir(parents=True, exist_ok=True)
    benchmark(folder, epochs, "--suite", "section1", "--seeds", "1", "--preset", ",".join(PRESETS))


def benchmark(folder: Path, epochs: int, *chosen: str) -> None:
    fields = ["--n_train", "60", "--n_val", "30", "--n_test", "60", "--epochs", str(epochs), "--workers", "2"]
    command = [sys.executable, "-m", "harness", "benchmark", *chosen, *fields]
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}"}
    subprocess.run(command, cwd=folder, env=environment, check=False, stdout=subprocess.DEVNULL)


def multiply(originals: Path, store: Path, count: int) -> None:
    """A store of ``count`` runs: the rows of the original ones under new ids, their artifacts as hard links."""
    store.mkdir()
    subprocess.run(["cp", "-al", str(originals / "mlruns"), str(store / "mlruns")], check=True)
    with (
        closing(sqlite3.connect(originals / "mlflow.db")) as source,
        closing(sqlite3.connect(store / "mlflow.db")) as db,
    ):
        source.backup(db)
        for table, column in (("runs", "artifact_uri"), ("experiments", "artifact_location")):
            db.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(originals), str(store)))
        ((_, uri),) = db.execute(
            "SELECT r.run_uuid, r.artifact_uri FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid AND t.key = 'benchmark' "
            "WHERE NOT EXISTS (SELECT 1 FROM tags p WHERE p.run_uuid = r.run_uuid AND p.key = 'mlflow.parentRunId')"
        ).fetchall()
        runs = db.execute(
            "SELECT r.* FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid AND t.key = 'fingerprint' WHERE r.status = 'FINISHED'"
        ).fetchall()
        columns = [name for _, name, *_ in db.execute("PRAGMA table_info(runs)")]
        plan_file = Path(uri) / "plan.json"
        plan = json.loads(plan_file.read_text())
        rows = [dict(zip(plan["columns"], row, strict=True)) for row in plan["data"]]
        by_fingerprint = {row["fingerprint"]: row for row in rows}
        done = {value for (value,) in db.execute("SELECT value FROM tags WHERE key = 'fingerprint'")}
        rows = [row for row in rows if row["fingerprint"] in done]
        chance = random.Random(0)
        rows += [
            copy_run(db, columns, runs[number % len(runs)], number, by_fingerprint, chance)
            for number in range(count - len(runs))
        ]
        plan_file.unlink()  # it is a hard link to the original's
        plan_file.write_text(
            json.dumps({"columns": plan["columns"], "data": [[r[c] for c in plan["columns"]] for r in rows]})
        )
        db.commit()


def copy_run(
    db: sqlite3.Connection,
    columns: list[str],
    original: tuple[object, ...],
    number: int,
    plan: dict[str, dict[str, object]],
    chance: random.Random,
) -> dict[str, object]:
    """One run more. Gives its line of the plan."""
    fields = dict(zip(columns, original, strict=True))
    old, new = str(fields["run_uuid"]), hashlib.md5(str(number).encode()).hexdigest()
    fields |= {"run_uuid": new, "artifact_uri": str(fields["artifact_uri"]).replace(old, new)}
    folder = Path(str(fields["artifact_uri"]))
    link_folder(Path(str(dict(zip(columns, original, strict=True))["artifact_uri"])), folder)
    db.execute(f"INSERT INTO runs VALUES ({','.join('?' * len(columns))})", [fields[name] for name in columns])
    ((before,),) = db.execute("SELECT value FROM tags WHERE run_uuid = ? AND key = 'fingerprint'", (old,)).fetchall()
    seed, diverged = number + 1, number % 10 == 7
    db.execute("INSERT INTO tags SELECT key, value, ? FROM tags WHERE run_uuid = ?", (new, old))
    db.execute("UPDATE tags SET value = ? WHERE run_uuid = ? AND key = 'fingerprint'", (new, new))
    db.execute("INSERT INTO params SELECT key, value, ? FROM params WHERE run_uuid = ?", (new, old))
    db.execute("UPDATE params SET value = ? WHERE run_uuid = ? AND key = 'cfg/seed'", (str(seed), new))
    final = " AND key NOT LIKE 'final/%'" if diverged else ""
    db.execute(
        "INSERT INTO latest_metrics SELECT key, value * (CASE WHEN key LIKE 'final/d%' THEN ? ELSE 1 END), timestamp, step, "
        f"is_nan, ? FROM latest_metrics WHERE run_uuid = ?{final}",
        (10 ** chance.gauss(0, 0.5), new, old),
    )
    if diverged:
        db.execute("UPDATE tags SET value = 'diverged' WHERE run_uuid = ? AND key = 'outcome'", (new,))
    return plan[before] | {"seed": seed, "fingerprint": new}


def link_folder(source: Path, target: Path) -> None:
    """A copy of a folder whose files are hard links."""
    for path in source.rglob("*"):
        if path.is_file():
            into = target / path.relative_to(source)
            into.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, into)


def beside(command: str, store: Path, before: Path | None, repeats: int) -> tuple[Spent, Spent | None]:
    """What ``harness COMMAND`` takes with this code, and with that of another checkout; medians of turns."""
    checkouts = [Path(__file__).parents[1], *([before] if before else [])]
    turns = [[measure(command, store, checkout) for checkout in checkouts] for _ in range(repeats)]
    now, *then = (
        Spent(statistics.median(wall), statistics.median(cpu), peak(command, store, checkout))
        for checkout, of in zip(checkouts, zip(*turns, strict=True), strict=True)
        for wall, cpu in [zip(*of, strict=True)]
    )
    return now, then[0] if then else None


def measure(command: str, store: Path, checkout: Path) -> tuple[float, float]:
    """Seconds, and CPU seconds, of ``harness COMMAND`` with the code of a checkout."""
    started = time.perf_counter()
    process = begin(command, store, checkout)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"harness {command} failed with status {status}")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime


def peak(command: str, store: Path, checkout: Path) -> float:
    """The most memory that all its processes have, in MB. A run of its own: to look at that slows it down."""
    process, memory = begin(command, store, checkout), 0.0
    while process.poll() is None:
        memory = max(memory, memory_of(process))
        time.sleep(0.1)
    return memory


def begin(command: str, store: Path, checkout: Path) -> psutil.Popen:
    """``harness COMMAND`` with the code of a checkout."""
    uri = f"sqlite:///{store / 'mlflow.db'}"
    environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "PYTHONPATH": str(checkout.absolute())}
    arguments = [sys.executable, "-m", "harness", *command.split()]
    return psutil.Popen(arguments, cwd=store, env=environment, stdout=subprocess.DEVNULL)


def memory_of(process: psutil.Process) -> float:
    """MB of a process and those below it."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        for each in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                said = each.memory_full_info()
                total += getattr(said, "pss", said.uss)
    return total / 2**20


if __name__ == "__main__":
    main()
