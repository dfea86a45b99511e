"""How a field of a configuration is declared, and how the command line spells its values."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field


def split(value: object) -> object:
    """``"5,10,20"`` as the command line gives a list."""
    if not isinstance(value, str):
        return value
    parts = [part.strip() for part in value.split(",") if part.strip()]
    if value.strip() and not parts:
        raise ValueError("nothing stands between its commas")
    return parts


def none(value: object) -> object:
    """``none`` as the command line spells the absence of a value."""
    return None if isinstance(value, str) and value.lower() in ("none", "") else value


def field(default: Any, meaning: str, *, unit: str = "", source: str = "", **bounds: Any) -> Any:
    """A configuration field with its documentation: meaning, unit, default and the source of the default."""
    return Field(
        default,
        description=meaning,
        json_schema_extra={"unit": unit, "source": source},
        validate_default=True,
        **bounds,
    )


OrNone = BeforeValidator(none)
Integers = Annotated[tuple[Annotated[int, Field(ge=1)], ...], BeforeValidator(split)]
Names = Annotated[tuple[str, ...], BeforeValidator(split)]

DOCUMENT = "training_fixes_summary (2025-10-24)"
"""The source that this project comes from (docs/document.md)."""
