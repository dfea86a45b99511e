"""Where each value of a run comes from: the user, a section of the preset with its comment, or a default."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from harness.presets import chosen_values, is_equation, load, resolve, sections, stated, text_of

Path = tuple[str, ...]
OF_FILE = ("problem", "n_train", "n_val", "n_test")
"""Fields that a file decides where the user does not."""


@dataclass(frozen=True)
class Origin:
    """A value and where it comes from."""

    field: str
    value: Any
    source: str
    comment: str = ""
    """What the preset says beside the value: the study that it comes from, or why it was chosen."""


def explain(given: Mapping[str, Any]) -> list[Origin]:
    """The origin of every field that is in force. Raises BadInput as :func:`harness.presets.resolve` does."""
    given = stated(given)
    config = resolve(given)
    file = is_equation(config.problem), config.model
    preset = load(config.preset, *file)
    chosen = chosen_values(preset, config.model, config.problem, given)
    remarks = comments(text_of(config.preset, *file))
    if "extends" in preset:
        remarks = {**comments(text_of(preset["extends"], *file)), **remarks}
    places = sections(preset, config.model, config.problem)
    found = []
    for name, value in config.values().items():
        of_preset = [place for place, section in places.items() if name in section] if name in chosen else []
        if name in given:
            found.append(Origin(name, value, "given"))
        elif config.data and name in OF_FILE:
            found.append(Origin(name, value, "the file"))
        elif of_preset:
            place = of_preset[-1]
            found.append(
                Origin(name, value, f"preset {config.preset}, {'.'.join(place)}", remarks.get((*place, name), ""))
            )
        elif name in type(config.method).model_fields:
            found.append(Origin(name, value, f"default of {config.optimizer}"))
        else:
            found.append(Origin(name, value, "default"))
    return found


def comments(text: str) -> dict[Path, str]:
    """The comment of each value in a YAML text, by the path of its keys: the one on its line, else the one above it.

    A value without one has the comment of the line of its section; a value that an alias brings from further up has that
    comment first.
    """
    lines = text.splitlines()
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    return {path: remark for path, remark in _comments(node, (), lines, "", 0) if remark} if node is not None else {}


def _comments(node: yaml.Node, path: Path, lines: list[str], of_section: str, since: int) -> Iterator[tuple[Path, str]]:
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        if key.value == "<<":
            yield from _comments(value, path, lines, of_section, since)
            continue
        place, remark = (*path, str(key.value)), _beside(lines, key.start_mark.line)
        if isinstance(value, yaml.MappingNode):
            yield from _comments(value, place, lines, remark if len(place) > 2 else "", key.start_mark.line)
        else:
            from_above = key.start_mark.line < since
            yield place, (of_section or remark) if from_above else (remark or of_section)


def _beside(lines: list[str], number: int) -> str:
    found = re.search(r"\s#\s?(.*)$", lines[number])
    if found is not None:
        return found[1].strip()
    above: list[str] = []
    while number > 0 and lines[number - 1].lstrip().startswith("#") and lines[number - 1].startswith(" "):
        number -= 1
        above.insert(0, lines[number].strip().lstrip("# "))
    return " ".join(above)
