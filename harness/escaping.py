"""A text that somebody else wrote, as text in each format that we write: nothing in it is markup or a command.

Names are held to a rule (:mod:`harness.registry`), but a store may hold anything, and a reason is an exception's.
"""

from __future__ import annotations

import hashlib
import re

from harness.errors import BadInput

LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<=": r"$\leq$",
    ">=": r"$\geq$",
    "<": "$<$",
    ">": "$>$",
    "|": r"\textbar{}",
    "`": r"\textasciigrave{}",
    '"': "''",
    # After the end of a row these two would be an argument of it.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "†": r"$^\dagger$",
    "‡": r"$^\ddagger$",
} | {c: f"\\{c}" for c in "&%$#_{}"}
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def visible(text: object) -> str:
    """A text on one line of a terminal: what can't be seen, such as an escape sequence or a change of direction, is spelled."""
    text = str(text)
    if text.isprintable():
        return text
    flat = re.sub(r"\s+", " ", text)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in flat)


def markdown(text: object) -> str:
    """A text within a line of Markdown, or a cell of a table: no markup, no link that makes itself, no further line."""
    inert = visible(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    inert = re.sub(r"([\\`*_{}\[\]()#|!~$])", r"\\\1", inert)
    # GitHub's Markdown and MLflow's make links of bare addresses too (GFM, section 6.9).
    return re.sub(r"(?i)(?<![a-z])(https?|ftp|mailto|xmpp|www)([:.])|@", _no_address, inert)


def _no_address(found: re.Match[str]) -> str:
    return f"{found[1]}&#{ord(found[2])};" if found[1] else "&#64;"


def code(text: object) -> str:
    """A text as a code span of Markdown, whatever backticks are in it (CommonMark, section 6.1)."""
    shown = visible(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    return f"{fence}{shown}{fence}" if len(fence) == 1 else f"{fence} {shown} {fence}"


def latex(text: object) -> str:
    """A text in a paragraph or a table of LaTeX."""
    return re.sub("[<>]=|.", lambda found: LATEX.get(found[0], found[0]), visible(text))


def spreadsheet(value: object) -> object:
    """An entry of a CSV file: a text that a spreadsheet would take for a formula gets an apostrophe before it."""
    return f"'{value}" if isinstance(value, str) and value.lstrip(" ").startswith(FORMULA) else value


def drawn(text: object) -> str:
    """A text in a picture: a dollar sign in it begins no formula of matplotlib's."""
    return visible(text).replace("$", r"\$")


def file_name(text: str) -> str:
    """The name of a file for a text, in its folder whatever is in the text; two texts have two names."""
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,119}", text):
        return text
    told_apart = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', text)[:100]}-{told_apart}"


def in_filter(value: str) -> str:
    """A value in a filter of MLflow's. Raises BadInput for one that its grammar can't express."""
    for mark in "'\"":
        if mark not in value:
            return f"{mark}{value}{mark}"
    raise BadInput(
        f"{value!r} can't be searched for: MLflow's filters take no text with both kinds of quotation marks."
    )
