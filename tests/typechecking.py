"""How the tests check annotations, array shapes included, at each call of the packages' functions."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

# As mypy reads them: an int is a float (PEP 484, "The numeric tower").
strict = beartype(conf=BeartypeConf(is_pep484_tower=True))
jaxtyped = jaxtyping.jaxtyped


def install(packages: list[str]) -> None:
    """Check what is imported of ``packages`` from now on."""
    # The hook writes @jaxtyping.jaxtyped(typechecker=...) at each function and class.
    jaxtyping.jaxtyped = lambda *, typechecker: checked  # type: ignore[assignment]
    jaxtyping.install_import_hook(packages, "tests.typechecking.checked")


def checked(target: Any) -> Any:
    """A function, or a class, whose calls hold to their annotations, and in each call an axis of one name has one size.

    ``jaxtyping.jaxtyped(typechecker=strict)`` does the same. It also binds the arguments and checks them twice, for a
    message that says more; in tests of training that took as long as the training.
    """
    if inspect.isclass(target):
        if dataclasses.is_dataclass(target) and "__init__" in vars(target):
            target.__init__ = checked(target.__init__)  # type: ignore[method-assign]
        return target
    if isinstance(target, classmethod | staticmethod):
        return type(target)(checked(target.__func__))
    if isinstance(target, property):
        return property(*(accessor and checked(accessor) for accessor in (target.fget, target.fset, target.fdel)))

    @functools.cache  # at the first call, when all names of the module are there
    def held() -> Callable[..., Any]:
        return strict(_with_types(target))

    @functools.wraps(target)
    def call(*arguments: Any, **named: Any) -> Any:
        __tracebackhide__ = True  # of pytest, and of sentences that name a line
        if jaxtyping.config.jaxtyping_disable:
            return target(*arguments, **named)
        with jaxtyped("context"):
            return held()(*arguments, **named)

    return call


def _with_types(function: FunctionType) -> FunctionType:
    """The function with types for the text of its annotations; a name that only mypy imports stands for anything."""
    copy = FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    copy.__qualname__ = function.__qualname__
    copy.__annotations__ = {name: _type(text, function) for name, text in function.__annotations__.items()}
    return copy


def _type(text: Any, function: FunctionType) -> Any:
    try:
        return eval(text, function.__globals__) if isinstance(text, str) else text
    except NameError:
        return Any
