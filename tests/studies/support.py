"""Studies that take a moment, and workers that take none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any

from harness.outcome import Outcome
from harness.run import Stop
from studies.driver import Desk, work
from studies.measures import Measured
from studies.plan import Run, make_plan
from studies.storage import open_storage, open_study
from studies.study_config import StudyConfig, configure
from studies.trials import OpenTrial, Told
from tests.support import FEW_POINTS

QUICK = {name: str(value) for name, value in {"epochs": 20, **FEW_POINTS}.items()}
"""Fields with which a run takes no time to speak of, and has the epochs that S3 needs."""


def quick(storage: str = "studies.journal", **given: Any) -> StudyConfig:
    """A study of SIREN on one problem, three trials of one seed, unless something else is given."""
    small = {"problem": "poisson_1d_sin", "trials": 3, "seeds": 1, "workers": 1, "storage": storage, **QUICK}
    if "suite" in given:
        del small["problem"]
    return configure({name: str(value) for name, value in {**small, **given}.items()})


def desk(config: StudyConfig) -> Desk:
    """A driver at its desk."""
    plan = make_plan(config)
    return Desk(plan, config, open_study(open_storage(config.storage), plan, config))


def done(run: Run, nmse: float = 0.1, **metrics: float) -> Measured:
    """A run that completed with that validation NMSE."""
    found = {"val/mse": nmse, "final/dense_mse": nmse, "model/active_params": 50.0, "prune/reduction": 0.3, **metrics}
    met = {"S3": -0.02, "K1": -1.0}
    return Measured(run.config.problem, run.config.seed, Outcome.COMPLETED, "", run.fingerprint, 1.0, found, excess=met)


def failed(run: Run, outcome: Outcome, reason: str = "It went wrong.") -> Measured:
    """A run without a result."""
    return Measured(run.config.problem, run.config.seed, outcome, reason, run.fingerprint, 1.0, {"val/mse": 1e-9})


Worker = Callable[[OpenTrial, Run], Measured | Exception]


def submitting(worker: Worker) -> Callable[[OpenTrial, Run], Future[Measured]]:
    """Workers that are done as soon as they are asked."""

    def submit(opened: OpenTrial, run: Run) -> Future[Measured]:
        future: Future[Measured] = Future()
        came = worker(opened, run)
        future.set_exception(came) if isinstance(came, Exception) else future.set_result(came)
        return future

    return submit


def drive(
    at: Desk, worker: Worker = lambda opened, run: done(run), slots: int = 1, stop: Stop | None = None
) -> list[Told]:
    """Work with workers of which ``worker`` says what each run comes to."""
    return list(work(at, submitting(worker), slots, stop or Stop(), lambda outcome, reason, fingerprint: "closed", str))


def by_value(name: str, best: float) -> Worker:
    """Runs whose error is the distance of a hyperparameter from its best value."""

    def worker(opened: OpenTrial, run: Run) -> Measured:
        return done(run, 1e-3 + abs(float(opened.trial.params[name]) - best))

    return worker


def states(at: Desk) -> Mapping[int, str]:
    """The state of each trial of a study."""
    return {trial.number: trial.state.name for trial in at.study.get_trials(deepcopy=False)}
