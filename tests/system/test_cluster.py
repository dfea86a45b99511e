"""Jobs of a batch system compute cells. The batch system here is two shell scripts; the jobs that they start are real."""

from __future__ import annotations

import copy
import gc
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dask
import dask_jobqueue  # noqa: F401  (brings settings, which a test must not take away)
import psutil
import pytest
from distributed import Security
from mlflow import MlflowClient

from harness.errors import BadInput
from harness.execution.benchmark import benchmark
from harness.execution.benchmark_config import configure
from harness.execution.executors import executor, jobs
from harness.execution.executors.dask import file_system
from tests.postgres import Server
from tests.support import all_runs, environment
from tests.system.test_benchmark import QUICK, assert_exactly_the_plan

QSUB = """#!/bin/bash
# Runs the job at once and prints its number, as PBS and Slurm do.
script=${@: -1}
cp "$script" "$JOBS/job.$$"
setsid bash "$JOBS/job.$$" > "$JOBS/out.$$" 2>&1 < /dev/null &
echo $! > "$JOBS/pid.$$"
echo "{answer}"
"""
QDEL = """#!/bin/bash
for pid in "$JOBS"/pid.*; do kill -- -"$(cat "$pid")" 2> /dev/null; done
exit 0
"""
SETTINGS = """
jobqueue:
  {cluster}:
    cores: 1
    memory: 3GB
    walltime: "00:10:00"
    interface: null
    scheduler-options: {{host: 127.0.0.1}}
    job-script-prologue: ["export PYTHONPATH={path}"]
"""


def batch_system(folder: Path, submit: str, cancel: str, answer: str) -> None:
    for name, text in ((submit, QSUB.replace("{answer}", answer)), (cancel, QDEL)):
        (folder / name).write_text(text)
        (folder / name).chmod(stat.S_IRWXU)


