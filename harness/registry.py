"""Named things that plug-ins can add to, such as problems and model families.

A name is found among what was registered by a call, then among the installed entry points of the group
(Python Packaging User Guide, "Entry points specification").
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from harness.errors import MOST_SHOWN, BadInput, in_one_line, quoted

T = TypeVar("T")


NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


def check_name(kind: str, name: object) -> None:
    """Raise BadInput for what can't be the name of a ``kind`` of thing, such as a problem or a suite.

    Names become parts of file names, experiments, filters and pages. A ``+`` may end one of 99 characters or fewer: the
    criteria have an ``S2+``.
    """
    if not isinstance(name, str) or len(name) > 100 or not NAME.fullmatch(name.removesuffix("+")):
        raise BadInput(
            f"{kind} = {quoted(name)} can't be a name; allowed: up to 100 letters, digits, '_', '.' and '-', the first a letter "
            "or digit, and a '+' at the end."
        )


MOST_TOLD = 800
"""Characters of names that a sentence lists."""


def nearest(name: str, allowed: Iterable[str]) -> str:
    """The end of an error sentence: the closest allowed name if there is one, and otherwise all, or three of too many."""
    known = sorted(allowed)
    if close := difflib.get_close_matches(name[:MOST_SHOWN], known, n=1):
        return f"did you mean {close[0]!r}?"
    if len(told := ", ".join(known)) <= MOST_TOLD:
        return f"allowed: {told}."
    some = difflib.get_close_matches(name[:MOST_SHOWN], known, n=3, cutoff=0)
    return f"allowed: {len(known)} names, such as {', '.join(some)}."


class Registry(Generic[T]):
    """Things of one kind by name, in the order of their registration; what a plug-in's entry point names is an ``of``."""

    def __init__(self, kind: str, group: str, of: type[T] | type[object] = object) -> None:
        self.kind = kind
        self.group = group
        self._of = of
        self._things: dict[str, T] = {}

    def register(self, name: str, thing: T) -> T:
        """Add ``thing``. Raises BadInput for what can't be a name (:func:`check_name`), and when the name is taken, so that a
        plug-in can't silently replace another.
        """
        check_name(self.kind, name)
        if name in self._things:
            raise BadInput(f"{self.kind} {name!r} is registered twice; give one of the two another name.")
        self._things[name] = thing
        return thing

    def names(self) -> list[str]:
        """Every name that :meth:`get` knows."""
        return [*self._things, *(name for name in self._entry_points() if name not in self._things)]

    def get(self, name: str) -> T:
        """The thing of that name. Raises BadInput, with the nearest known name, when there is none, and when a plug-in's
        entry point can't be loaded, or is something else.
        """
        if name not in self._things:
            entry_point = self._entry_points().get(name)
            if entry_point is None:
                raise BadInput(f"{self.kind} = {quoted(name)} is not known; {nearest(name, self.names())}")
            check_name(self.kind, name)
            self._things[name] = self._loaded(name, entry_point)
        return self._things[name]

    def usable(self, tell: Callable[[str], None] = lambda fault: None) -> dict[str, T]:
        """Everything that :meth:`get` gives, by name. Of what it can't, ``tell`` is told why, in one sentence each: a plug-in
        that can't be loaded is no fault of those who do not ask for it.
        """
        found = {}
        for name in self.names():
            try:
                found[name] = self.get(name)
            except BadInput as error:
                tell(str(error))
        return found

    def _loaded(self, name: str, entry_point: Any) -> T:
        what = f"{self.kind} {name!r} can't be loaded from its plug-in {entry_point.value!r}"
        try:
            thing = entry_point.load()
        except BadInput as error:
            raise BadInput(f"{what}: {error}") from error
        except (Exception, SystemExit) as error:
            raise BadInput(f"{what}: {in_one_line(error)}.") from error
        if not isinstance(thing, self._of):
            given = f"the class {thing.__name__}" if isinstance(thing, type) else f"of type {type(thing).__name__}"
            raise BadInput(f"{what}: it is {given}, and should be of type {self._of.__name__}.")
        return cast(T, thing)

    def _entry_points(self) -> Mapping[str, Any]:
        return _installed(self.group, tuple(sys.path))


@cache
def _installed(group: str, path: tuple[str, ...]) -> Mapping[str, Any]:
    """The entry points of a group by name. Looked up anew only where ``path``, Python's own, is another one: a look reads a
    file of each installed package.
    """
    # Any: once importlib_metadata is imported, as MLflow does, they are of its class instead of the standard one.
    return {entry_point.name: entry_point for entry_point in entry_points(group=group)}


def load_plugins(plugins: Iterable[str]) -> None:
    """Import each plug-in, a module name or the path of a ``.py`` file, once a process; it registers what it brings.

    Raises BadInput when a plug-in is not there, or raises or exits while it is imported.
    """
    for plugin in plugins:
        path = Path(plugin).absolute() if plugin.endswith(".py") else None
        if path is not None and not path.is_file():
            raise BadInput(f"plugins = {quoted(plugin)} is not there: no file {quoted(str(path))}.")
        try:
            importlib.import_module(plugin) if path is None else _import_file(path.resolve())
        except BadInput:
            raise
        except (Exception, SystemExit) as error:
            raise BadInput(f"plugins = {quoted(plugin)} can't be imported: {in_one_line(error)}.") from error


def _import_file(path: Path) -> None:
    """Import a file under a name made of its path, so that two plug-ins with one file name stay apart."""
    name = f"harness_plugin_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
