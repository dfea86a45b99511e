"""What a study costs beyond its runs, and what its sampler and its pruning are worth.

    python benchmarks/search.py overhead     driver's time a trial, over 1,000 trials with runs that take none
    python benchmarks/search.py sampler      samplers against each other: regret after 60 trials, 5 repetitions [--study kan_rbf]
    python benchmarks/search.py pruning      training time and best value with and without, the same sampler seeds
    python benchmarks/search.py workers      the same trials as a user starts them, with one worker and with two

The runs of `sampler` and `pruning` (SIREN on the seven Poisson problems, a fifth of the epochs, 200 points) are trained here, in
this process, and not tracked: what is measured is the search. Every loss counts as one that falls (S3), or a study of so few
epochs would have nothing to compare.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Future
from statistics import mean, median

import numpy as np
import torch
from scipy.stats import bootstrap

from harness import problems
from harness.data import sample, scale2
from harness.models import build
from harness.outcome import Outcome
from harness.run import Stop, follow
from harness.training import Epoch, Event, train
from studies.driver import Desk, work
from studies.early_stopping import EarlyStop
from studies.findings import findings
from studies.measures import Measured
from studies.plan import Run, make_plan
from studies.storage import open_storage, open_study
from studies.study_config import configure
from studies.trials import OpenTrial

SMALL = {"epochs": "40", "n_train": "200", "n_val": "100", "n_test": "2"}
FALLING = {"S3": -1.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["overhead", "sampler", "pruning", "workers"])
    parser.add_argument("--trials", type=int)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--sampler_seed", type=int, default=0, help="The sampler's seed in the first repetition.")
    parser.add_argument("--samplers", default="tpe,gp,random", help="sampler: which are held against each other.")
    parser.add_argument("--study", default="siren", help="sampler: the study that is searched; one with one objective.")
    parser.add_argument("--preset", default="tuned", help="sampler: the preset that the study starts from.")
    parser.add_argument("--problem", default="section1_2,section1_3", help="sampler: the problems of the study.")
    given = parser.parse_args()
    seeds = range(given.sampler_seed, given.sampler_seed + given.repetitions)
    torch.set_num_threads(1)
    if given.what == "overhead":
        overhead(given.trials or 1000)
    elif given.what == "sampler":
        searched = {"study": given.study, "preset": given.preset, "problem": given.problem}
        sampler(given.trials or 60, seeds, given.samplers.split(","), searched)
    elif given.what == "workers":
        workers(given.trials or 20)
    else:
        pruning(given.trials or 60, seeds)


def desk(storage: str, **fields: str) -> Desk:
    config = configure({"workers": "1", "storage": storage, **fields})
    plan = make_plan(config)
    return Desk(plan, config, open_study(open_storage(config.storage), plan, config))


def drive(at: Desk, worker: Callable[[OpenTrial, Run], Measured]) -> list[float]:
    """Work through the study; the clock after each trial."""

    def submit(opened: OpenTrial, run: Run) -> Future[Measured]:
        future: Future[Measured] = Future()
        future.set_result(worker(opened, run))
        return future

    clock = [time.perf_counter()]
    for _ in work(at, submit, 1, Stop(), lambda outcome, reason, fingerprint: "", str):
        clock.append(time.perf_counter())  # noqa: PERF401  # the clock is read between two trials
    return clock


def overhead(trials: int) -> None:
    block = max(1, trials // 10)
    print(f"| storage | sampler | {' | '.join(f'{n + 1}-{n + block}' for n in range(0, trials, block))} |")
    print("|---|---|" + "---|" * 10)
    with tempfile.TemporaryDirectory() as folder:
        for storage in (f"{folder}/studies.journal", f"sqlite:///{folder}/studies.db"):
            for name in ("tpe", "gp", "random"):
                fields = {"problem": "poisson_1d_sin", "trials": str(trials), "sampler": name, "name": name}
                clock = drive(desk(storage, **fields), lambda opened, run: _instant(opened, run))
                spent = [1000 * (clock[n + block] - clock[n]) / block for n in range(0, trials, block)]
                kind = "sqlite" if "://" in storage else "journal"
                print(f"| {kind} | {name} | {' | '.join(f'{ms:.0f} ms' for ms in spent)} |", flush=True)


def _instant(opened: OpenTrial, run: Run) -> Measured:
    """A run that takes no time, of an error that depends on the values, and is never pruned to the end."""
    off = abs(float(opened.trial.params["omega0"]) - 10.0) + 0.01 * run.config.seed
    metrics = {"val/mse": 1e-4 + off}
    return Measured(run.config.problem, run.config.seed, Outcome.COMPLETED, "", "", 1.0, metrics, excess=FALLING)


def trained(at: Desk) -> Callable[[OpenTrial, Run], Measured]:
    """A worker that trains here, with the bounds of the study."""

    def worker(opened: OpenTrial, run: Run) -> Measured:
        config = run.config
        problem = problems.get(config.problem)
        data = sample(problem, config.seed, config.n_train, config.n_val, config.n_test)
        watch, stop, last = EarlyStop(at.earlier.bounds(config) if at.config.pruning else {}), Stop(), [0.0, 0.0]

        def listen(event: Event) -> None:
            stop.reason = watch(event) or stop.reason
            if isinstance(event, Epoch):
                last[:] = event.val_mse, event.train_s

        ending = follow(train(build(config, problem, data.train), data, config), listen, stop)
        metrics = {"val/mse": last[0], "time/train_s": last[1]}
        scale = scale2(data.dense.y)
        return Measured(
            config.problem,
            config.seed,
            ending.outcome,
            ending.reason,
            "",
            scale,
            metrics,
            watch.errors,
            watch.cut,
            excess=FALLING,
        )

    return worker


def search(folder: str, **fields: str) -> Desk:
    at = desk(f"{folder}/studies.journal", **SMALL, **fields)
    drive(at, trained(at))
    return at


def sampler(trials: int, seeds: range, samplers: list[str], searched: dict[str, str]) -> None:
    best: dict[str, list[float]] = {name: [] for name in samplers}
    with tempfile.TemporaryDirectory() as folder:
        for repetition in seeds:
            for name in best:
                fields = {"seeds": "1", "trials": str(trials), "pruning": "false", **searched}
                at = search(folder, **fields, sampler=name, sampler_seed=str(repetition), name=f"{name}{repetition}")
                best[name].append(at.study.best_value)
                print(f"{name}, repetition {repetition}: best log10 NMSE {best[name][-1]:.3f}", flush=True)
    least = min(value for values in best.values() for value in values)
    print(f"\n| sampler | median regret after {trials} trials | regrets (decades; the best of all is {least:.2f}) |")
    print("|---|---|---|")
    for name, values in best.items():
        regrets = sorted(value - least for value in values)
        print(f"| {name} | {median(regrets):.3f} | {', '.join(f'{regret:.3f}' for regret in regrets)} |")


def pruning(trials: int, seeds: range) -> None:
    print("| sampler seed | pruning | training, s | trials pruned | runs cut | best log10 NMSE |")
    print("|---|---|---|---|---|---|")
    totals = {"true": 0.0, "false": 0.0}
    best: dict[str, list[float]] = {"true": [], "false": []}
    with tempfile.TemporaryDirectory() as folder:
        for repetition in seeds:
            for on in ("false", "true"):
                fields = {"seeds": "3", "trials": str(trials), "pruning": on}
                at = search(folder, **fields, sampler_seed=str(repetition), name=f"{on}{repetition}")
                found = findings(at.plan, at.study)
                totals[on] += found.seconds
                best[on].append(at.study.best_value)
                cut = sum(trial.user_attrs["record"]["cut"] for trial in found.trials)
                print(
                    f"| {repetition} | {on} | {found.seconds:.1f} | {found.counts['pruned']} | {cut} "
                    f"| {at.study.best_value:.3f} |",
                    flush=True,
                )
    worse = [pruned - whole for pruned, whole in zip(best["true"], best["false"], strict=True)]
    interval = bootstrap((worse,), mean, rng=np.random.default_rng(0)).confidence_interval
    print(
        f"\nPruning saves {1 - totals['true'] / totals['false']:.0%} of the training time; the best value is worse by "
        f"{mean(worse):.3f} decades in the mean (95%: {interval.low:.3f} to {interval.high:.3f})."
    )


def workers(trials: int) -> None:
    """Random trials, all of them to the end, so that both studies train the same networks."""
    print("| workers | trials | wall s | trials an hour | ratio |")
    print("|---|---|---|---|---|")
    first: float | None = None
    for count in (1, 2):
        fields = {"trials": trials, "workers": count, "seeds": 1, "sampler": "random", "pruning": "false"}
        command = [sys.executable, "-m", "harness", "study", *(f"--{name}={value}" for name, value in fields.items())]
        with tempfile.TemporaryDirectory() as folder:
            environment = os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
            started = time.perf_counter()
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            wall = time.perf_counter() - started
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)} exited with {done.returncode}:\n{done.stdout}{done.stderr}")
        first = first or wall
        print(f"| {count} | {trials} | {wall:.0f} | {3600 * trials / wall:.0f} | {first / wall:.2f} |", flush=True)


if __name__ == "__main__":
    main()
