"""An evaluation of every network family with its values of a preset, of this checkout and of another side by side.

    OMP_NUM_THREADS=1 python benchmarks/step.py [--rounds 5] [--preset tuned] [--problem poisson_2d_spec] [--points 1000]
        [--models kan,mlp_bspline] [--against PATH]

What an iteration of L-BFGS or Adam evaluates: loss, gradient, and whether they are finite; pruned families have the step of the
network that they cut. Each round is a process of one thread for each checkout, in turns. A time is the median over the rounds of
the CPU time of as many evaluations as fit into 0.2 s; between two of them a parameter changes, so that nothing is found again.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from measuring import milliseconds
from overhead import HERE, of_machine


def networks() -> list[str]:
    """The families that train and don't prune."""
    from harness.config.kans import Pruning
    from harness.families import FAMILIES

    trained = ("perceptron", "implicit", "kan")
    usable = FAMILIES.usable().items()
    return [name for name, each in usable if each.kind in trained and not issubclass(each.config, Pruning)]


def of_family(model: str, preset: str, problem: str, points: int) -> float:
    """Its time here, in ms."""
    import torch

    from harness import machine, problems
    from harness.data import sample
    from harness.models import build
    from harness.presets import resolve
    from harness.training.loop import Training

    torch.set_num_threads(1)
    if hasattr(machine, "keep_freed_memory"):  # as a run does; older checkouts don't
        machine.keep_freed_memory()
    config = resolve({"model": model, "problem": problem, "preset": preset})
    known = problems.get(problem)
    data = sample(known, 0, points, 10, 10, torch.float64)
    objective = Training(build(config, known, data.train), data, config)._objective(None)

    def step() -> None:
        objective.parameters[0].data.add_(1e-9)
        objective.evaluate()

    step()
    return milliseconds(step)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--preset", default="tuned")
    parser.add_argument("--problem", default="poisson_2d_spec")
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--models", help="some of them, separated by commas")
    parser.add_argument("--against", type=Path, help="another checkout")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    models = options.models.split(",") if options.models else networks()
    if options.here:
        print(json.dumps([of_family(each, options.preset, options.problem, options.points) for each in models]))
        return
    checkouts = [HERE, *([options.against.resolve()] if options.against else [])]
    flags = [f"--{name}={getattr(options, name)}" for name in ("preset", "problem", "points")]
    command = [sys.executable, __file__, "--here", f"--models={','.join(models)}", *flags]
    found = [
        [
            json.loads(subprocess.check_output(command, env={**os.environ, "PYTHONPATH": str(each)}))
            for each in checkouts
        ]
        for _ in range(options.rounds)
    ]
    print(f"{of_machine()} {options.points} points of {options.problem}, {options.preset}, {options.rounds} rounds.\n")
    print("| family | ms |" + (" before | ratio |" if options.against else ""))
    print("|---|---|" + ("---|---|" if options.against else ""))
    for number, model in enumerate(models):
        ours, *before = (statistics.median(round_[side][number] for round_ in found) for side in range(len(checkouts)))
        print(f"| {model} | {ours:.2f} |" + "".join(f" {each:.2f} | {each / ours:.1f}x |" for each in before))


if __name__ == "__main__":
    main()
