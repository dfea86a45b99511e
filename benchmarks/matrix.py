"""Train every model on every problem with every preset into one store, two runs at a time.

python benchmarks/matrix.py STORE [--epochs 200] [--seed 0] [--workers 2] [--models kan] [--presets lm]

docs/results.md is made from the store: python docs/write.py results STORE
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context


def train(model: str, problem: str, preset: str, epochs: int, seed: int) -> str:
    """One tracked run; the line that says how it went."""
    from harness.presets import resolve
    from harness.run import run

    result = run(resolve({"model": model, "problem": problem, "preset": preset, "epochs": epochs, "seed": seed}))
    mse = result.metrics.get("final/dense_mse", float("nan"))
    return f"{preset:6} {model:12} {problem:20} {result.ending.outcome.value:10} {mse:.2e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--models", default="", help="comma-separated; all unless given")
    parser.add_argument("--presets", default="", help="comma-separated; all unless given")
    given = parser.parse_args()
    os.environ |= {"MLFLOW_TRACKING_URI": given.store, "OMP_NUM_THREADS": "1"}
    from harness.families import FAMILIES
    from harness.presets import names
    from harness.problems import PROBLEMS

    with ProcessPoolExecutor(given.workers, mp_context=get_context("spawn")) as pool:
        cells = [
            pool.submit(train, model, problem, preset, given.epochs, given.seed)
            for preset in given.presets.split(",") * bool(given.presets) or names()
            for problem in PROBLEMS.names()
            for model in given.models.split(",") * bool(given.models) or FAMILIES.names()
        ]
        for done, cell in enumerate(as_completed(cells), 1):
            print(f"{done}/{len(cells)}  {cell.result()}", flush=True)


if __name__ == "__main__":
    main()
