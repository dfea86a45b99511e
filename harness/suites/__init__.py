"""Suites: which problems, models and variants a benchmark computes, as YAML that users can write too."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness import problems
from harness.config import RunConfig
from harness.errors import BadInput
from harness.families import FAMILIES
from harness.presets import resolve
from harness.registry import check_name, nearest


class Variant(BaseModel):
    """A group of cells: each of ``models``, with ``fields``, for every combination of the values in ``sweep``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: tuple[str, ...] = Field(description="Model families; all of them unless given.", default=())
    fields: dict[str, Any] = Field(description="Fields of the run configuration.", default_factory=dict)
    sweep: dict[str, tuple[Any, ...]] = Field(description="Fields with the values to combine.", default_factory=dict)
    parameters: tuple[int, ...] = Field(
        description="Numbers of parameters; for each, the width that comes nearest is computed.", default=()
    )


class Suite(BaseModel):
    """The declaration of a suite."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    summary: str = Field(description="One sentence for `harness list`.")
    problems: tuple[str, ...] = Field(description="Names of problems or of sections of problems.", min_length=1)
    preset: str = Field(description="Preset, unless the user names another.", default="tuned")
    fields: dict[str, Any] = Field(description="Fields of the run configuration, for every cell.", default_factory=dict)
    variants: tuple[Variant, ...] = Field(description="Groups of cells.", default=(Variant(),), min_length=1)


def names() -> list[str]:
    """The suites that come with the project."""
    return sorted(
        entry.name.removesuffix(".yaml") for entry in files(__package__).iterdir() if entry.name.endswith(".yaml")
    )


def title(suite: str) -> str:
    """What a suite is called: its name, or that of its file. Raises BadInput for what can't be a name."""
    name = Path(suite).stem
    check_name("suite", name)
    return name


def load(suite: str) -> Suite:
    """A suite by its name, or by the path of a ``.yaml`` file.

    Raises BadInput when there is none, and for a malformed one, with the line and the field.
    """
    if suite.endswith((".yaml", ".yml")):
        title(suite)
        try:
            text = Path(suite).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadInput(f"suite = {suite!r} can't be read: {error}.") from error
    elif suite in names():
        text = files(__package__).joinpath(f"{suite}.yaml").read_text()
    else:
        raise BadInput(f"suite = {suite!r} is not known, nor the path of a .yaml file; {nearest(suite, names())}")
    try:
        content = yaml.safe_load(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise BadInput(f"{suite}, line {line}: this is not YAML: {error.problem}.") from error
    if not isinstance(content, dict):
        raise BadInput(f"{suite}, line 1: a suite is a mapping of fields, such as problems: [section1_2].")
    try:
        return Suite.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise BadInput(f"{suite}, line {_line(node, first['loc'])}: {where}: {_complaint(first)}.") from error


def _line(node: yaml.Node | None, place: Iterable[int | str]) -> int:
    """The line of the innermost part of ``place`` that is there."""
    line = 1
    for part in place:
        if isinstance(node, yaml.MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == str(part)]
            if not pairs:
                break
            line, node = pairs[0][0].start_mark.line + 1, pairs[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            node = node.value[part]
            line = node.start_mark.line + 1
    return line


def _complaint(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        fields = Variant.model_fields if "variants" in error["loc"] else Suite.model_fields
        return f"no such field; {nearest(str(error['loc'][-1]), fields).rstrip('.')}"
    return str(error["msg"][0].lower() + error["msg"][1:])


def configurations(
    suite: Suite, seeds: Iterable[int], presets: Sequence[str], given: Mapping[str, Any], models: Sequence[str] = ()
) -> Iterator[RunConfig]:
    """The configuration of each cell, seed by seed, so that a benchmark that is cut short has whole seeds.

    ``given`` are fields from the user, over those of the suite; ``models`` keeps only these families. Raises BadInput
    for what can't be used; a problem that several sections have comes once.
    """
    chosen = problem_names(suite.problems)
    for seed, preset, problem in itertools.product(seeds, presets, chosen):
        for variant in suite.variants:
            for model in variant.models or FAMILIES.names():
                if models and model not in models:
                    continue
                fields = {**suite.fields, **variant.fields, **given}
                fields |= {"model": model, "problem": problem, "preset": preset, "seed": seed}
                for values in itertools.product(*variant.sweep.values()):
                    swept = fields | dict(zip(variant.sweep, values, strict=True))
                    config = resolve(swept)
                    if not variant.parameters:
                        yield config
                    for count in variant.parameters:
                        yield resolve({**swept, "width": _width(config, count)})


def problem_names(wanted: Iterable[str]) -> list[str]:
    """The problems named and those of the sections named, each once. Raises BadInput for what is neither."""
    known = {name: problems.get(name) for name in problems.PROBLEMS.names()}
    sections = {section for problem in known.values() for section in problem.sections}
    found: dict[str, None] = {}
    for name in wanted:
        if name not in known and name not in sections:
            raise BadInput(f"problems = {name!r} is not known; {nearest(name, {*known, *sections})}")
        found |= {problem.name: None for problem in known.values() if name in (problem.name, *problem.sections)}
    return list(found)


def _width(config: RunConfig, count: int) -> int:
    """The width whose number of parameters is nearest to ``count``."""
    if "width" not in type(config).model_fields:
        raise BadInput(f"parameters = {count} can't be met: model {config.model!r} has no width.")
    # Neither decides a size; so a width is sought once for all seeds and for all problems of a dimension.
    alike = config.model_copy(update={"seed": 0, "problem": ""})
    return _nearest_width(alike, problems.get(config.problem).dimension, count)


@cache
def _nearest_width(config: RunConfig, dimension: int, count: int) -> int:
    """By bisection: the number of parameters grows with the width."""
    from harness.models import most_parameters, network

    def size(width: int) -> int:
        wide = config.model_copy(update={"width": width})
        return most_parameters(network(wide, dimension), wide)

    low, high = 1, 2
    while size(high) < count:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size(middle) < count else (low, middle)
    return min((low, high), key=lambda width: (abs(size(width) - count), width))
