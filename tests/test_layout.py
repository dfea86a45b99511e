"""How the code is cut: no function is longer than what can be read at once."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tests.support import ROOT

MOST_LINES = 50
"""From ``def`` to the end of a function; its docstring, comments and blank lines do not count."""
NOT_YET_SPLIT: set[str] = set()
"""Functions that are longer, to be emptied. What is short enough by now has to go."""


def lengths() -> Iterator[tuple[str, int]]:
    """Every function of the project with its lines."""
    for top in ("harness", "reports", "studies"):
        for path in sorted((ROOT / top).rglob("*.py")):
            text = path.read_text()
            lines = text.splitlines()
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    has_docstring = ast.get_docstring(node) is not None
                    left_out = range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1) if has_docstring else ()
                    counted = [n for n in range(node.lineno, (node.end_lineno or 0) + 1) if n not in left_out]
                    code = [n for n in counted if lines[n - 1].strip() and not lines[n - 1].lstrip().startswith("#")]
                    yield f"{path.relative_to(ROOT)}: {node.name}", len(code)


def test_no_function_is_longer_than_fifty_lines() -> None:
    assert {name for name, length in lengths() if length > MOST_LINES} == NOT_YET_SPLIT
