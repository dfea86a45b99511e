"""A YAML file that somebody wrote, as plain data: the line of each part is known, and what can't be meant is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from harness.errors import BadInput, quoted
from harness.escaping import visible

Place = tuple[str | int, ...]
DEEPEST = 20
"""Levels of nesting. PyYAML follows them by recursion, and a suite has five."""
MOST_ENTRIES = 10_000
"""Names and values of a file, where what an alias repeats counts each time: a few lines can stand for billions."""
COLLECTIONS = {"tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"}


@dataclass(frozen=True)
class Document:
    """The content of a file, and the line of each part of it."""

    name: str
    content: Any
    lines: Mapping[Place, int]

    def line(self, place: Place) -> int:
        """The line of the innermost part of ``place`` that is there."""
        return next((self.lines[place[:end]] for end in range(len(place), 0, -1) if place[:end] in self.lines), 1)

    def fault(self, place: Place, sentence: str) -> BadInput:
        """What is wrong at a place, in a sentence that begins with file and line."""
        return _fault(self.name, self.line(place), sentence)


def _fault(name: str, line: int, sentence: str) -> BadInput:
    return BadInput(f"{name}, line {line}: {sentence if sentence.endswith(('.', '?')) else f'{sentence}.'}")


def read(name: str, text: str) -> Document:
    """The document that ``text`` is. Raises BadInput, with the line, for what is not one document of plain data.

    A name that comes twice is refused, since all but the last would be dropped without a word; so is nesting or repetition
    beyond what a person writes.
    """
    try:
        _refuse_depth(name, text)
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        reader = _Reader(name, loader)
        content = None if node is None else reader.plain(node, (), 1, ())
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _fault(name, line, f"this is not YAML: {visible(error.problem)}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _fault(name, line, f"this is not YAML: {quoted(text[error.position])} must not be in it") from error
    return Document(name, content, reader.lines)


def _refuse_depth(name: str, text: str) -> None:
    depth = documents = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        documents += isinstance(event, yaml.DocumentStartEvent)
        if depth > DEEPEST:
            raise _fault(name, line, f"this is nested too deep; at most {DEEPEST} levels are read")
        if documents > 1:
            raise _fault(name, line, "a second document begins here; a file has one document")


class _Reader:
    """From the nodes of a file to plain data; notes the line of each part on the way."""

    def __init__(self, name: str, loader: yaml.SafeLoader) -> None:
        self.name = name
        self.loader = loader
        self.lines: dict[Place, int] = {}

    def plain(self, node: yaml.Node, place: Place, line: int, around: tuple[yaml.Node, ...]) -> Any:
        """The data of a node; ``line`` is that of what it belongs to, which for an alias is not its own."""
        if node in around:
            raise _fault(self.name, line, "this is a part of itself")
        if isinstance(node, yaml.ScalarNode):
            try:
                return self.loader.construct_object(node)
            # The last two are what PyYAML raises for such as `!!int ""` and `!!timestamp x`.
            except (ValueError, LookupError, AttributeError) as error:
                what = f"{'.'.join(map(str, place))} = {quoted(node.value)}"
                raise _fault(self.name, line, f"{what} can't be read") from error
        if node.tag not in COLLECTIONS:
            raise _fault(self.name, line, f"this is not plain YAML: the tag {quoted(node.tag)} is not known")
        around = (*around, node)
        if isinstance(node, yaml.SequenceNode):
            return [
                self._part(child, (*place, index), max(line, child.start_mark.line + 1), around)
                for index, child in enumerate(node.value)
            ]
        found: dict[str, Any] = {}
        for key, child in node.value:
            at = max(line, key.start_mark.line + 1)
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                shown = quoted(key.value) if isinstance(key, yaml.ScalarNode) else "a collection"
                raise _fault(self.name, at, f"{shown} can't be the name of a field; write it in letters, or in quotes")
            here = (*place, key.value)
            if key.value in found:
                raise _fault(self.name, at, f"{key.value} is given twice; line {self.lines[here]} has it too")
            found[key.value] = self._part(child, here, at, around)
        return found

    def _part(self, node: yaml.Node, place: Place, line: int, around: tuple[yaml.Node, ...]) -> Any:
        if len(self.lines) >= MOST_ENTRIES:
            raise _fault(
                self.name, line, f"this is too much: a file has at most {MOST_ENTRIES} entries, aliases followed"
            )
        self.lines[place] = line
        return self.plain(node, place, line, around)
