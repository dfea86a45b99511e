"""The environment is written down several times for several tools; all of them say the same."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from harness.config import RunConfig
from tests.support import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONDA: dict[str, Any] = yaml.safe_load((ROOT / "conda.yaml").read_text())
MLPROJECT: dict[str, Any] = yaml.safe_load((ROOT / "MLproject").read_text())


def pins(lines: list[str]) -> dict[str, Version]:
    """``name==version`` lines; anything else is an error."""
    found: dict[str, Version] = {}
    for line in lines:
        name, equals, version = line.partition("==")
        assert equals, f"{line!r} is not pinned"
        assert canonicalize_name(name) not in found, f"{name} is there twice"
        found[canonicalize_name(name)] = Version(version)
    return found


def locked() -> dict[str, Version]:
    lines = [line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    return pins([line for line in lines if line and not line.startswith("-")])


def conda_pins() -> dict[str, Version]:
    (section,) = [entry["pip"] for entry in CONDA["dependencies"] if isinstance(entry, dict)]
    return pins(section)


def declared() -> dict[str, Requirement]:
    requirements = [Requirement(line) for line in PROJECT["project"]["dependencies"]]
    return {canonicalize_name(requirement.name): requirement for requirement in requirements}


def test_the_lock_is_exact_and_holds_torch() -> None:
    assert locked()["torch"] == Version("2.13.0")
    assert set(declared()) <= set(locked())


def test_conda_holds_the_declared_dependencies_and_nothing_else() -> None:
    assert set(conda_pins()) == set(declared())
    others = [entry for entry in CONDA["dependencies"] if not isinstance(entry, dict)]
    assert others == [f"python{PROJECT['project']['requires-python']}", "pip"]


@pytest.mark.parametrize("name", sorted(declared()))
def test_each_dependency_has_one_version_everywhere_and_it_is_allowed(name: str) -> None:
    assert conda_pins()[name] == locked()[name]
    assert declared()[name].specifier.contains(locked()[name])


def test_what_the_tests_need_is_locked_too() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    for line in extras["test"]:
        requirement = Requirement(line)
        version = locked().get(canonicalize_name(requirement.name))
        assert version is None or requirement.specifier.contains(version), line


def test_mlproject_offers_the_fields_with_their_defaults() -> None:
    parameters = MLPROJECT["entry_points"]["main"]["parameters"]
    assert list(parameters) == ["model", "problem", "preset", "epochs", "seed", "device"]
    for name, parameter in parameters.items():
        empty = ("epochs", "problem")  # the preset's own; the default, or the rows of a file
        expected = "" if name in empty else str(RunConfig.model_fields[name].default)
        assert parameter["default"] == expected, name
    command = MLPROJECT["entry_points"]["main"]["command"].split()
    words = [word for name in parameters for word in (f"--{name}", f"{{{name}}}")]
    assert command == ["python", "-m", "harness", "run", *words]
    assert MLPROJECT["conda_env"] == "conda.yaml"
    assert not {"python_env", "docker_env"} & set(MLPROJECT)


def test_every_package_is_declared_by_name() -> None:
    tops = sorted({name.partition(".")[0] for name in PROJECT["tool"]["setuptools"]["packages"]})
    found = [
        ".".join(path.parent.relative_to(ROOT).parts) for top in tops for path in (ROOT / top).rglob("__init__.py")
    ]
    assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == sorted(found)


def test_every_data_file_of_a_package_is_declared() -> None:
    tops = {name.partition(".")[0] for name in PROJECT["tool"]["setuptools"]["packages"]}
    files = {path for top in tops for path in (ROOT / top).rglob("*") if path.is_file()}
    data = {path for path in files if path.suffix != ".py" and path.parent.name != "__pycache__"}
    declared_files = {
        path
        for package, patterns in PROJECT["tool"]["setuptools"]["package-data"].items()
        for pattern in patterns
        for path in Path(ROOT, *package.split(".")).glob(pattern)
        if path.is_file()
    }
    assert data == declared_files