@pytest.mark.parametrize(
    ("cluster", "submit", "cancel", "answer"),
    [("pbs", "qsub", "qdel", "$$.server"), ("slurm", "sbatch", "scancel", "Submitted batch job $$")],
)
def test_the_jobs_of_a_batch_system_compute_the_cells(
    cluster: str,
    submit: str,
    cancel: str,
    answer: str,
    postgres: Server,
    outside: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uri = postgres.fresh_database()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    batch_system(outside, submit, cancel, answer)
    (outside / "quick.yaml").write_text(QUICK)
    (outside / "jobs.yaml").write_text(SETTINGS.format(cluster=cluster, path=environment()["PYTHONPATH"]))
    options = {"seeds": "2", "preset": "seed", "workers": "2", "executor": "dask", "cluster": cluster}
    done = subprocess.run(
        [sys.executable, "-m", "harness", "benchmark", "--suite=quick.yaml", "--cluster_config=jobs.yaml"]
        + [f"--{name}={value}" for name, value in options.items()],
        env=environment(PATH=f"{outside}:{os.environ['PATH']}", JOBS=str(outside)),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr + "".join(p.read_text() for p in outside.glob("out.*"))
    jobs = [path.read_text() for path in outside.glob("job.*")]
    assert len(jobs) == 2
    assert all("--tls-key" in job and "--no-dashboard" in job and "PRIVATE KEY" not in job for job in jobs)
    assert list(outside.glob(".dask*")) == [], "nor is the key left"
    assert_exactly_the_plan(MlflowClient(uri), str(outside / "quick.yaml"))


REFUSED = (
    "harness: cluster = 'slurm' can't be used: sbatch ended with status 1 and says 'sbatch: error: Invalid account'; see queue, "
    "account and limits in cluster_config, and workers (docs/scaling.md).\n"
)
MISSING = (
    "harness: cluster = 'slurm' can't be used: there is no sbatch on this machine; give the command where jobs can be submitted "
    "(docs/scaling.md).\n"
)


@pytest.mark.parametrize(
    ("sbatch", "sentence"),
    [("#!/bin/sh\necho 'sbatch: error: Invalid account\nsbatch: error: more' >&2\nexit 1\n", REFUSED), (None, MISSING)],
)
def test_jobs_that_can_not_be_submitted_end_the_command_before_anything_is_made(
    sbatch: str | None, sentence: str, postgres: Server, outside: Path
) -> None:
    uri = postgres.fresh_database()
    if sbatch is not None:
        (outside / "sbatch").write_text(sbatch)
        (outside / "sbatch").chmod(stat.S_IRWXU)
    (outside / "jobs.yaml").write_text(SETTINGS.format(cluster="slurm", path=""))
    command = "benchmark --suite smoke --executor dask --cluster slurm --workers 2 --cluster_config jobs.yaml"
    done = subprocess.run(
        [sys.executable, "-m", "harness", *command.split()],
        env=environment(MLFLOW_TRACKING_URI=uri, PATH=str(outside)),
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, sentence), done.stdout
    assert all_runs(MlflowClient(uri)) == []
    assert list(outside.glob(".dask*")) == []


Slurm = Callable[..., dict[str, str]]


@pytest.fixture
def slurm(outside: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slurm]:
    """Sets up a batch system for this process, and gives the fields that name it; jobs are looked at all the time."""
    before = copy.deepcopy(dask.config.config)
    monkeypatch.setattr(jobs, "AGAIN_S", 0.5)
    monkeypatch.setenv("PATH", f"{outside}:{os.environ['PATH']}")
    monkeypatch.setenv("JOBS", str(outside))

    def set_up(prologue: str = "true") -> dict[str, str]:
        batch_system(outside, "sbatch", "scancel", "Submitted batch job $$")
        settings = SETTINGS.format(cluster="slurm", path=environment()["PYTHONPATH"])
        (outside / "jobs.yaml").write_text(settings.replace("prologue: [", f'prologue: ["{prologue}", '))
        return {"executor": "dask", "cluster": "slurm", "workers": "1", "cluster_config": "jobs.yaml"}

    yield set_up
    dask.config.config.clear()
    dask.config.config.update(before)


def submitted(folder: Path) -> list[Path]:
    """The jobs so far."""
    return sorted(folder.glob("job.*"), key=lambda job: job.stat().st_mtime)


def until(there: Callable[[], bool]) -> bool:
    """Whether it has come within a minute."""
    end = time.monotonic() + 60
    while not there() and time.monotonic() < end:
        time.sleep(0.1)
    return there()


def test_a_job_that_has_ended_is_submitted_again(slurm: Slurm, outside: Path) -> None:
    with executor(configure(slurm()).where) as pool:
        pool.submit(os.getpid).result(timeout=60)
        time.sleep(3 * jobs.AGAIN_S)
        (job,) = submitted(outside)
        os.killpg(int((outside / f"pid{job.suffix}").read_text()), signal.SIGKILL)
        assert until(lambda: len(submitted(outside)) == 2)
        pool.submit(os.getpid).result(timeout=60)
        time.sleep(3 * jobs.AGAIN_S)
        assert len(submitted(outside)) == 2
    assert list(outside.glob(".dask-jobqueue.job*")) == []


def test_a_job_that_waits_is_not_submitted_a_second_time(slurm: Slurm, outside: Path) -> None:
    with executor(configure(slurm(f"until [ -e {outside}/begin ]; do sleep 0.1; done")).where) as pool:
        waiting = pool.submit(os.getpid)
        time.sleep((jobs.TRIES + 2) * jobs.AGAIN_S)
        (outside / "begin").touch()
        assert waiting.result(timeout=60)
        assert len(submitted(outside)) == 1


@pytest.fixture
def nothing_collected() -> Iterator[None]:
    """No garbage is collected, so that a job that was taken out is still there when its cluster closes."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("nothing_collected")
def test_a_submission_that_is_refused_later_is_tried_again(slurm: Slurm, outside: Path) -> None:
    with executor(configure(slurm()).where) as pool:
        pool.submit(os.getpid).result(timeout=60)
        (job,) = submitted(outside)
        works = (outside / "sbatch").read_text()
        (outside / "sbatch").write_text("#!/bin/sh\ntouch $JOBS/refused\nexit 1\n")
        os.killpg(int((outside / f"pid{job.suffix}").read_text()), signal.SIGKILL)
        assert until((outside / "refused").exists)
        (outside / "sbatch").write_text(works)
        assert pool.submit(os.getpid).result(timeout=60)


@pytest.mark.parametrize(
    ("prologue", "later", "sentence"),
    [
        ("exit 1", None, r"job \d+ ended before its worker had joined; its output says why\. It was tried 5 times"),
        ("exit 1", "#!/bin/sh\necho no >&2\nexit 3\n", r"sbatch ended with status 3 and says 'no'; .*5 times"),
    ],
)
def test_jobs_of_which_nothing_ever_comes_end_the_benchmark_and_it_goes_on_later(
    prologue: str,
    later: str | None,
    sentence: str,
    slurm: Slurm,
    postgres: Server,
    outside: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", postgres.fresh_database())
    (outside / "quick.yaml").write_text(QUICK)
    asked = {"suite": "quick.yaml", "seeds": "2", "preset": "seed"}

    def listener(*_: object) -> None:
        if later is not None:
            (outside / "sbatch").write_text(later)

    with pytest.raises(BadInput, match=sentence):
        benchmark(configure(asked | slurm(prologue)), listener)
    store = MlflowClient(os.environ["MLFLOW_TRACKING_URI"])
    (parent,) = all_runs(store)
    assert parent.data.tags["outcome"] == "error"
    assert later or len(submitted(outside)) == jobs.TRIES
    assert list(outside.glob(".dask-jobqueue.job*")) == []
    assert benchmark(configure(asked | slurm())).state.counts()["left"] == 0
    assert_exactly_the_plan(store, str(outside / "quick.yaml"))


def listening() -> set[tuple[str, int]]:
    """The addresses at which this process and those below it wait for others."""
    me = psutil.Process()
    return {
        (str(each.laddr[0]), int(each.laddr[1]))
        for process in (me, *me.children(recursive=True))
        for each in process.net_connections("inet")
        if each.status == psutil.CONN_LISTEN
    }


def test_a_cluster_of_ours_lets_nobody_in_who_lacks_its_key() -> None:
    """Where it listens it is for TLS with a certificate of this very cluster; there is no web server."""
    before = listening()
    with executor(configure({"executor": "dask", "workers": "1"}).where) as pool:
        assert pool.submit(os.getpid).result(timeout=60) != os.getpid()
        found = listening() - before
        assert len(found) == 3, "a scheduler, a nanny, a worker"
        assert {host for host, _ in found} == {"127.0.0.1"}
        anything = ssl.create_default_context()
        anything.check_hostname, anything.verify_mode = False, ssl.CERT_NONE
        other = Security.temporary().get_connection_args("client")["ssl_context"]
        other.verify_mode = ssl.CERT_NONE
        for address in found:
            for stranger in (anything, other):
                with pytest.raises(ssl.SSLError), socket.create_connection(address, 10) as plain:
                    stranger.wrap_socket(plain, server_hostname="dask-internal").recv(1)


def test_a_scheduler_that_wants_certificates_is_refused_without_them() -> None:
    asked = configure({"executor": "dask", "scheduler": "tls://127.0.0.1:9"}).where
    with pytest.raises(BadInput, match=r"'tls://127.0.0.1:9' can't be used without certificates"), executor(asked):
        pass


def test_settings_that_do_not_fit_are_refused_and_nothing_is_left(
    postgres: Server, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = postgres.fresh_database()
    (outside / "jobs.yaml").write_text("jobqueue: {pbs: {cores: null}}")
    command = "benchmark --suite smoke --executor dask --cluster pbs --workers 1 --cluster_config jobs.yaml"
    done = subprocess.run(
        [sys.executable, "-m", "harness", *command.split()],
        env=environment(MLFLOW_TRACKING_URI=uri),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("harness: cluster = 'pbs' can't be set up: ")
    assert len(done.stderr.strip().splitlines()) == 1
    assert all_runs(MlflowClient(uri)) == []


def test_sqlite_is_refused_where_other_machines_would_have_to_write_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = configure({"executor": "dask", "cluster": "slurm", "workers": "2"}).where
    with pytest.raises(BadInput, match=r"can't be used with cluster=slurm.*use postgresql"):
        jobs.refuse_unsuitable_store("sqlite:////home/me/mlflow.db")
    jobs.refuse_unsuitable_store("postgresql+psycopg://me@node/store")
    jobs.refuse_unsuitable_store("http://node:5000")
    local = configure({"executor": "dask"}).where
    local.refuse_unsuitable_store(f"sqlite:///{Path.cwd()}/mlflow.db")
    monkeypatch.setattr("harness.execution.executors.dask.file_system", lambda path: "nfs4")
    with pytest.raises(BadInput, match=r"network file system \(nfs4\).*use postgresql"):
        local.refuse_unsuitable_store("sqlite:////home/me/mlflow.db")
    configure({}).where.refuse_unsuitable_store("sqlite:////home/me/mlflow.db")


def test_the_file_system_of_a_path_is_that_of_its_innermost_mount() -> None:
    assert file_system(Path("/proc/self/status")) == "proc"
