"""A person opens the report's page from its file: at both widths, in light and dark, with the keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from reports.reading.evidence import Selection
from reports.report import report
from tests.reports.conftest import copied
from tests.system.test_browser import ARGUMENTS, CHROMIUM, pytestmark  # noqa: F401  # skipped where that is


@pytest.fixture(scope="module")
def folder(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That of a report on the store, which the tests only read."""
    outside = tmp_path_factory.mktemp("page")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(outside)
        copied(template, outside / "store", patch)
        return report(Selection(), "written").folder.resolve()


@contextmanager
def opened(folder: Path, width: int, scheme: str) -> Iterator[Page]:
    """The report's page; at the end nothing has gone wrong on it, and it has asked no server for anything."""
    problems: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
            page.on("request", lambda request: problems.append(request.url) if request.url[:5] == "http:" else None)
            page.goto(f"file://{folder}/report.html")
            yield page
        finally:
            browser.close()
    assert problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1600])
def test_the_page_opens_without_an_error_and_is_used_by_keyboard(folder: Path, width: int, scheme: str) -> None:
    with opened(folder, width, scheme) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == width, "no sideways scrolling of the page"
        pictures = page.locator("figure img").evaluate_all("images => images.map(i => [i.width, i.height])")
        assert pictures, "some picture is shown"
        page.locator("figure img").evaluate_all("images => images.forEach(i => { i.loading = 'eager' })")
        page.wait_for_function("[...document.querySelectorAll('figure img')].every(i => i.complete && i.naturalWidth)")
        loaded = page.locator("figure img").evaluate_all("images => images.map(i => [i.width, i.height])")
        assert loaded == pictures, "a picture that loads late moves nothing"
        evidence = page.locator("details#S1")
        assert evidence.get_attribute("open") is None
        for _ in range(25):  # past the pictures of all problems
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.className").startswith("v "):
                break
        page.keyboard.press("Enter")
        expect(evidence).to_have_attribute("open", "")
        expect(page.locator("#S1-tuned")).to_be_in_viewport()
        assert page.evaluate("document.activeElement.id") == "S1-tuned"


def test_hover_tells_values_the_legend_hides_a_model_and_a_picture_is_enlarged(
    folder: Path,
) -> None:
    with opened(folder, 1600, "light") as page:
        section = page.locator("details", has_text="Loss curves: poisson_2d_sin")
        assert section.locator(".chart").count() == 0, "drawn when it is opened"
        section.locator("summary").click()
        expect(section).to_have_attribute("open", "")
        over, tip = section.locator(".u-over").first, section.locator(".tip").first
        over.hover()
        expect(tip).to_contain_text("epoch")
        expect(tip).to_contain_text("siren")
        siren = section.get_by_role("button", name="siren")
        siren.click()
        expect(siren).to_have_attribute("aria-pressed", "false")
        over.hover(position={"x": 200, "y": 90})
        expect(tip).to_contain_text("kan")
        expect(tip).not_to_contain_text("siren")
        expect(section.locator("img")).to_be_hidden()
        page.emulate_media(media="print")
        expect(section.locator("img")).to_be_visible()
        page.emulate_media(media="screen")
        heatmap = page.locator("details", has_text="Heatmaps and surfaces: poisson_2d_sin")
        heatmap.locator("summary").focus()
        for key in ("Enter", "Tab", "Enter"):
            page.keyboard.press(key)
        expect(page.locator("dialog img")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("dialog")).to_be_hidden()
