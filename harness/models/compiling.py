"""How numba compiles the loops of :mod:`harness.models.kernels` and :mod:`harness.models.elementary_loops`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])


def compiled(*fastmath: str, inline: bool = False) -> Callable[[F], F]:
    """Compiled at the first call with a type, and kept on disk where a folder can be written.

    ``fastmath``: LLVM's names for what the compiler may do, always the same way; NaN and infinities stay those of IEEE 754.
    ``inline``: compiled into each loop that calls it. A function that is called from a loop has to be: else a process that has
    compiled both calls its code, and one that has loaded the loop from disk a copy that was optimised with the loop, and the
    last digits of the two differ.
    """

    def decorate(function: F) -> F:
        function = cast(F, inspect.unwrap(function))  # as it stands here, not what a checker of annotations makes of it
        options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": set(fastmath)}
        options["inline"] = "always" if inline else "never"
        try:
            return cast(F, numba.njit(cache=True, **options)(function))
        except RuntimeError:  # no folder for it
            return cast(F, numba.njit(**options)(function))

    return decorate


def instructions(function: Callable[..., Any]) -> Any:
    """What stands where a compiled loop calls this: ``function`` gives the signature, and the function that writes the code; or
    None, where it does not take these types.

    It belongs in the module of these loops: that is what numba looks at to tell whether what it kept on disk is too old.
    """
    return intrinsic(function)
