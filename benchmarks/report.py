"""Time and memory of the full report of a large store, which is made here: real runs, copied as rows and hard links.

python benchmarks/report.py [--runs 2500 5000 10000] [--epochs 200] [--keep FOLDER]

Copies differ from their original in seed and fingerprint, and their final metrics by a random factor; a tenth have diverged.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

PRESETS = ("tuned", "lm", "seed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, nargs="+", default=[2500, 5000, 10_000])
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--keep", type=Path, help="Make the stores here and leave them.")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.keep or Path(temporary)
        originals = folder / "originals"
        if not (originals / "mlflow.db").exists():
            originals.mkdir(parents=True, exist_ok=True)
            make_originals(originals, given.epochs)
        print("| runs | store made, s | report, s | of it CPU, s | peak memory, MB | HTML, MB |", flush=True)
        print("|---|---|---|---|---|---|", flush=True)
        for count in given.runs:
            store = folder / str(count)
            started = time.perf_counter()
            if not store.exists():
                multiply(originals, store, count)
            made = time.perf_counter() - started
            seconds, cpu, memory = measure(store)
            size = (store / "report" / "report.html").stat().st_size / 2**20
            print(f"| {count} | {made:.0f} | {seconds:.1f} | {cpu:.1f} | {memory:.0f} | {size:.1f} |", flush=True)


def make_originals(folder: Path, epochs: int) -> None:
    """One seed of section1 with all presets, on few points: what a run computes does not matter here, what it leaves does."""
    fields = ["--n_train", "60", "--n_val", "30", "--n_test", "60", "--epochs", str(epochs)]
    command = ["benchmark", "--suite", "section1", "--seeds", "1", "--preset", ",".join(PRESETS), "--workers", "2"]
    subprocess.run(
        [sys.executable, "-m", "harness", *command, *fields], cwd=folder, check=False, stdout=subprocess.DEVNULL
    )


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


def measure(store: Path) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds, and peak resident memory in MB, of ``harness report``."""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{store / 'mlflow.db'}"}
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", "report"], cwd=store, env=environment, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"the report failed with status {status}")
    unit = 1024**2 if sys.platform == "darwin" else 1024
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit


if __name__ == "__main__":
    main()
