"""What a user can do wrong, as one exception."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Mapping
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

from harness.addresses import clean

if TYPE_CHECKING:
    from pydantic import ValidationError

NOT_A_PLUGIN = {
    "harness",
    "importlib_metadata",
    "numpy",
    "reports",
    "studies",
    "torch",
    *sys.stdlib_module_names,
}
"""Packages through which a call reaches a plug-in, or in which it ends; what they raise is said of the plug-in's own line."""
MOST_SHOWN = 200
"""Characters of a value that a sentence quotes."""


class BadInput(Exception):
    """The input can't be used; the message is one sentence that says what was given and what is allowed.

    The command line prints that sentence, without a traceback, and exits with status 2. Passwords in it are masked.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(clean(sentence))


class StoreLost(Exception):
    """The store could not be used any more in the middle of the work; the message is one sentence, without passwords."""

    def __init__(self, sentence: str) -> None:
        super().__init__(clean(sentence))


class Stopped(Exception):
    """The work was asked to stop before it was done; the message is by what. The same call goes on from there."""


def in_one_line(error: BaseException) -> str:
    """What somebody else's code raised, and where in it: ``ValueError: too many (mine.py, line 3)``.

    To be called where the exception is caught, right around the call. The place is the innermost frame in the package of
    the function that was called; none is named where no line of it ran, as for a function of torch itself.
    """
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg} ({error.filename}, line {error.lineno})"
    said = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    text = said if said == type(error).__name__ else f"{type(error).__name__}: {said}"
    frames = [
        (frame.f_code.co_filename, line, str(frame.f_globals.get("__name__")).partition(".")[0])
        for frame, line in walk_tb(error.__traceback__)
        if "__tracebackhide__" not in frame.f_locals  # as what wraps a function to check its arguments has it
    ]
    theirs = [each for each in frames if not each[0].startswith("<") and each[2] not in NOT_A_PLUGIN]
    if not theirs:
        return text
    file, line, _ = [each for each in theirs if each[2] == theirs[0][2]][-1]
    return f"{text} ({file}, line {line})"


def quoted(value: object) -> str:
    """A value as a sentence shows it: in Python's notation, which has no control characters, and cut when it is long."""
    try:
        shown = repr(value)
    except ValueError:  # Python writes out no integer of more than 4300 digits
        return f"a {type(value).__name__} that is too long to be shown"
    if len(shown) <= MOST_SHOWN:
        return shown
    length = len(value) if isinstance(value, str) else len(shown)
    return f"{shown[: MOST_SHOWN // 2]}...{shown[-10:]} ({length} characters)"


def complaint(error: Mapping[str, Any]) -> str:
    """What pydantic says of a value, in the words of somebody who never heard of pydantic; no full stop."""
    if error["type"] == "literal_error":
        close = difflib.get_close_matches(str(error["input"])[:MOST_SHOWN], _words(error), n=1)
        return f"it should be {error['ctx']['expected']}" + (f"; did you mean {close[0]!r}?" if close else "")
    of_its_own = {
        "bool_parsing": "it should be a valid boolean: true or false",
        "bool_type": "it should be a valid boolean: true or false",
        "tuple_type": "it should be a list, such as [a, b]",
        "dict_type": "it should be a mapping of names to values",
        "model_type": "it should be a mapping of names to values",
        "missing": "it is needed",
    }
    said = str(error["msg"]).removeprefix("Value error, ").split(", unable to parse")[0].split(", got a number")[0]
    said = re.sub(r"^(Input|Value|String|Tuple) ", "it ", said)
    return of_its_own.get(error["type"], said)


def _words(error: Mapping[str, Any]) -> list[str]:
    return re.findall(r"'([^']*)'", error["ctx"]["expected"])


def refusal(error: ValidationError) -> BadInput:
    """The first complaint of pydantic, in one sentence that begins with the field.

    A check of several fields together, which belongs to none of them, writes its whole sentence itself.
    """
    first = error.errors()[0]
    if not first["loc"]:
        return BadInput(_ended(complaint(first)))
    name, *inside = first["loc"]
    item = f" (item {inside[0] + 1})" if inside and isinstance(inside[0], int) else ""
    return BadInput(_ended(f"{name} = {quoted(first['input'])}{item} can't be used: {complaint(first)}"))


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith(("?", ".")) else f"{sentence}."
