"""The commands in a folder of a user that has files with the names of this project's packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import ROOT, harness, python
from tests.test_registry import PROBLEM


@pytest.fixture
def theirs(outside: Path) -> Path:
    """A working folder with a ``reports.py``, a ``studies.py`` and a ``click.py`` of the user's."""
    for name in ("reports", "studies", "click"):
        (outside / f"{name}.py").write_text("raise RuntimeError('not meant to be imported')\n")
    return outside


@pytest.mark.parametrize("kind", ["criteria", "studies"])
def test_the_module_takes_this_project_s_packages(kind: str, theirs: Path) -> None:
    done = harness("list", kind)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(kind)


def test_a_plugin_in_the_current_folder_is_found_by_its_module_s_name(theirs: Path) -> None:
    (theirs / "mine.py").write_text(PROBLEM.format(name="cosine_of_here"))
    done = harness("list", "problems", "--plugins", "mine")
    assert (done.returncode, done.stderr) == (0, "")
    assert "cosine_of_here" in done.stdout


def test_a_worker_takes_them_too(theirs: Path) -> None:
    script = """
import sys
del sys.path[0]
from harness.shadows import look_here_last
look_here_last()
from pkgutil import resolve_name
from harness.execution.isolation import Limits, end_children, isolated
if __name__ == "__main__":
    print(isolated(resolve_name, "reports:__file__", Limits()))
    end_children()
"""
    done = python(["-c", script])
    assert done.stdout == f"{ROOT / 'reports' / '__init__.py'}\n", done.stderr


@pytest.mark.parametrize("shadow", ["reports.py", "studies/__init__.py"])
def test_what_hides_a_package_all_the_same_is_named_in_one_sentence(shadow: str, outside: Path) -> None:
    (outside / shadow).parent.mkdir(exist_ok=True)
    (outside / shadow).write_text("raise RuntimeError('not meant to be imported')\n")
    done = python(["-c", "from harness.cli import main; main(['list'])"])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(
        f"harness: the package {shadow.partition('/')[0].removesuffix('.py')} of this project is"
    )
    assert str(outside / shadow) in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("shadow", ["harness.py", "harness/__init__.py"])
def test_what_hides_the_command_s_own_package_is_named_in_one_sentence(shadow: str, outside: Path) -> None:
    (outside / shadow).parent.mkdir(exist_ok=True)
    (outside / shadow).write_text("raise RuntimeError('not meant to be imported')\n")
    done = python(["-c", "from sciml_harness import main; main()", "list"])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"harness: the package harness of this project is hidden by '{outside / shadow}'")
    assert done.stderr.count("\n") == 1


def test_a_folder_of_the_command_s_name_hides_nothing(outside: Path) -> None:
    (outside / "harness").mkdir()
    done = python(["-c", "from sciml_harness import main; main()", "list", "suites"])
    assert (done.returncode, done.stderr) == (0, "")
