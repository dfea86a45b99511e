"""What a user can do wrong, as one exception."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.addresses import clean

if TYPE_CHECKING:
    from pydantic import ValidationError


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


def refusal(error: ValidationError) -> BadInput:
    """The first complaint of pydantic, in one sentence."""
    first = error.errors()[0]
    if first["type"] == "value_error":
        return BadInput(f"{first['msg'].removeprefix('Value error, ')}.")
    allowed = re.sub(r"^(Input|Value|String|Tuple) ", "it ", first["msg"])
    return BadInput(f"{first['loc'][0]} = {first['input']!r} can't be used: {allowed}.")
