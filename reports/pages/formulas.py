"""A problem's formula, which is plain text such as ``sin(2 pi x)``, as a formula of matplotlib's."""

from __future__ import annotations

import re
from functools import cache

from matplotlib.mathtext import MathTextParser

WORDS = {
    **{name: rf"\{name}" for name in ("sin", "cos", "tan", "exp", "log", "ln", "tanh", "sinh", "cosh", "min", "max")},
    **{name: rf"\{name} " for name in ("pi", "alpha", "beta", "gamma", "sigma", "omega")},
    **{name: rf"\ \mathrm{{{name}}}\ " for name in ("for", "else", "mod", "if", "and", "or")},
    **{name: rf"\mathrm{{{name}}}" for name in ("abs", "sqrt", "sign", "erf")},
    **{name: name for name in "xyzt"},
}
SIGNS = {"*": r"\,", ";": r";\ ", "<=": r"\leq ", ">=": r"\geq ", **{sign: sign for sign in "+-/()<>=|,"}}
TOKEN = re.compile(
    r"(?P<space>\s*)(?:(?P<word>[A-Za-z]+)|(?P<number>[0-9.]+)|\^(?P<power>-?[0-9a-z]+)|(?P<sign><=|>=|\S))"
)


@cache
def typeset(formula: str) -> str | None:
    """The formula between dollar signs; None for one that has a word or a sign that is not known here, or makes no
    sense, which stays plain text.
    """
    parts: list[str] = []
    factor = False
    for found in TOKEN.finditer(formula.strip()):
        word, number, power, sign = found.group("word", "number", "power", "sign")
        part = WORDS.get(word) if word else number or SIGNS.get(sign)
        if power:
            part = f"^{{{power}}}" if re.fullmatch(r"-?[0-9]+|[xyzt]", power) else None
        if part is None:
            return None
        product = factor and found["space"] and not power and (sign is None or sign == "(")
        parts.append(rf"\,{part}" if product else part)
        factor = sign is None or sign == ")"
    text = f"${''.join(parts)}$"
    try:
        MathTextParser("agg").parse(text)
    except ValueError:
        return None
    return text if parts else None
