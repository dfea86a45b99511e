"""Where trials are kept: what is opened, what is set up once, and what is refused with the reason."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient

from harness.errors import BadInput
from studies.storage import find_study, open_storage
from tests.studies.support import desk, drive, quick, states
from tests.support import environment

FRESH = """
import sys
from studies.storage import open_storage, open_study
from studies.plan import make_plan
from tests.studies.support import quick
config = quick(sys.argv[1])
plan = make_plan(config)
study = open_study(open_storage(config.storage), plan, config)
print(len(study.trials))
"""


def test_a_study_is_found_again_with_its_trials(any_storage: str) -> None:
    assert len(drive(desk(quick(any_storage)))) == 3
    again = desk(quick(any_storage, trials=5))
    assert list(states(again).values()) == ["COMPLETE"] * 3
    assert len(drive(again)) == 2


def test_processes_that_meet_a_fresh_storage_at_once_set_it_up_once(any_storage: str) -> None:
    command = [sys.executable, "-c", FRESH, any_storage]
    started = [subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE, text=True) for _ in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in started]
    assert [process.returncode for process in started] == [0] * 2, errors
    assert optuna.get_all_study_names(open_storage(any_storage)) == ["siren-poisson_1d_sin"]


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"seeds": 2}, r"seeds is \[0, 1\] there and \[0, 2\] here"),
        ({"epochs": 5}, r"base\.epochs is 20 there and 5 here"),
        ({"problem": "poisson_1d_poly"}, r"problems is \['poisson_1d_sin'\] there and \['poisson_1d_poly'\] here"),
        ({"study": "kan"}, r"study is 'siren' there and 'kan' here"),
    ],
)
def test_another_definition_under_the_same_name_is_refused_and_says_what_differs(
    change: dict[str, object], what: str, any_storage: str
) -> None:
    desk(quick(any_storage, name="mine"))
    with pytest.raises(BadInput, match=f"name = 'mine' is a study of another definition: {what}"):
        desk(quick(any_storage, name="mine", **change))


def test_a_study_that_is_not_to_be_resumed_is_refused(any_storage: str) -> None:
    desk(quick(any_storage, resume="false"))
    with pytest.raises(BadInput, match="name = 'siren-poisson_1d_sin' is taken"):
        desk(quick(any_storage, resume="false"))


def test_a_study_of_another_program_is_refused(any_storage: str) -> None:
    optuna.create_study(storage=open_storage(any_storage), study_name="mine")
    with pytest.raises(BadInput, match="name = 'mine' is a study of another program"):
        desk(quick(any_storage, name="mine"))


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("postgresql+psycopg://nobody@127.0.0.1:9/none", "can't be used: .*(refused|failed)"),
        ("sqlite:///nowhere/studies.db", "can't be used: there is no folder '.*nowhere'"),
        ("nowhere/studies.journal", "can't be used: there is no folder '.*nowhere'"),
        ("redis://localhost", "can't be used: give the path of a journal file, sqlite:///file"),
        (".", "can't be used: .*directory"),
    ],
)
def test_a_storage_that_can_not_be_used_is_one_sentence_and_leaves_nothing(
    url: str, sentence: str, outside: Path
) -> None:
    with pytest.raises(BadInput, match=sentence) as refused:
        open_storage(url)
    assert f"storage = {url!r}" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert [p for p in outside.iterdir() if p.suffix != ".lock"] == []


def test_an_older_schema_is_refused_and_says_how_to_upgrade(outside: Path) -> None:
    open_storage("sqlite:///old.db")
    with closing(sqlite3.connect("old.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = 'v3.0.0.d'")
        database.commit()
    with pytest.raises(BadInput, match=r"no longer compatible with the table schema.*optuna storage upgrade"):
        open_storage("sqlite:///old.db")


def test_mlflow_s_database_is_left_alone(any_store: MlflowClient) -> None:
    with pytest.raises(BadInput, match="it is the database of another program, such as MLflow"):
        open_storage(any_store.tracking_uri)
    assert any_store.search_experiments()


def test_a_file_that_is_no_journal_is_refused(outside: Path) -> None:
    Path("notes.txt").write_text("Dear diary,\nnothing today.\n")
    with pytest.raises(BadInput, match=r"storage = 'notes\.txt' can't be used"):
        open_storage("notes.txt")
    assert Path("notes.txt").read_text() == "Dear diary,\nnothing today.\n"


def test_half_a_line_at_the_end_of_a_journal_costs_nothing_else(outside: Path) -> None:
    drive(desk(quick("studies.journal")))
    with Path("studies.journal").open("a") as journal:
        journal.write('{"op_code":4,"wor')
    again = desk(quick("studies.journal", trials=5))
    assert len(drive(again)) == 2
    assert list(states(desk(quick("studies.journal"))).values()) == ["COMPLETE"] * 5


def test_an_unknown_study_is_refused_with_the_nearest_name(any_storage: str) -> None:
    storage = desk(quick(any_storage)).study._storage
    with pytest.raises(BadInput, match=r"name = 'siren-poisson_1d_sni' is not in the storage; did you mean"):
        find_study(storage, "siren-poisson_1d_sni")
