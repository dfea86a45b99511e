"""A person opens the MLflow UI on the store: runs, curves and artifacts are there, and no page breaks on a NaN."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from mlflow import MlflowClient
from playwright.sync_api import ConsoleMessage, Page, expect, sync_playwright

from harness.run import RunResult, run
from harness.tracking.naming import run_name
from harness.tracking.pages import view
from tests.support import served, small

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists() and "CI" not in os.environ,
    reason=f"no browser at {CHROMIUM}; install Debian's chromium, or name another with CHROMIUM",
)
PATIENCE_MS = 60_000


@contextmanager
def browser_page(problems: list[str]) -> Iterator[Page]:
    """A page that notes every error of a script, and every complaint on the console but those about other machines."""

    def complain(message: ConsoleMessage) -> None:
        where = message.location.get("url", "")
        outside = where and "127.0.0.1" not in where
        # The UI asks every server for its user, and one without accounts has no such address. Chromium reports a layout
        # that took more than one frame, on a busy machine, as an error that is none.
        expected = where.endswith("/mlflow/users/current") or "ResizeObserver loop" in message.text
        if message.type == "error" and not outside and not expected:
            problems.append(f"console: {message.text} ({where})")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            page = browser.new_page(viewport={"width": 1600, "height": 1100})
            page.set_default_timeout(PATIENCE_MS)
            page.on("pageerror", lambda error: problems.append(f"script: {error}"))
            page.on("console", complain)
            yield page
        finally:
            browser.close()


def shown(page: Page, text: str) -> None:
    expect(page.get_by_text(text).first).to_be_visible(timeout=PATIENCE_MS)


def mlflow_ui(store: MlflowClient, folder: Path) -> AbstractContextManager[str]:
    return served(["ui", "--backend-store-uri", store.tracking_uri, "--workers", "1"], folder)


def test_the_ui_shows_a_completed_and_a_diverged_run_without_an_error(store: MlflowClient, outside: Path) -> None:
    completed = run(small("kan", epochs=4))
    diverged = run(small("siren", epochs=20, lr=150))  # at epoch 5, so that there are curves
    assert [each.ending.outcome.value for each in (completed, diverged)] == ["completed", "diverged"]
    problems: list[str] = []
    with mlflow_ui(store, outside) as address, browser_page(problems) as page:
        look_at(page, address, completed, run_name(small("kan", epochs=4)), "train/mse", outside)
        # MLflow 3.17 draws no chart of a metric whose last value is NaN, as that of train/mse is here.
        look_at(page, address, diverged, run_name(small("siren", epochs=20, lr=150)), "test/mse", outside)
        experiment = store.get_run(completed.run_id).info.experiment_id
        page.goto(f"{address}/#/experiments/{experiment}/runs?workflowType=machine_learning")
        shown(page, "kan-poisson_2d_sin-tuned-")
        shown(page, "siren-poisson_2d_sin-tuned-")
        page.screenshot(path=outside / "runs.png")
        page.goto(f"{address}/{view(experiment, 'table')}")
        for column in ("outcome", "cfg/problem", "final/log10_nmse"):
            expect(page.get_by_role("columnheader", name=column).first).to_be_visible(timeout=PATIENCE_MS)
        page.screenshot(path=outside / "table.png")
        with page.expect_popup() as opened:
            page.get_by_role("link", name="charts", exact=True).click()
        expect(opened.value.get_by_text("Errors by problem").first).to_be_visible(timeout=PATIENCE_MS)
    assert problems == []


def look_at(page: Page, address: str, result: RunResult, name: str, chart: str, folder: Path) -> None:
    """The page of a run, where its summary says it is: overview, charts, artifacts."""
    page.goto(result.url.replace("http://127.0.0.1:5000", address))
    shown(page, name)
    shown(page, result.ending.outcome.value)
    shown(page, result.ending.reason)
    page.screenshot(path=folder / f"{name}-overview.png")
    page.get_by_role("tab", name="Model metrics").click()
    page.get_by_placeholder("Search metric charts").fill(chart)
    expect(page.get_by_role("heading", name="mse", exact=True).first).to_be_visible(timeout=PATIENCE_MS)
    page.screenshot(path=folder / f"{name}-metrics.png")
    page.get_by_role("tab", name="Artifacts").click()
    shown(page, "figures")
    shown(page, "history.parquet")
    page.get_by_text("figures").first.click()
    page.get_by_text("loss.png").first.click()
    expect(page.locator("img[src*='loss.png'], img[src^='blob:']").first).to_be_visible(timeout=PATIENCE_MS)
    page.screenshot(path=folder / f"{name}-artifacts.png")
