"""Where trials are kept: a journal file, SQLite or PostgreSQL, opened and set up by one process at a time."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import optuna
from optuna.exceptions import ExperimentalWarning, OptunaError, StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.storages.journal._file import get_lock_file
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Engine, create_engine, inspect, make_url
from sqlalchemy.exc import SQLAlchemyError

from harness.addresses import fault, guard, masked
from harness.errors import BadInput, StoreLost
from harness.registry import nearest
from harness.seeds import generator
from harness.tracking import store
from harness.tracking.liveness import owner_tag
from harness.tracking.sqlite import SqliteFile, check_place, is_sqlite, make_whole, sqlite_file
from studies.plan import Plan, difference
from studies.space import Real
from studies.study_config import StudyConfig

_JOURNAL = b'{"op_code":'
"""How each line of Optuna's journal begins."""
DRIVER = "driver "
"""Prefix of a study's attributes that say when each driver last gave a sign (Unix time)."""
MOST_OF_A_PROCESS = 250
"""Trials up to which ``auto`` takes a Gaussian process: a choice takes time with the cube of the trials so far."""
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
    look_at_storage(url)
    with _refused(url):
        if is_sqlite(url):
            return _sqlite(sqlite_file(url))
        with alone(url):
            return _database(url) if "://" in url else _journal(Path(url))


def look_at_storage(url: str, *, reading: bool = False) -> bool:
    """Whether the storage is there that opening it would make. Nothing is made or changed.

    Raises BadInput for an address that no storage can be at, for one that can't be reached, and for somebody else's file or
    database; without ``reading`` also for a database that the address opens read-only.
    """
    guard(url)
    with _refused(url):
        if is_sqlite(url):
            file = sqlite_file(url)
            if file.reads_only and not reading:
                raise ValueError("it is opened read-only, and a study writes its trials there")
            check_place(file)
            return file.is_there and _has_tables(create_engine(file.untouched()))
        if "://" in url:
            if url.partition("://")[0] != "postgresql+psycopg":
                raise ValueError("give the path of a journal file, sqlite:///file, or postgresql+psycopg://address")
            if make_url(url).host and (wrong := fault(url)) is not None:
                raise ValueError(wrong)
            return _has_tables(create_engine(url, connect_args={"connect_timeout": 10}))
        return _is_journal(Path(url))


@contextmanager
def _refused(url: str) -> Iterator[None]:
    """What fails in here is the user's to see: this storage can't be used."""
    try:
        yield
    except (OSError, SQLAlchemyError, OptunaError, ImportError, RuntimeError, ValueError, KeyError) as error:
        raise BadInput(f"storage = {masked(url)!r} can't be used: {_sentence(error)}.") from error


@contextmanager
def storage_lost() -> Iterator[None]:
    """A storage that fails in here is StoreLost."""
    try:
        yield
    except StorageInternalError as error:
        why = _sentence(error.__cause__ or error)
        raise StoreLost(
            f"The storage of the study failed: {why}; when it can be written again, the same command goes on."
        ) from error


def _is_journal(path: Path) -> bool:
    """Whether a file is there and a journal of Optuna; raises OSError or ValueError for any other file, or no place for one."""
    if not path.resolve().parent.is_dir():
        raise OSError(f"there is no folder {str(path.resolve().parent)!r}")
    if not path.exists():
        if not os.access(path.resolve().parent, os.W_OK):
            raise OSError(f"the folder {str(path.resolve().parent)!r} can't be written")
        return False
    with path.open("rb") as file:
        first = file.read(len(_JOURNAL))
    if first and not _JOURNAL.startswith(first):
        raise ValueError("it is a file of something else, not a journal of Optuna")
    return bool(first)


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


def _has_tables(engine: Engine) -> bool:
    """Whether Optuna's tables are there. Raises RuntimeError for those of another program."""
    try:
        tables = set(inspect(engine).get_table_names())
    finally:
        engine.dispose()
    if tables and not {"studies", "trials"} <= tables:
        # Optuna would add its tables, and take a revision there for its own; the other program would do the same.
        raise RuntimeError("it is the database of another program, such as MLflow; give another database")
    return bool(tables)


def _sqlite(file: SqliteFile) -> BaseStorage:
    if not file.is_there:
        with store.exclusive(file.address):
            if not file.is_there:
                make_whole(file, _make_tables)
    elif not file.reads_only:
        with closing(sqlite3.connect(file.path, timeout=60)) as connection:
            # A commit then waits for the disk once; a trial has a dozen (sqlite.org/wal.html).
            connection.execute("PRAGMA journal_mode=WAL")
    return RDBStorage(file.address, engine_kwargs={"connect_args": {"timeout": 60}})


def _make_tables(address: str) -> None:
    """Optuna's tables in a database that then gets another name: nothing keeps it open."""
    made = RDBStorage(address, engine_kwargs={"connect_args": {"timeout": 60}})
    made.remove_session()
    made.engine.dispose()


def _database(url: str) -> BaseStorage:
    return RDBStorage(url, engine_kwargs={"connect_args": {"connect_timeout": 10}})


@contextmanager
def alone(url: str) -> Iterator[None]:
    """A lock: one driver at a time is in here for the same storage."""
    if "://" in url:
        with store.exclusive(url):
            yield
        return
    path = Path(url).resolve()
    with store.lock_file(path.with_name(f"{path.name}.driver.lock")):
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
                raise BadInput(
                    f"name = {plan.name!r} is taken in {masked(config.storage)!r}; resume it, or give another name."
                )
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
        study.sampler = _sampler(plan, config, drivers)
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


def _sampler(plan: Plan, config: StudyConfig, drivers: int) -> optuna.samplers.BaseSampler:
    """Each driver has its own generator: with one seed, two drivers, or one that is resumed, would draw the same values."""
    seed = generator(config.sampler_seed, f"sampler/{drivers}").initial_seed() % 2**32
    if config.sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    suits = (
        len(plan.study.objectives) == 1
        and config.trials <= MOST_OF_A_PROCESS
        and any(isinstance(each, Real) for each in plan.study.space.values())
    )
    if config.sampler == "gp" or (config.sampler == "auto" and suits):
        return optuna.samplers.GPSampler(seed=seed)
    return optuna.samplers.TPESampler(seed=seed)


def _pruner(plan: Plan, config: StudyConfig) -> optuna.pruners.BasePruner:
    """Across the runs of a trial: is it worse than the best trial on the same problems and seeds?"""
    if not (config.pruning and plan.prunable):
        return optuna.pruners.NopPruner()
    return optuna.pruners.WilcoxonPruner(p_threshold=0.05, n_startup_steps=len(plan.problems))


def _sentence(error: BaseException) -> str:
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return first.rstrip(".")
