"""Kills with SIGKILL at spread moments, and what they cost: each subcommand is a campaign, and prints its figures.

python benchmarks/kills.py fresh --kills 40
python benchmarks/kills.py drivers --kills 20 --store server
python benchmarks/kills.py workers --kills 20 --store postgresql
python benchmarks/kills.py studies --kills 10 --store sqlite
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # for the servers of the tests

from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Run  # noqa: E402

from tests.postgres import Server, binaries  # noqa: E402
from tests.support import served  # noqa: E402

RUN = ("run", "--model", "mlp", "--problem", "poisson_1d_sin", "--epochs", "2", "--width", "4", "--n_train", "20")
START_S = 120.0
"""Until a command must have reached the opening of the store."""


SUITE = """
summary: Cells of a moment each.
problems: [poisson_1d_sin, poisson_2d_sin]
fields: {epochs: 4, n_train: 30, n_val: 20, n_test: 20}
variants:
  - {models: [siren], fields: {width: 4}}
  - {models: [kan, kan_pruned], fields: {width: 2, grids: [3]}}
"""
CELLS_A_SEED = 6
STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
OF_OTHERS: tuple[dict[str, str], ...] = (
    {},
    {"owner": "alice"},
    {"owner": "host/12/1.00", "fingerprint": "f"},
    {"benchmark": "b", "suite": "s", "heartbeat": "1"},
)
"""Tags of runs that are not of this project, some of which look like it."""


def command(folder: Path, *arguments: str, store: str | None = None) -> subprocess.Popen[str]:
    """``harness`` with these arguments in a folder, its store there or at ``store``, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "harness", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": store or f"sqlite:///{folder}/mlflow.db"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL to the process and its children."""
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def end(driver: subprocess.Popen[str], *, with_workers: bool) -> None:
    """SIGKILL to a driver, and its workers with it as a power cut does, or left to find out."""
    if with_workers:
        kill(driver)
    else:
        driver.kill()
        driver.communicate()


def fresh(kills: int, seconds: float) -> int:
    """Kill ``harness run`` in the first seconds of a fresh store, and say whether the next command works."""
    states: Counter[str] = Counter()
    broken = 0
    for number in range(kills):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            moment = seconds * number / max(1, kills - 1)
            process = command(folder, *RUN)
            reached = _reaches_the_store(folder, process)
            time.sleep(max(0.0, reached + moment - time.monotonic()))
            state = _state(folder) if process.poll() is None else "over"
            if process.poll() is None:
                kill(process)
            states[state] += 1
            after = command(folder, *RUN)
            _, said = after.communicate()
            left = [path.name for path in folder.iterdir() if ".new" in path.name]
            works = after.returncode == 0 and not left
            broken += not works
            print(f"{moment:5.2f} s  {state:<24} next: {'works' if works else f'FAILS {left} {said}'}", flush=True)
    print(f"{kills} kills: " + ", ".join(f"{count} {state}" for state, count in states.items()))
    print(f"the next command works after {kills - broken} of {kills}")
    return 1 if broken else 0


def _reaches_the_store(folder: Path, process: subprocess.Popen[str]) -> float:
    """When the first file appears, which is the lock of a store that is about to be made."""
    deadline = time.monotonic() + START_S
    while not any(folder.iterdir()):
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the command did not reach the store: {process.communicate()[1]}")
        time.sleep(0.001)
    return time.monotonic()


def _state(folder: Path) -> str:
    if (folder / "mlruns").exists():
        return "with a run"
    if (folder / "mlflow.db").exists():
        return "with a store"
    return "while it was being made" if (folder / "mlflow.db.new").exists() else "before"


