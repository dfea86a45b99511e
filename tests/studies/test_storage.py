"""Where trials are kept: what is opened, what is set up once, and what is refused with the reason."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient

from harness.errors import BadInput
from studies import storage as storage_module
from studies.storage import find_study, look_at_storage, open_storage
from tests.studies.support import desk, drive, quick, states
from tests.support import at_once


def test_a_study_is_found_again_with_its_trials(any_storage: str) -> None:
    assert len(drive(desk(quick(any_storage)))) == 3
    again = desk(quick(any_storage, trials=5))
    assert list(states(again).values()) == ["COMPLETE"] * 3
    assert len(drive(again)) == 2


def open_fresh(address: str) -> None:
    """A driver that begins a study."""
    desk(quick(address))


@pytest.mark.parametrize("any_storage", ["sqlite", "postgresql"], indirect=True)
def test_processes_that_meet_a_fresh_storage_at_once_set_it_up_once(any_storage: str) -> None:
    at_once(open_fresh, [any_storage], 2)
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
        ("http://[::bad", "can't be used: give the path of a journal file"),
        ("postgresql+psycopg://[::bad/none", "can't be used: "),
        ("postgresql+psycopg://127.0.0.1:notaport/none", "can't be used: "),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:///missing.db?mode=ro", "no such file"),
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
    assert list(outside.iterdir()) == []


def test_a_look_makes_nothing(any_storage: str, outside: Path) -> None:
    assert not look_at_storage(any_storage)
    assert list(outside.iterdir()) == []
    open_storage(any_storage)
    desk(quick(any_storage))
    assert look_at_storage(any_storage)


def test_a_read_only_database_is_refused_where_trials_would_be_written(outside: Path) -> None:
    drive(desk(quick("sqlite:///studies.db")))
    with pytest.raises(BadInput, match="it is opened read-only"):
        open_storage("sqlite:///studies.db?mode=ro")
    assert look_at_storage("sqlite:///studies.db?mode=ro", reading=True)


def test_a_new_database_takes_its_place_when_it_is_whole(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_tables = storage_module._make_tables

    def killed(address: str) -> None:
        make_tables(address)
        raise KeyboardInterrupt

    monkeypatch.setattr(storage_module, "_make_tables", killed)
    with pytest.raises(KeyboardInterrupt):
        open_storage("sqlite:///studies.db")
    assert list(outside.iterdir()) == []


def test_a_password_is_shown_neither_in_a_refusal_nor_in_the_command_of_a_study(outside: Path) -> None:
    address = "postgresql+psycopg://me:MARKER@127.0.0.1:9/none"
    with pytest.raises(BadInput) as refused:
        open_storage(address)
    assert "MARKER" not in str(refused.value)
    assert "storage = 'postgresql+psycopg://me:***@127.0.0.1:9/none'" in str(refused.value)
    assert "'postgresql+psycopg://me:***@127.0.0.1:9/none'" in quick(address).command()
    assert "MARKER" not in quick(address).command()


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
    for text in ("Dear diary,\nnothing today.\n", "Without a line's end, which half an entry lacks too."):
        Path("notes.txt").write_text(text)
        with pytest.raises(BadInput, match=r"storage = 'notes\.txt' can't be used"):
            open_storage("notes.txt")
        assert Path("notes.txt").read_text() == text
    assert list(outside.iterdir()) == [outside / "notes.txt"]


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
