"""Section friedman: the three functions of Friedman 1991, as statistics packages draw them, without their noise.

The ranges are those of scikit-learn's ``make_friedman1`` to ``make_friedman3``. The first has five inputs that do not matter,
for a model to find out. The others are impedance and phase of a circuit; the formula takes the capacitance in farads, though
its range is in Friedman's microfarads, so that it hardly matters. All packages have it so, and so do we.
"""

from __future__ import annotations

import math

from harness.problems.expression import of_formula
from harness.problems.problem import register

SECTIONS = ("friedman",)
FRIEDMAN = (
    "Friedman 1991, Multivariate adaptive regression splines, Annals of Statistics 19(1), section 4; "
    "Breiman 1996, Bagging predictors, Machine Learning 24; sklearn.datasets"
)
CIRCUIT = {
    "x1": (0.0, 100.0),
    "x2": (40 * math.pi, 560 * math.pi),
    "x3": (0.0, 1.0),
    "x4": (1.0, 11.0),
}

register(
    of_formula(
        "friedman_1",
        "10 * sin(pi * x1 * x2) + 20 * (x3 - 0.5)**2 + 10 * x4 + 5 * x5",
        {f"x{i}": (0.0, 1.0) for i in range(1, 11)},
        sections=SECTIONS,
        citation=f"{FRIEDMAN}.make_friedman1",
    )
)
register(
    of_formula(
        "friedman_2",
        "sqrt(x1**2 + (x2 * x3 - 1 / (x2 * x4))**2)",
        CIRCUIT,
        sections=SECTIONS,
        citation=f"{FRIEDMAN}.make_friedman2",
    )
)
register(
    of_formula(
        "friedman_3",
        "arctan((x2 * x3 - 1 / (x2 * x4)) / x1)",
        CIRCUIT,
        sections=SECTIONS,
        citation=f"{FRIEDMAN}.make_friedman3",
        smooth=False,  # where x1 and x3 are near 0 it goes from -pi/2 to pi/2 within no distance
    )
)