@contextmanager
def place(kind: str, folder: Path) -> Iterator[str]:
    """The address of a new store of a kind: ``sqlite``, ``postgresql``, or an MLflow ``server``."""
    if kind == "sqlite":
        yield f"sqlite:///{folder}/mlflow.db"
    elif kind == "server":
        kept = ["--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(folder / "kept")]
        with served(["server", "--workers", "2", *kept], folder) as address:
            yield address
    else:
        programs = binaries()
        if programs is None:
            raise SystemExit("this campaign needs Debian's postgresql")
        database = Server(programs)
        try:
            yield database.fresh_database()
        finally:
            database.remove()


def of_others(client: MlflowClient) -> dict[str, Any]:
    """Everything that the store has of other people's runs."""
    found = client.search_runs(["0"], "attributes.run_name = 'of others'")
    return {run.info.run_id: run.to_dictionary() for run in found}


def add_others(client: MlflowClient) -> dict[str, Any]:
    """Old runs of other people, of every status. Gives all that they hold."""
    for tags in OF_OTHERS:
        for status in STATUSES:
            run = client.create_run("0", run_name="of others", start_time=1_000_000_000_000, tags=tags)
            client.update_run(run.info.run_id, status=status)
    return of_others(client)


def ours(client: MlflowClient) -> list[Run]:
    """The runs of the campaign."""
    experiments = [each.experiment_id for each in client.search_experiments() if each.experiment_id != "0"]
    return list(client.search_runs(experiments, max_results=50_000)) if experiments else []


def account(client: MlflowClient, planned: int, before: dict[str, Any], key: str) -> bool:
    """Print what became of the runs, told apart by the tag ``key``, and of other people's. True if all is as it should be."""
    runs = ours(client)
    done = [run.data.tags[key] for run in runs if key in run.data.tags and run.data.tags.get("outcome") == "completed"]
    lost, doubled = planned - len(set(done)), len(done) - len(set(done))
    running = sum(run.info.status == "RUNNING" for run in runs)
    closed = sum(run.data.tags.get("outcome.reason", "").startswith("Left behind") for run in runs)
    touched = sum(run != before.get(run_id) for run_id, run in of_others(client).items())
    print(
        f"of {planned}: {lost} lost, {doubled} doubled, {running} RUNNING; {closed} were closed as left behind; "
        f"{touched} of {len(before)} runs of others touched",
        flush=True,
    )
    return not (lost or doubled or running or touched)


def benchmark(folder: Path, store: str, seeds: int) -> subprocess.Popen[str]:
    """The driver of a benchmark."""
    (folder / "quick.yaml").write_text(SUITE)
    fields = {"suite": "quick.yaml", "seeds": str(seeds), "preset": "seed", "workers": "2"}
    return command(folder, "benchmark", *(f"--{name}={value}" for name, value in fields.items()), store=store)


def workers_of(driver: subprocess.Popen[str]) -> list[psutil.Process]:
    """The worker processes of a driver: those forked from the one that imports, which looks the same and is their parent."""
    found = []
    with suppress(psutil.NoSuchProcess):
        for process in psutil.Process(driver.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                both = (process, process.parent() or process)
                found += [process] if all("forkserver" in " ".join(each.cmdline()) for each in both) else []
    return found


def drivers(kills: int, kind: str) -> int:
    """Kill the driver of a benchmark, every other time with its workers, and start it again; then let it finish."""
    moments, hit = random.Random(20251024), 0
    with tempfile.TemporaryDirectory() as name, place(kind, Path(name)) as store:
        folder, seeds = Path(name), kills
        first = benchmark(folder, store, seeds)
        _until(lambda: len(ours(MlflowClient(store))) > 1, first)
        client = MlflowClient(store)
        before = add_others(client)
        first.kill()
        for number in range(1, kills):
            driver = benchmark(folder, store, seeds)
            count = len(ours(client))
            _until(lambda count=count: len(ours(client)) > count, driver)
            time.sleep(moments.uniform(0, 2))
            hit += driver.poll() is None
            end(driver, with_workers=number % 2 == 1)
        _finish(lambda: benchmark(folder, store, seeds))
        print(f"{1 + hit} kills of the driver on {kind}: ", end="")
        return 0 if account(client, CELLS_A_SEED * seeds, before, "fingerprint") else 1


def workers(kills: int, kind: str) -> int:
    """Kill a worker of a benchmark at a time, while its driver goes on."""
    chance, hit = random.Random(20251024), 0
    with tempfile.TemporaryDirectory() as name, place(kind, Path(name)) as store:
        folder, seeds = Path(name), kills
        driver = benchmark(folder, store, seeds)
        _until(lambda: len(ours(MlflowClient(store))) > 1, driver)
        client = MlflowClient(store)
        before = add_others(client)
        while hit < kills and driver.poll() is None:
            count = len(ours(client))
            _until(lambda count=count: len(ours(client)) > count, driver)
            time.sleep(chance.uniform(0, 1))
            if found := workers_of(driver):
                chance.choice(found).kill()
                hit += 1
        driver.communicate()
        _finish(lambda: benchmark(folder, store, seeds))
        print(f"{hit} kills of a worker on {kind}: ", end="")
        return 0 if account(client, CELLS_A_SEED * seeds, before, "fingerprint") else 1


def studies(kills: int, kind: str) -> int:
    """Kill the driver of a study, whose trials are kept in a journal beside the store, and start it again."""
    moments, hit, trials = random.Random(20251024), 0, 2 * kills
    fields = {"study": "siren", "problem": "poisson_1d_sin", "trials": trials, "seeds": 1, "workers": 1, "epochs": 40}
    fields |= {"n_train": 30, "n_val": 20, "n_test": 20, "pruning": "false"}
    words = ["study", *(f"--{name}={value}" for name, value in fields.items())]
    with tempfile.TemporaryDirectory() as name, place(kind, Path(name)) as store:
        folder = Path(name)
        first = command(folder, *words, store=store)
        _until(lambda: len(ours(MlflowClient(store))) > 1, first)
        client = MlflowClient(store)
        before = add_others(client)
        first.kill()
        for number in range(1, kills):
            driver = command(folder, *words, store=store)
            count = len(ours(client))
            _until(lambda count=count: len(ours(client)) > count, driver)
            time.sleep(moments.uniform(0, 1))
            hit += driver.poll() is None
            end(driver, with_workers=number % 2 == 1)
        _finish(lambda: command(folder, *words, store=store))
        told = _told(folder)
        print(f"{1 + hit} kills of a study on {kind}: {told['COMPLETE']} of {trials} trials told; ", end="")
        made = {run.data.tags["fingerprint"] for run in ours(client) if "trial" in run.data.tags}
        fine = account(client, len(made), before, "fingerprint")
        return 0 if fine and told["COMPLETE"] == trials and not told["RUNNING"] else 1


def _told(folder: Path) -> Counter[str]:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    (study,) = optuna.get_all_study_summaries(JournalStorage(JournalFileBackend(str(folder / "studies.journal"))))
    storage = JournalStorage(JournalFileBackend(str(folder / "studies.journal")))
    return Counter(trial.state.name for trial in optuna.load_study(study_name=study.study_name, storage=storage).trials)


def _until(true: Any, process: subprocess.Popen[str]) -> None:
    """Wait until something is true, or the process is over."""
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(Exception):  # the store may not be there yet
            if true():
                return
        time.sleep(0.1)


def _finish(start: Any) -> None:
    """The same command until it has nothing left to do, three times at the most."""
    for _ in range(3):
        process = start()
        said, wrong = process.communicate()
        if process.returncode == 0:
            return
    print(f"the command does not finish: {said[-2000:]} {wrong}")


def main() -> int:
    """Run one campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    campaigns = parser.add_subparsers(dest="campaign", required=True)
    of_fresh = campaigns.add_parser("fresh", help="kills in the first seconds of a fresh store")
    of_fresh.add_argument("--kills", type=int, default=40)
    of_fresh.add_argument("--seconds", type=float, default=3.0, help="over which the moments are spread")
    of_fresh.set_defaults(call=lambda given: fresh(given.kills, given.seconds))
    of_stores = {
        "drivers": (drivers, 20, "kills of a benchmark's driver"),
        "workers": (workers, 20, "kills of its workers"),
        "studies": (studies, 10, "kills of a study's driver"),
    }
    for name, (campaign, kills, meaning) in of_stores.items():
        one = campaigns.add_parser(name, help=f"{meaning}, beside runs of other people")
        one.add_argument("--kills", type=int, default=kills)
        one.add_argument("--store", choices=("sqlite", "postgresql", "server"), default="sqlite")
        one.set_defaults(call=lambda given, campaign=campaign: campaign(given.kills, given.store))
    given = parser.parse_args()
    return int(given.call(given))


if __name__ == "__main__":
    raise SystemExit(main())
