"""The documentation says what is so."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from reports.publishing import LEDGER, check
from tests.support import ROOT


def test_the_reference_of_the_configuration_is_that_of_the_code() -> None:
    write = runpy.run_path(str(ROOT / "docs" / "write.py"))
    assert (ROOT / "docs" / "configuration.md").read_text() == write["configuration"](), (
        "python docs/write.py configuration"
    )


@pytest.mark.parametrize(
    ("page", "fence", "arguments", "found"),
    [
        ("docs/reports.md", "py", "list criteria --plugins printed.py", "M1"),
        ("docs/studies.md", "python", "list studies --plugins printed.py", "Width and activation."),
        ("CONTRIBUTING.md", "yaml", "benchmark --suite printed.yaml --dry-run", "360 cells"),
    ],
)
def test_a_criterion_a_study_and_a_suite_can_be_used_as_printed(
    tmp_path: Path, page: str, fence: str, arguments: str, found: str
) -> None:
    (code,) = re.findall(rf"```{fence}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    (tmp_path / f"printed.{'yaml' if fence == 'yaml' else 'py'}").write_text(code)
    command = [sys.executable, "-m", "harness", *arguments.split()]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert found in done.stdout


def test_every_table_with_figures_says_how_it_was_made() -> None:
    assert [fault for fault in check(ROOT) if "says how" in fault] == []


def test_what_is_published_is_as_the_protocol_wants_it() -> None:
    assert (ROOT / LEDGER).is_file()
    assert check(ROOT) == []
