"""Where trials are kept: a journal file, SQLite or PostgreSQL, opened and set up by one process at a time."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

import optuna
from filelock import FileLock
from optuna.exceptions import ExperimentalWarning, OptunaError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.storages.journal._file import get_lock_file
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError

from harness.errors import BadInput
from harness.registry import nearest
from harness.seeds import generator
from harness.tracking import store
from harness.tracking.claims import owner_tag
from studies.config import StudyConfig
from studies.plan import Plan, difference

DRIVER = "driver "
"""Prefix of a study's attributes that say when each driver last gave a sign (Unix time)."""
AGAIN = "again"
"""Attribute of a trial: the number of the trial that it repeats."""

# Of parts that Optuna calls experimental, a change would show in the tests.
warnings.filterwarnings("ignore", category=ExperimentalWarning)
warnings.filterwarnings("ignore", message="PedAnovaImportanceEvaluator computes")
optuna.logging.set_verbosity(optuna.logging.WARNING)
logging.getLogger("alembic").setLevel(logging.WARNING)


def open_storage(url: str) -> BaseStorage:
    """The storage at ``url``, made if it is not there.

    Raises BadInput when it can't be reached or written, when it is of another version of Optuna, or somebody else's.
    """
    scheme = urlparse(url).scheme if "://" in url else ""
    if scheme not in ("", "sqlite", "postgresql+psycopg"):
        raise BadInput(
            f"storage = {url!r} can't be used: give the path of a journal file, sqlite:///file, or "
            "postgresql+psycopg://address."
        )
    try:
        with alone(url):
            return _database(url) if scheme else _journal(Path(url))
    except (OSError, SQLAlchemyError, OptunaError, ImportError, RuntimeError, ValueError, KeyError) as error:
        raise BadInput(f"storage = {url!r} can't be used: {_sentence(error)}.") from error


def _journal(path: Path) -> BaseStorage:
    if path.exists():
        _drop_half_a_line(path)
    return JournalStorage(JournalFileBackend(str(path)))


def _drop_half_a_line(path: Path) -> None:
    """What a power cut or a full disk left of the last entry: the next one would be appended to it, and both be lost."""
    with get_lock_file(JournalFileSymlinkLock(str(path))), path.open("rb+") as file:
        content = file.read()
        if not content.endswith(b"\n"):
            file.truncate(content.rfind(b"\n") + 1)


def _database(url: str) -> BaseStorage:
    engine = create_engine(url)
    try:
        tables = inspect(engine).get_table_names()
        if engine.dialect.name == "sqlite":
            with engine.connect() as connection:
                # A commit then waits for the disk once; a trial has a dozen (sqlite.org/wal.html).
                connection.execute(text("PRAGMA journal_mode=WAL"))
    finally:
        engine.dispose()
    if "alembic_version" in tables and "version_info" not in tables:
        # Optuna would take the revision there for one of its own, and so would its owner the other way round.
        raise RuntimeError("it is the database of another program, such as MLflow; give one of its own")
    wait = {"timeout": 60} if url.startswith("sqlite") else {"connect_timeout": 10}
    return RDBStorage(url, engine_kwargs={"connect_args": wait})


@contextmanager
def alone(url: str) -> Iterator[None]:
    """While this is open, no other driver is inside of it for the same storage."""
    if "://" in url:
        with store.exclusive(url):
            yield
        return
    path = Path(url).resolve()
    if not path.parent.is_dir():
        raise OSError(f"there is no folder {str(path.parent)!r}")
    with FileLock(f"{path}.driver.lock", timeout=120):
        yield


def open_study(storage: BaseStorage, plan: Plan, config: StudyConfig) -> optuna.Study:
    """The study of that name, made if it is not there, and this process as one of its drivers.

    Raises BadInput when a study of that name has another definition, or is not to be resumed.
    """
    described = plan.described
    with alone(config.storage):
        if plan.name in optuna.get_all_study_names(storage):
            study = optuna.load_study(study_name=plan.name, storage=storage)
            if not config.resume:
                raise BadInput(f"name = {plan.name!r} is taken in {config.storage!r}; resume it, or give another name.")
            found = study.user_attrs.get("definition")
            if found is None:
                raise BadInput(f"name = {plan.name!r} is a study of another program; give another name.")
            if (what := difference(found, described)) is not None:
                raise BadInput(
                    f"name = {plan.name!r} is a study of another definition: {what}; give another name or storage."
                )
        else:
            directions = [StudyDirection.MINIMIZE] * len(plan.study.objectives)
            study = optuna.create_study(storage=storage, study_name=plan.name, directions=directions)
            study.set_metric_names([objective.name for objective in plan.study.objectives])
            study.set_user_attr("definition", described)
            # The preset is the first trial: what comes out is no worse, and later trials have something to be held against.
            study.enqueue_trial(plan.of_preset())
        drivers = sum(key.startswith(DRIVER) for key in study.user_attrs)
        study.sampler = _sampler(config, drivers)
        study.pruner = _pruner(plan, config)
        give_sign(study)
    return study


def give_sign(study: optuna.Study) -> None:
    """Say, for drivers on other machines, that this one is alive."""
    study.set_user_attr(DRIVER + owner_tag()["owner"], time.time())


def counted(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that count: told or at work, and not handed over to another."""
    trials = study.get_trials(deepcopy=False)
    repeated = {trial.user_attrs.get(AGAIN) for trial in trials}
    return [trial for trial in trials if trial.state is not TrialState.WAITING and trial.number not in repeated]


def find_study(storage: BaseStorage, name: str) -> optuna.Study:
    """A study that is there. Raises BadInput, with the nearest name, when it is not."""
    names = optuna.get_all_study_names(storage)
    if name not in names:
        rest = nearest(name, names) if names else "the storage has none."
        raise BadInput(f"name = {name!r} is not in the storage; {rest}")
    return optuna.load_study(study_name=name, storage=storage)


def _sampler(config: StudyConfig, drivers: int) -> optuna.samplers.BaseSampler:
    """Each driver draws from a generator of its own, or two of them, or one that is resumed, would ask the same twice."""
    seed = generator(config.sampler_seed, f"sampler/{drivers}").initial_seed() % 2**32
    if config.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed)


def _pruner(plan: Plan, config: StudyConfig) -> optuna.pruners.BasePruner:
    """Across the runs of a trial: is it worse than the best trial on the same problems and seeds?"""
    if not (config.pruning and plan.prunable):
        return optuna.pruners.NopPruner()
    return optuna.pruners.WilcoxonPruner(p_threshold=0.05, n_startup_steps=len(plan.problems))


def _sentence(error: BaseException) -> str:
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return first.rstrip(".")
