"""Draws mutants of cosmic-ray's at random, runs the tests of their area on each, and prints killed and survived.

``python tests/mutants/sample.py AREA COUNT [SEED]`` for an area of ``AREAS``; cosmic-ray 8 has to be installed
(``pip install cosmic-ray``), and the checkout has to be clean, since a mutant is written into a copy of its last commit.
What survived on which date, and why, is in docs/mutants.md.
"""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).parents[2]
AREAS = {
    "training": (
        ["harness/training", "harness/methods"],
        "tests/training/test_rows.py tests/methods tests/training tests/test_machine.py",
    ),
    "models": (["harness/models"], "tests/models tests/methods/test_levenberg_marquardt.py"),
    "verdicts": (["reports/verdicts"], "tests/reports/verdicts tests/reports/test_hostile.py"),
    "claims": (["harness/tracking/claims.py"], "tests/tracking/test_claims.py tests/tracking/test_liveness.py"),
}
"""Where mutants are set, and the tests that should find them."""
NO_FAULTS = ("ReplaceBinaryOperator_BitOr", "ReplaceUnaryOperator_Delete_Not")
"""Operators that change annotations, which nothing reads at run time, or repeat another operator."""
CONFIG = """
[cosmic-ray]
module-path = {modules}
timeout = {timeout}
excluded-modules = ["**/__init__.py"]
test-command = "{command}"

[cosmic-ray.distributor]
name = "local"
"""


def main(area: str, count: int, seed: int) -> int:
    """Run ``count`` mutants of an area; 0 when at least 85% are killed."""
    modules, tests = AREAS[area]
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / "copy"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(copy)], check=True)
        command = f"{sys.executable} -B -m pytest -x -q -p no:cacheprovider {tests}"
        longest = 30 + 3 * _seconds(copy, command)
        (copy / "cr.toml").write_text(CONFIG.format(modules=modules, command=command, timeout=longest))
        _cosmic_ray(copy, "init", "cr.toml", "cr.sqlite")
        drawn, of = _draw(copy / "cr.sqlite", count, seed)
        _cosmic_ray(copy, "exec", "cr.toml", "cr.sqlite")
        with closing(sqlite3.connect(copy / "cr.sqlite")) as database:
            query = "SELECT w.test_outcome, m.module_path, m.start_pos_row, m.operator_name, w.diff FROM work_results w"
            rows = database.execute(f"{query} JOIN mutation_specs m ON m.job_id = w.job_id ORDER BY 2, 3").fetchall()
    killed = sum(outcome == "KILLED" for outcome, *_ in rows)
    for outcome, path, line, operator, diff in rows:
        if outcome != "KILLED":
            changed = [text for text in diff.splitlines() if text[:1] in "+-" and text[:3] not in ("+++", "---")]
            sys.stdout.write(f"{outcome} {path}:{line} {operator}\n  " + "\n  ".join(changed) + "\n")
    sys.stdout.write(f"{area}: {killed} of {drawn} killed, drawn from {of} (seed {seed})\n")
    return 0 if killed >= 0.85 * drawn else 1


def _seconds(copy: Path, command: str) -> float:
    """How long the tests take without a mutant. Raises where they fail: each mutant would count as killed then."""
    started = time.monotonic()
    subprocess.run(command.split(), cwd=copy, env=_environment(copy), check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - started


def _cosmic_ray(copy: Path, *arguments: str) -> None:
    subprocess.run([_program(), *arguments], cwd=copy, env=_environment(copy), check=True, stdout=subprocess.DEVNULL)


def _environment(copy: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}


def _program() -> str:
    beside = Path(sys.executable).with_name("cosmic-ray")
    return str(beside) if beside.exists() else "cosmic-ray"


def _draw(path: Path, count: int, seed: int) -> tuple[int, int]:
    """Leave ``count`` mutants in the session; how many that are, and of how many."""
    with closing(sqlite3.connect(path)) as database:
        found = database.execute("SELECT job_id, operator_name FROM mutation_specs ORDER BY job_id").fetchall()
        ids = [job for job, operator in found if not any(each in operator for each in NO_FAULTS)]
        place = "module_path, start_pos_row, start_pos_col, operator_name, occurrence"
        places = database.execute(f"SELECT job_id, {place} FROM mutation_specs")
        order = {job: at for job, *at in places}
        ids.sort(key=lambda job: order[job])  # job ids are random themselves
        kept = random.Random(seed).sample(ids, min(count, len(ids)))
        for table in ("mutation_specs", "work_items"):
            marks = ",".join("?" * len(kept))
            database.execute(f"DELETE FROM {table} WHERE job_id NOT IN ({marks})", kept)
        database.commit()
    return len(kept), len(ids)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0))
