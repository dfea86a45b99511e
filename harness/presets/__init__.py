"""From what the user gave to a valid configuration: defaults, then the preset, then the user's values.

A preset has a ``summary``, a sentence, and up to three sections, each over the one before: ``all``, ``models: {model:
{...}}`` and ``problems: {model: {problem: {...}}}``. One that ``extends`` another begins with that one's ``all`` and
``models``, never with its ``problems``. ``knows_target`` lists the models whose ``problems`` were chosen with knowledge of
the target's formula: their numbers are marked wherever they stand.

What a preset has for problems that are equations stands in a file of its own, in ``equations/``; where there is none it has the
same for both. What it has for families beside the first five stands in ``competitors/``, in either folder. So the digest of a run
stays what it is when a value changes that is about another kind of problem, or about families of the other file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import yaml
from pydantic import ValidationError

from harness import methods
from harness.config import RunConfig, fields_of, had_by
from harness.errors import BadInput, quoted, refusal
from harness.families import FAMILIES
from harness.registry import check_name, load_plugins, nearest

DECIDING = ("optimizer", "grids")
"""Fields that decide which of a preset's other values make sense, see :func:`chosen_values`."""

COMPETITORS = "competitors"
"""Folder of what presets have for families beside the first five."""

DAGGER = "†"
"""Stands at each number of a run whose preset knows its target (:func:`knows_target`)."""
KNOWS_TARGET = f"{DAGGER} shape chosen with knowledge of the target; preset lm_plain has one without"


def names() -> list[str]:
    """The presets that come with the project."""
    return sorted({*_files(""), *_files("equations")})


@cache
def _files(folder: str) -> Mapping[str, Traversable]:
    """The files of presets in a folder, by the name of the preset."""
    entries = files(__package__).joinpath(folder).iterdir()
    return {entry.name.removesuffix(".yaml"): entry for entry in entries if entry.name.endswith(".yaml")}


def check(preset: str) -> None:
    """Raise BadInput where there is no preset of that name, or it can't be a name."""
    if preset not in names():
        raise BadInput(f"preset = {quoted(preset)} is not known; {nearest(preset, names())}")
    check_name("preset", preset)


def folder_of(preset: str, of_equation: bool, model: str) -> str:
    """Where the file lies that a preset has for such a problem and such a model. Raises BadInput where it has none."""
    check(preset)
    for folder in ("equations", "") if of_equation else ("",):
        beside = f"{folder}/{COMPETITORS}".lstrip("/")
        if preset in _files(beside) and model in _load(preset, beside)["models"]:
            return beside
        if preset in _files(folder):
            return folder
    raise BadInput(
        f"preset = {quoted(preset)} is about equations, and the problem is none; allowed: {', '.join(sorted(_files('')))}."
    )


def load(preset: str, of_equation: bool = False, model: str = "") -> Mapping[str, Any]:
    """What a preset has for fits, or for equations, with what it extends: the file that has values for the model, where it is
    one of the competitors, else that of the first families. Raises BadInput when there is none of that name.
    """
    return _load(preset, folder_of(preset, of_equation, model))


@cache
def _load(preset: str, folder: str) -> Mapping[str, Any]:
    content: dict[str, Any] = yaml.safe_load(_files(folder)[preset].read_text())
    if "extends" not in content:
        return content
    base, own = _load(content["extends"], folder), content.get("models") or {}
    models = {
        model: {**(base["models"].get(model) or {}), **(own.get(model) or {})} for model in {**base["models"], **own}
    }
    return {**content, "all": {**base["all"], **(content.get("all") or {})}, "models": models}


def summary(preset: str) -> str:
    """What a preset is, in a sentence. Raises BadInput when there is none of that name."""
    return str(load(preset, of_equation=preset not in _files(""))["summary"])


def digest(preset: str, of_equation: bool = False, model: str = "") -> str:
    """Hash of the values in a preset's file, whatever their order and comments. Raises BadInput as :func:`load` does."""
    return _hash(load(preset, of_equation, model))


def digests(preset: str) -> set[str]:
    """What the digest of a run of this preset may be: that of each of its files. Raises BadInput for no preset's name."""
    check(preset)
    folders = [name for name in ("", COMPETITORS, "equations", f"equations/{COMPETITORS}") if preset in _files(name)]
    return {_hash(_load(preset, folder)) for folder in folders}


def _hash(content: Mapping[str, Any]) -> str:
    values = {name: section for name, section in content.items() if name != "summary"}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def text_of(preset: str, of_equation: bool = False, model: str = "") -> str:
    """The file of a preset as it is written, comments included. Raises BadInput as :func:`load` does."""
    return _files(folder_of(preset, of_equation, model))[preset].read_text()


def is_equation(problem: str) -> bool:
    """Whether the problem of that name is one; not where no problem has the name, as that of a file."""
    if problem == RunConfig.model_fields["problem"].default:  # a fit; so help and a typing error wait for nothing
        return False
    from harness.problems import PROBLEMS  # late: they take as long to load as all the rest

    return problem in PROBLEMS.names() and PROBLEMS.get(problem).equation is not None


