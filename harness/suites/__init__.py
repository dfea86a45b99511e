"""Suites: which problems, models and variants a benchmark computes, as YAML that users can write too."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from harness import presets, problems
from harness.config import RunConfig, had_by
from harness.errors import BadInput, complaint, quoted
from harness.families import FAMILIES, Kind
from harness.machine import Memory, gib, memory
from harness.presets import is_equation, resolve
from harness.problems.file import name_of
from harness.registry import check_name, load_plugins, nearest
from harness.suites.reading import Document, Place, read

ALL = "all"
"""In the place of the names of models: every family, and not the usual ones alone."""
MOST_CELLS = 100_000
"""Cells that are planned at once (docs/scaling.md); planning takes about a millisecond a cell."""
DECIDED = {
    **dict.fromkeys(("model", "problem", "seed", "preset"), "models, problems, preset, and --seeds of the command"),
    **dict.fromkeys(("threads", "timeout", "plugins"), "the command: --threads, --timeout, --plugins"),
}
"""Fields of a run that a suite can't set, and what decides them instead."""


Sizes = tuple[Annotated[int, Field(ge=1, strict=True)], ...]


class Variant(BaseModel):
    """A group of cells: each of ``models`` on each of ``problems``, with ``fields``, for every combination of the values in
    ``sweep``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    problems: tuple[str, ...] = Field(
        description="Names of problems of the suite, or of sections of them; all of the suite's unless given.",
        default=(),
    )
    models: tuple[str, ...] = Field(description="Model families; the usual ones unless given.", default=())
    kinds: tuple[Kind, ...] = Field(description="Kinds of model families, in the place of their names.", default=())
    fields: dict[str, Any] = Field(description="Fields of the run configuration.", default_factory=dict)
    sweep: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = Field(
        description="Fields with the values to combine.", default_factory=dict
    )
    parameters: Sizes = Field(
        description="Numbers of parameters; for each, the width that comes nearest is computed.", default=()
    )
    flops: Sizes = Field(
        description="Numbers of floating-point operations of an evaluation at a point; likewise.", default=()
    )

    def chosen(self, models: Sequence[str], equations: bool) -> list[str]:
        """Its model families, of ``models`` only if there are any, for problems that are equations, or for those that are not.

        Where the group names none these are the usual ones that can be loaded and can take on such problems, and with ``all``
        every one. A classical family is not meant by a group that has fields of its own, which are those of networks; one
        that ``models`` name is meant by a group that names none.
        """
        usable, own = FAMILIES.usable(), bool(self.fields or self.sweep or self.sizes)
        able = {name: each for name, each in usable.items() if each.can_take(equations) or name in models}
        if self.kinds:
            found = [name for name, each in able.items() if each.kind in self.kinds]
        else:
            meant = [name for name, each in able.items() if not (own and each.kind == "classical")]
            found = [name for name in meant if able[name].usual or ALL in models]
        named = [name for name in models if name != ALL]
        others = [name for name in able if name in named and name not in found] if not self.kinds else []
        return [name for name in self.models or [*found, *others] if not named or name in named]

    @property
    def sizes(self) -> list[tuple[str, int]]:
        """What widths are to meet: numbers of parameters, then of operations."""
        return [("parameters", count) for count in self.parameters] + [("flops", count) for count in self.flops]

    def cells(self, models: Sequence[str], equations: bool) -> int:
        """Its cells for one seed, preset and problem."""
        return len(self.chosen(models, equations)) * math.prod(map(len, self.sweep.values())) * max(1, len(self.sizes))


class Suite(BaseModel):
    """The declaration of a suite."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    summary: str = Field(description="One sentence for `harness list`.")
    problems: tuple[str, ...] = Field(
        description="Names of problems or of sections of problems; none where fields name a file as data.", default=()
    )
    preset: str = Field(description="Preset, unless the user names another.", default="tuned")
    fields: dict[str, Any] = Field(description="Fields of the run configuration, for every cell.", default_factory=dict)
    plugins: tuple[str, ...] = Field(
        description="Modules or .py files to import first, besides the user's.", default=()
    )
    timeout: float | None = Field(description="Deadline of a cell in s, unless the user gives one.", default=None, gt=0)
    max_memory: Memory = Field(description="Memory of a worker, such as 2G, unless the user gives one.", default=None)
    variants: tuple[Variant, ...] = Field(description="Groups of cells.", default=(Variant(),), min_length=1)
    _document: Document | None = PrivateAttr(None)

    def located(self, error: BadInput, given: Collection[str] = (), variant: int = 0) -> BadInput:
        """The refusal with file and line in front, where it is about a field that this file sets, and not ``given``.

        A sentence names the fields that it is about as ``field = value``.
        """
        of_variant: Place = ("variants", variant)
        for name in re.findall(r"\b(\w+) = ", str(error)):
            if self._document is None or name in given:
                break
            places: list[Place] = [(*of_variant, "sweep", name), (*of_variant, "fields", name), ("fields", name)]
            places += [
                (*of_variant, {"model": "models"}.get(name, name)),
                *([(name,)] if name in ("problems", "plugins") else []),
            ]
            for place in places:
                if place in self._document.lines:
                    return self._document.fault(place, str(error))
        return error


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
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise BadInput(f"suite = {quoted(suite)} can't be read: {why}.") from error
    elif suite in names():
        text = files(__package__).joinpath(f"{suite}.yaml").read_text()
    else:
        raise BadInput(f"suite = {quoted(suite)} is not known, nor the path of a .yaml file; {nearest(suite, names())}")
    document = read(suite, text)
    if not isinstance(document.content, dict):
        raise document.fault((), "a suite is a mapping of fields, such as problems: [section1_2]")
    try:
        found = Suite.model_validate(document.content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise document.fault(first["loc"], f"{where}: {_complaint(first)}") from error
    if not found.problems and not found.fields.get("data"):
        what = "it should have at least 1 item" if "problems" in document.content else "it is needed"
        raise document.fault(("problems",), f"problems: {what}; or fields with data, a file whose rows are learned")
    _refuse_what_a_suite_does_not_decide(found, document)
    found._document = document
    return found


def _complaint(error: Mapping[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        fields = Variant.model_fields if "variants" in error["loc"] else Suite.model_fields
        return f"no such field; {nearest(str(error['loc'][-1]), fields)}"
    return complaint(error)


def _refuse_what_a_suite_does_not_decide(suite: Suite, document: Document) -> None:
    try:
        presets.check(suite.preset)
    except BadInput as error:
        raise document.fault(("preset",), str(error)) from error
    places: list[tuple[Place, Mapping[str, Any]]] = [(("fields",), suite.fields)]
    for index, variant in enumerate(suite.variants):
        here: Place = ("variants", index)
        places += [((*here, "fields"), variant.fields), ((*here, "sweep"), variant.sweep)]
        for place, fields in places[-2:]:
            if variant.sizes and "width" in fields:
                sized = variant.sizes[0][0]
                raise document.fault((*place, "width"), f"width is decided by {sized}; leave one of the two out")
    for place, fields in places:
        for name in (name for name in fields if name in DECIDED):
            raise document.fault((*place, name), f"{name} is decided by {DECIDED[name]}; leave it out here")


def configurations(
    suite: Suite,
    seeds: Sequence[int],
    presets: Sequence[str],
    given: Mapping[str, Any],
    models: Sequence[str] = (),
    check: Callable[[RunConfig], None] = lambda config: None,
) -> Iterator[RunConfig]:
    """The configuration of each cell, seed by seed, so that a benchmark that is cut short has whole seeds.

    ``given`` are fields from the user, over those of the suite; ``models`` keeps only these families. The suite's plug-ins are
    imported first. Raises BadInput for what can't be used, for what ``check`` refuses, and for more than ``MOST_CELLS`` cells
    before the first is made; with the line where the suite's file is at fault. A problem that several sections have comes once,
    and so does a width that meets several sizes.
    """
    try:
        load_plugins(suite.plugins)
        chosen = learned(suite, given)
    except BadInput as error:
        raise suite.located(error) from error
    _refuse_too_many(suite, chosen, seeds, presets, models)
    of_suite = of_every_cell(suite, given)
    families = {those: [each.chosen(models, those) for each in suite.variants] for those in (True, False)}
    about = [_about(suite, index, chosen) for index in range(len(suite.variants))]
    for seed, preset, problem in itertools.product(seeds, presets, chosen):
        sized: set[str] = set()  # a number of parameters and one of operations may be met by the same width
        for index, variant in enumerate(suite.variants):
            for model in families[is_equation(problem)][index] if problem in about[index] else ():
                try:
                    config_of = FAMILIES.get(model).config
                    fields = {**had_by(config_of, of_suite), **variant.fields, **had_by(config_of, given)}
                    fields |= {"model": model, "problem": problem, "preset": preset, "seed": seed}
                    for config in _of_variant(variant, fields):
                        if variant.sizes:
                            known = config.model_dump_json()
                            if known in sized:
                                continue
                            sized.add(known)
                        check(config)
                        yield config
                except BadInput as error:
                    raise suite.located(error, given, index) from error


def _about(suite: Suite, index: int, chosen: Sequence[str]) -> list[str]:
    """The problems of a variant. Raises BadInput, with its line, for one that is not the suite's."""
    wanted = suite.variants[index].problems
    if not wanted:
        return list(chosen)
    try:
        found = problem_names(wanted)
        if others := [name for name in found if name not in chosen]:
            raise BadInput(f"problems = {quoted(others[0])} of a variant is not among the problems of the suite.")
    except BadInput as error:
        raise suite.located(error, variant=index) from error
    return found


def _refuse_too_many(
    suite: Suite, chosen: Sequence[str], seeds: Sequence[int], presets: Sequence[str], models: Sequence[str]
) -> None:
    a_seed = 0
    for index, variant in enumerate(suite.variants):
        about = _about(suite, index, chosen)
        equations = sum(map(is_equation, about))
        of_all = variant.cells(models, True) * equations + variant.cells(models, False) * (len(about) - equations)
        a_seed += of_all * len(presets)
        if a_seed > MOST_CELLS:
            text = f"sweep = {quoted(list(variant.sweep))} makes {a_seed:,} cells a seed; at most {MOST_CELLS:,} are planned"
            raise suite.located(BadInput(f"{text} at once."), variant=index)
    if a_seed * len(seeds) > MOST_CELLS:
        raise BadInput(
            f"seeds = {len(seeds)} makes {a_seed * len(seeds):,} cells; at most {MOST_CELLS:,} are planned at once, so give "
            f"at most {MOST_CELLS // a_seed} seeds, and go on from there with first_seed."
        )


def _of_variant(variant: Variant, fields: Mapping[str, Any]) -> Iterator[RunConfig]:
    for values in itertools.product(*variant.sweep.values()):
        swept = {**fields, **dict(zip(variant.sweep, values, strict=True))}
        config = resolve(swept)
        if not variant.sizes:
            yield config
        for what, count in variant.sizes:
            width = _width(config, what, count)
            try:
                wide = resolve({**swept, "width": width})
            except BadInput as error:
                raise BadInput(f"{what} = {count} can't be met: {error}") from error
            yield wide


def learned(suite: Suite, given: Mapping[str, Any]) -> list[str]:
    """What the cells of a suite learn: its problems, or the rows of a file where the user or the suite names one."""
    file = {**suite.fields, **given}.get("data")
    return [name_of(str(file))] if file else problem_names(suite.problems)


def of_every_cell(suite: Suite, given: Mapping[str, Any]) -> dict[str, Any]:
    """The suite's fields. Where the user names a file, without the numbers of points, which are meant for its problems."""
    points = ("n_train", "n_val", "n_test") if given.get("data") else ()
    return {name: value for name, value in suite.fields.items() if name not in points}


def problem_names(wanted: Iterable[str]) -> list[str]:
    """The problems named and those of the sections named, each once. Raises BadInput for what is neither.

    A plug-in's problem that can't be loaded belongs to no section; by its name it is refused.
    """
    known = problems.PROBLEMS.usable()
    sections = {section for problem in known.values() for section in problem.sections}
    found: dict[str, None] = {}
    for name in wanted:
        if name not in known and name not in sections:
            if name in problems.PROBLEMS.names():
                problems.get(name)  # says why it can't be loaded
            raise BadInput(f"problems = {name!r} is not known; {nearest(name, {*known, *sections})}")
        found |= {problem.name: None for problem in known.values() if name in (problem.name, *problem.sections)}
    return list(found)


def _width(config: RunConfig, what: str, count: int) -> int:
    """The width whose number of parameters, or of operations, is nearest to ``count``."""
    if "width" not in type(config).model_fields:
        raise BadInput(f"{what} = {count} can't be met: model {config.model!r} has no width.")
    # A width is sought once for all that have the same sizes: seeds, problems of a dimension, what is cut later and its twin.
    alike = (config.twin() or config).model_copy(update={"seed": 0, "problem": ""})
    return _nearest_width(alike, problems.of(config).shape, what, count)


@cache
def _nearest_width(config: RunConfig, shape: tuple[int, ...], what: str, count: int) -> int:
    """By bisection: both numbers grow with the width."""
    if 2 * 8 * count > (room := memory()):
        raise BadInput(
            f"{what} = {count} can't fit: they and their gradient take {gib(2 * 8 * count)}, and there is {gib(room)} of memory."
        )

    def size(width: int) -> int:
        return _size(config.model_copy(update={"width": width}), shape, what)

    low, high = 1, 2
    while size(high) < count:
        if size(high) <= size(low):
            raise BadInput(
                f"{what} = {count} can't be met: those of model {config.model!r} do not grow with its width."
            )
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if size(middle) < count else (low, middle)
    return min((low, high), key=lambda width: (abs(size(width) - count), width))


@cache  # several targets meet at the same widths
def _size(config: RunConfig, shape: tuple[int, ...], what: str) -> int:
    from harness.models import network
    from harness.models.flops import flops
    from harness.models.interface import parameters

    if what == "flops":
        return flops(network(config, *shape), shape[0])
    return config.parameters(*shape) or parameters(network(config, *shape))
