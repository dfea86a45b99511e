"""Section tables: rows of measurements that scikit-learn ships, so that they need no network.

A plug-in, as scikit-learn takes its time to load: ``--plugins harness.problems.shipped``, which suite ``tables`` has. Of what
scikit-learn ships, these two have numbers as outputs; its others have classes.
"""

from __future__ import annotations

from typing import Any

from sklearn.datasets import load_diabetes, load_linnerud

from harness.problems.problem import Problem, register
from harness.problems.table import of_numbers

SECTIONS = ("tables",)


def shipped(name: str, data: Any, outputs: tuple[str, ...], citation: str, units: dict[str, str]) -> None:
    """Register a data set of scikit-learn's, in raw units."""
    y = data.target.reshape(len(data.target), -1)
    table = of_numbers(name, tuple(data.feature_names), outputs, data.data, y)
    register(
        Problem(
            name=f"table_{name}",
            dimension=len(table.inputs),
            table=table,
            inputs=table.inputs,
            outputs=table.outputs,
            units=units,
            low=tuple(table.x.min(axis=0).tolist()),
            high=tuple(table.x.max(axis=0).tolist()),
            formula=f"{len(y)} rows of {name}",
            sections=SECTIONS,
            citation=f"{citation}; sklearn.datasets.load_{name}",
        )
    )


shipped(
    "diabetes",
    load_diabetes(scaled=False),
    ("progression",),
    "Efron, Hastie, Johnstone and Tibshirani 2004, Least angle regression, Annals of Statistics 32(2)",
    {"age": "years"},
)
shipped(
    "linnerud",
    load_linnerud(),
    ("Weight", "Waist", "Pulse"),
    "Tenenhaus 1998, La regression PLS: theorie et pratique, Technip",
    {},
)
