"""What a user can do wrong, as one exception."""

from __future__ import annotations

import re
import sys
from traceback import walk_tb
from typing import TYPE_CHECKING

from harness.addresses import clean

if TYPE_CHECKING:
    from pydantic import ValidationError

NOT_A_PLUGIN = {
    "harness",
    "importlib_metadata",
    "jaxtyping",
    "numpy",
    "reports",
    "studies",
    "torch",
    *sys.stdlib_module_names,
}
"""Packages through which a call reaches a plug-in, or in which it ends; what they raise is said of the plug-in's own line."""


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
    ]
    theirs = [each for each in frames if not each[0].startswith("<") and each[2] not in NOT_A_PLUGIN]
    if not theirs:
        return text
    file, line, _ = [each for each in theirs if each[2] == theirs[0][2]][-1]
    return f"{text} ({file}, line {line})"


def refusal(error: ValidationError) -> BadInput:
    """The first complaint of pydantic, in one sentence."""
    first = error.errors()[0]
    if first["type"] == "value_error":
        return BadInput(f"{first['msg'].removeprefix('Value error, ')}.")
    allowed = re.sub(r"^(Input|Value|String|Tuple) ", "it ", first["msg"])
    return BadInput(f"{first['loc'][0]} = {first['input']!r} can't be used: {allowed}.")
