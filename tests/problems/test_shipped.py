"""scikit-learn's tables are problems, row for row, for whoever asks for them; nobody else waits for scikit-learn."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_linnerud

from harness import problems
from harness.errors import BadInput
from harness.problems.problem import SHIPPED
from harness.registry import load_plugins


def rows(*columns: Any) -> list[list[float]]:
    found: list[list[float]] = sorted(np.column_stack(columns).tolist())
    return found


@pytest.mark.parametrize(
    ("name", "data"),
    [("diabetes", load_diabetes(scaled=False)), ("linnerud", load_linnerud())],
    ids=["diabetes", "linnerud"],
)
@pytest.mark.usefixtures("registries")
def test_a_shipped_table_has_the_rows_and_the_columns_of_scikit_learn(name: str, data: Any) -> None:
    load_plugins(["harness.problems.shipped"])
    problem = problems.get(f"table_{name}")
    assert problem.table is not None
    assert problem.inputs == tuple(data.feature_names)
    assert rows(problem.table.x, problem.table.y) == rows(data.data, data.target)
    assert len(problem.outputs) == problem.table.y.shape[1]


@pytest.mark.usefixtures("registries")
def test_whoever_asks_for_a_table_without_its_plug_in_is_told_of_it() -> None:
    with pytest.raises(
        BadInput, match=r"^problem = 'table_diabetes' is known with --plugins harness\.problems\.shipped\.$"
    ):
        problems.get("table_diabetes")
    load_plugins(["harness.problems.shipped"])
    assert {name for name in problems.PROBLEMS.names() if name.startswith("table_")} == set(SHIPPED)


def test_the_list_of_problems_needs_no_scikit_learn() -> None:
    code = "import sys; import harness.problems; sys.exit('sklearn' in sys.modules or 'scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
