"""How every page of a report writes a number."""

from __future__ import annotations

import math


def number(value: float | None) -> str:
    """A figure for the reader: three digits, whole numbers whole, powers of ten beyond 0.01 and 10,000.

    None, which is no data, is a dash; infinity is "not reached"; NaN is said to be NaN.
    """
    if value is None:
        return "–"
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "not reached"
    if abs(value) < 10_000 and value == int(value):
        return str(int(value))
    if 0.01 <= abs(value) < 1_000:
        return f"{value:#.3g}".removesuffix(".")
    if 1_000 <= abs(value) < 10_000:
        return f"{value:.0f}"
    digits, power = f"{value:.2e}".split("e")
    return f"{digits}e{int(power)}"
