"""How numba compiles the loops of :mod:`harness.models.kernels` and :mod:`harness.models.elementary_loops`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(*fastmath: str) -> Callable[[F], F]:
    """Compiled at the first call with a type, and kept on disk where a folder can be written.

    ``fastmath``: LLVM's names for what the compiler may do, always the same way; NaN and infinities stay those of IEEE 754.
    """

    def decorate(function: F) -> F:
        function = cast(F, inspect.unwrap(function))  # as it stands here, not what a checker of annotations makes of it
        options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": set(fastmath)}
        try:
            return cast(F, numba.njit(cache=True, **options)(function))
        except RuntimeError:  # no folder for it
            return cast(F, numba.njit(**options)(function))

    return decorate
