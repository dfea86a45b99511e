"""How every page of a report writes a number."""

from __future__ import annotations

import math


def number(value: float | None, infinite: str = "not reached") -> str:
    """A figure for the reader: three digits, with a power of ten beyond 0.01 and 10,000; what is whole or has one digit as it is.

    None, which is no data, is a dash; infinity is the text ``infinite``; NaN is "NaN".
    """
    if value is None:
        return "–"
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return infinite
    value = float(f"{value:.12g}")  # what is whole but for rounding is whole
    round_one = float(f"{value:.0e}") == value
    if abs(value) < 10_000 and value == int(value):
        return str(int(value))
    if 1_000 <= abs(value) < 10_000:
        return f"{value:.0f}"
    if 0.01 <= abs(value) < 1_000:
        return f"{value:g}" if round_one else f"{value:#.3g}".removesuffix(".")
    digits, power = f"{value:.{0 if round_one else 2}e}".split("e")
    return f"{digits}e{int(power)}"