def resolve(given: Mapping[str, Any]) -> RunConfig:
    """The validated configuration for the values that the user gave (strings, as a command line has them, or Python's).

    Raises BadInput with one sentence that names the field, the value and what is allowed. Plug-ins that ``given``
    names are imported first.
    """
    given = stated(given)
    load_plugins(_plugins(given.get("plugins", ())))
    if given.get("data"):
        from harness.problems.file import (
            named,
        )  # only then: problems need numpy, which takes as long to load as all the rest

        given = named(given)
    family = FAMILIES.get(str(given.get("model", RunConfig.model_fields["model"].default)))
    problem = str(given.get("problem", RunConfig.model_fields["problem"].default))
    preset = load(str(given.get("preset", RunConfig.model_fields["preset"].default)), is_equation(problem), family.name)
    _refuse_what_it_is_without(given, family.config, family.name)
    _refuse_unknown(given, family.config, family.name)
    chosen = chosen_values(preset, family.name, problem, given)
    try:
        config = family.config.model_validate({**chosen, **given, "model": family.name})
    except ValidationError as error:
        raise refusal(error) from error
    return _of_rows(config, given) if config.data else config


def _of_rows(config: RunConfig, given: Mapping[str, Any]) -> RunConfig:
    """The configuration with as many points as its file has rows; fewer for training, if the user wants fewer."""
    from harness.problems.file import points_of_parts

    there = points_of_parts(config)
    for name, rows in there.items():
        wanted = getattr(config, name)
        if name in given and (wanted > rows or (wanted < rows and name != "n_train")):
            less = " at most" if name == "n_train" else ""
            raise BadInput(f"{name} = {wanted} can't be used: the split of the file has{less} {rows} rows for it.")
    if "n_train" in given:
        del there["n_train"]
    return config.model_copy(update=there)


def stated(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the user gave, without an empty ``epochs`` or ``problem``: MLproject hands over whatever it declares, and nothing
    stands there for the preset's own, and for the default or the rows of a file.
    """
    return {name: value for name, value in given.items() if value != "" or name not in ("epochs", "problem")}


def knows_target(config: RunConfig) -> bool:
    """Whether a value of the run was chosen for its problem with knowledge of the target's formula."""
    preset = load(config.preset, is_equation(config.problem), config.model)
    if config.model not in preset.get("knows_target", ()):
        return False
    section = sections(preset, config.model, config.problem)["problems", config.model, config.problem]
    values = config.values()
    return any(values.get(name) == value for name, value in section.items())


def sections(preset: Mapping[str, Any], model: str, problem: str) -> dict[tuple[str, ...], Mapping[str, Any]]:
    """The sections of a preset that a run has values from, by their place in it; each goes over the one before."""
    places: list[tuple[str, ...]] = [("all",), ("models", model), ("problems", model, problem)]
    found = {}
    for place in places:
        section: Any = preset
        for part in place:
            section = section.get(part) or {}
        found[place] = section
    return found


def chosen_values(preset: Mapping[str, Any], model: str, problem: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The values that a preset has for a run, without those that make no sense beside what the user gave."""
    chosen: dict[str, Any] = {}
    for section in sections(preset, model, problem).values():
        chosen |= section
    if "optimizer" in given and given["optimizer"] != chosen.get("optimizer"):
        # A preset's rates belong to the preset's optimizer.
        chosen = {name: value for name, value in chosen.items() if name not in methods.fields()}
    if "grids" in given or "degrees" in given:
        # A preset's further grids go on from the preset's grids.
        chosen.pop("retrain_grids", None)
    return had_by(FAMILIES.get(model).config, chosen)


def by_hand(config: RunConfig) -> dict[str, Any]:
    """The fields that the preset alone would have given another value, and the result depends on: what the user set.

    In order of declaration, values as in JSON. A value that is set by hand and is the preset's all the same is not told.
    """
    chosen: dict[str, Any] = {"model": config.model, "problem": config.problem, "preset": config.preset}
    of_file = {name: getattr(config, name) for name in config.of_file} if config.data else {}
    chosen |= {"data": config.data, **of_file} if config.data else {}  # without which there is no problem

    def differing() -> dict[str, Any]:
        alone = resolve({**chosen, "seed": config.seed}).values()
        return {
            name: value
            for name, value in config.values().items()
            if name not in config.not_identity and alone.get(name, alone) != value
        }

    names = (*DECIDING, "degrees") if "retrain_grids" in type(config).model_fields else DECIDING
    deciding = {name: value for name, value in differing().items() if name in names}
    chosen |= deciding
    rest = differing()
    told = {name for name, value in of_file.items() if value != type(config).model_fields[name].default}
    named = {*deciding, *rest, *told}
    return {name: value for name, value in config.values().items() if name in named}


def _plugins(value: object) -> Iterable[str]:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else tuple(value)  # type: ignore[arg-type]  # any iterable


def _refuse_what_it_is_without(given: Mapping[str, Any], config: type[RunConfig], model: str) -> None:
    what = "its equation" if FAMILIES.get(model).takes == "equations" else "for its coefficients"
    for name in given.keys() - had_by(config, given).keys():
        raise BadInput(
            f"{name} = {quoted(given[name])} is not a field of model {model!r}: it solves {what}, in float64, and has "
            "no optimizer; leave it out."
        )


def _refuse_unknown(given: Mapping[str, Any], config: type[RunConfig], model: str) -> None:
    for name, value in given.items():
        if name in fields_of(config):
            continue
        owners = [other for other, its in FAMILIES.usable().items() if name in its.config.model_fields]
        if owners:
            raise BadInput(
                f"{name} = {quoted(value)} is not a field of model {model!r}; it belongs to {', '.join(owners)}."
            )
        raise BadInput(
            f"{name} = {quoted(value)} is not a field of model {model!r}; {nearest(name, fields_of(config))}"
        )
