"""A problem's formula, which is plain text such as ``sin(2 pi x)``, as a formula of matplotlib's."""

from __future__ import annotations

import re
import string
from functools import cache

from matplotlib.mathtext import MathTextParser

FUNCTIONS = (
    "abs",
    "sqrt",
    "sign",
    "erf",
    "sinc",
    "sn",
    "ellipkinc",
    "ellipeinc",
    "jv",
    "yv",
    "kv",
    "iv",
    "lpmv",
    "sum",
)
GREEK = (
    *(
        "alpha",
        "beta",
        "gamma",
        "delta",
        "epsilon",
        "theta",
        "kappa",
        "mu",
        "pi",
        "rho",
        "sigma",
        "phi",
        "chi",
        "omega",
    ),
    "hbar",
)
WITH_SUBSCRIPT = ("Ef", "Nn", "Ve", "af", "kG", "kb", "kf", "ks", "pF", "pd", "Bx", "By", "Bz")
WORDS = {
    **{letter: letter for letter in string.ascii_letters},
    **{name: rf"\{name}" for name in ("sin", "cos", "tan", "exp", "log", "ln", "tanh", "sinh", "cosh", "min", "max")},
    **{name: rf"\{name}" for name in ("arcsin", "arccos", "arctan")},
    **{name: rf"\{name} " for name in GREEK},
    **{name: rf"\ \mathrm{{{name}}}\ " for name in ("for", "to", "else", "mod", "if", "and", "or", "of")},
    **{name: rf"\mathrm{{{name}}}" for name in (*FUNCTIONS, "integral", "Cole", "Hopf")},
    **{name: f"{name[0]}_{{{name[1:]}}}" for name in WITH_SUBSCRIPT},
    "lamb": r"\lambda ",
    "muM": r"\mu_{M}",
}
"""What is known of a formula; a letter or a Greek one may have a number, as its subscript."""
SIGNS = {"*": r"\,", ";": r";\ ", "<=": r"\leq ", ">=": r"\geq ", **{sign: sign for sign in "+-/()<>=|,"}}
TOKEN = re.compile(
    r"(?P<space>\s*)(?:(?P<word>[A-Za-z]+)(?P<index>[0-9]*)|(?P<number>[0-9.]+)|\^(?P<power>-?[0-9a-z.]+)|(?P<sign><=|>=|\S))"
)


@cache
def typeset(formula: str) -> str | None:
    """The formula between dollar signs; None for one that has a word or a sign that is not known here, or makes no
    sense, which stays plain text.
    """
    parts: list[str] = []
    factor = False
    for found in TOKEN.finditer(formula.strip()):
        word, index, number, power, sign = found.group("word", "index", "number", "power", "sign")
        part = WORDS.get(word) if word else number or SIGNS.get(sign)
        if part and index:
            part = f"{part.rstrip()}_{{{index}}}" if len(word) == 1 or word in GREEK else None
        if power:
            part = f"^{{{power}}}" if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?|[xyzt]", power) else None
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
