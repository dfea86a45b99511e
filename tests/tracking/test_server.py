"""Whatever MLflow can reach, we can: a real tracking server behind a proxy that asks who one is on every path."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from harness.errors import BadInput
from harness.run import run
from harness.tracking.store import look_at_store, open_store
from tests.proxy import PASSWORD, TOKEN, USER, Proxy, own_certificate
from tests.support import served, small


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[int]:
    """The port of a tracking server."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(empty_database, folder / "mlflow.db")
    store = ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "kept")]
    with served(["server", "--workers", "1", *store], folder) as address:
        yield int(address.rpartition(":")[2])


@pytest.fixture
def proxy(server: int, outside: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    made = Proxy(server)
    yield made
    made.close()


def test_by_user_and_password_of_the_environment(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{proxy.address}")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", USER)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", PASSWORD)
    assert open_store().search_experiments()
    assert proxy.refused == []


def test_by_a_token(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{proxy.address}")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)
    assert open_store().search_experiments()


def test_by_tls_with_a_certificate_of_one_s_own(server: int, outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = own_certificate(outside)
    proxy = Proxy(server, certificate)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"https://{proxy.address}")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)
    with pytest.raises(BadInput, match="certificate verify failed"):
        open_store()
    monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(certificate))
    assert open_store().search_experiments()
    proxy.close()


def test_a_run_by_user_and_password_in_the_address_is_recorded_and_nothing_of_it_shows_the_password(
    proxy: Proxy, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{USER}:{quote(PASSWORD, safe='')}@{proxy.address}")
    result = run(small("mlp", epochs=2))
    assert result.ending.outcome.value == "completed", result.ending.reason
    assert result.url.startswith(f"http://{proxy.address}/#/experiments/")
    client = open_store()
    found = client.get_run(result.run_id)
    assert "MARKER" not in str(found.to_dictionary())
    client.download_artifacts(result.run_id, "", str(outside))
    files = [path for path in outside.rglob("*") if path.is_file()]
    assert files
    assert [path for path in files if b"MARKER" in path.read_bytes()] == []


def test_a_wrong_password_is_refused_without_being_shown(proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{USER}:wrongMARKER@{proxy.address}")
    with pytest.raises(BadInput, match="401") as refused:
        open_store()
    assert "MARKER" not in str(refused.value)
    assert f"http://{USER}:***@{proxy.address}" in str(refused.value)


def test_a_server_that_is_not_there_is_refused_within_seconds(outside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{USER}:MARKER@127.0.0.1:9")
    started = time.monotonic()
    with pytest.raises(BadInput, match="refused") as refused:
        look_at_store()
    assert time.monotonic() - started < 10
    assert "MARKER" not in str(refused.value)
