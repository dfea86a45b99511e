"""Addresses are shown without their secrets, however they are written, and so is whatever quotes them."""

from __future__ import annotations

import shlex
from urllib.parse import quote

import pytest

from harness.addresses import as_typed, clean, fault, guard, masked, page_of
from harness.errors import BadInput, StoreLost
from harness.outcome import Ending, Outcome


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql+psycopg://me:MARKER@host:5432/db", "postgresql+psycopg://me:***@host:5432/db"),
        ("postgresql://me:MAR@KER@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:MAR:KER/?#@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:1234/MARKER@host/db", "postgresql://me:***@host/db"),
        ("postgresql://:MARKER@host/db", "postgresql://:***@host/db"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        (
            "postgresql://host:5432/db?password=MARKER&sslmode=require",
            "postgresql://host:5432/db?password=***&sslmode=require",
        ),
        ("mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3DMARKER", "mssql+pyodbc:///?odbc_connect=***"),
        ("http://me:MARKER@host:5000/x", "http://me:***@host:5000/x"),
        ("http://MARKER@host:5000", "http://***@host:5000"),
        ("https://host:8000/user/me@uni.org/", "https://host:8000/user/me@uni.org/"),
        ("http://host/?MARKER", "http://host/?***"),
        ("http://me:MARKER@[::bad", "http://me:***@[::bad"),
        ("tcp://me:MARKER@host:notaport", "tcp://me:***@host:notaport"),
        ("redis:me:MARKER@host", "redis:me:***@host"),
        ("sqlite:////home/a:b@c/mlflow.db?mode=ro", "sqlite:////home/a:b@c/mlflow.db?mode=ro"),
        ("studies.journal", "studies.journal"),
        ("", ""),
    ],
)
def test_what_is_shown_of_an_address(address: str, shown: str) -> None:
    assert masked(address) == shown
    assert masked(shown) == shown, "masked twice is masked once"


SECRET = "p@ss w/o'r:d%MARKER"


@pytest.mark.parametrize("spelled", [SECRET, quote(SECRET, safe=""), quote(SECRET)])
def test_what_a_library_says_shows_neither_the_address_nor_the_password_in_any_spelling(
    spelled: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.addresses._known", set())
    address = f"postgresql+psycopg://me:{quote(SECRET, safe='')}@host/db"
    guard(address)
    said = f"can't open '{address}' with {spelled}; http://x:other_MARKER@y/ neither."
    assert "MARKER" not in clean(said)
    assert clean("the host has no room") == "the host has no room"
    for raised in (BadInput(said), StoreLost(said)):
        assert "MARKER" not in str(raised)
    assert "MARKER" not in Ending(Outcome.ERROR, said).reason


def test_what_is_left_of_a_password_that_was_read_as_a_host_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.addresses._known", set())
    guard("postgresql://me:a@MARKER@host/db")
    assert "MARKER" not in clean("failed to resolve host 'MARKER@host'")


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "PGPASSWORD"])
def test_secrets_of_the_environment_are_not_shown(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "the MARKER")
    assert clean("sent the MARKER there") == "sent *** there"


def test_a_short_password_is_masked_in_addresses_and_spares_other_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.addresses._known", set())
    guard("postgresql://me:on@host/db")
    assert clean("postgresql://me:on@host/db goes on and on") == "postgresql://me:***@host/db goes on and on"


def test_a_command_can_be_typed_and_says_that_something_is_masked() -> None:
    assert as_typed(["mlflow", "ui", "--x", "sqlite:////a b/c.db"]) == "mlflow ui --x 'sqlite:////a b/c.db'"
    typed = as_typed(["optuna-dashboard", "postgresql://me:MARKER@host/db"])
    assert shlex.split(typed, comments=True) == ["optuna-dashboard", "postgresql://me:***@host/db"]
    assert "stands for" in typed


def test_a_link_has_neither_user_nor_password() -> None:
    assert page_of("http://me:MARKER@host:5000/mlflow/?token=MARKER") == "http://host:5000/mlflow"


@pytest.mark.parametrize(
    ("address", "wrong"),
    [
        ("http://host:5000", None),
        ("tcp://[::1]:8786", None),
        ("http://[::bad", "malformed"),
        ("http://host:notaport", "port"),
        ("http://host:99999", "port"),
        ("http://", "no host"),
    ],
)
def test_what_is_wrong_with_an_address(address: str, wrong: str | None) -> None:
    found = fault(address)
    assert found is None if wrong is None else wrong in str(found)
