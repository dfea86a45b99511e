"""What is learned. A problem is a target function on a box, with everything needed to judge a fit of it.

>>> from harness import problems
>>> problems.get("poisson_2d_sin").dimension
2
"""

from harness.problems.equation import Condition, Equation, dirichlet
from harness.problems.expression import of_formula
from harness.problems.file import of, of_columns
from harness.problems.problem import PROBLEMS, Problem, get, register
from harness.problems.rows import Jet, Rows

__all__ = [
    "PROBLEMS",
    "Condition",
    "Equation",
    "Jet",
    "Problem",
    "Rows",
    "dirichlet",
    "get",
    "of",
    "of_columns",
    "of_formula",
    "register",
]

# The built-in problems register when they are imported, as those of a plug-in do, and are told in this order.
from harness.problems import functions, poisson, toy, special, feynman, friedman, irregular, solving, equations  # isort: skip  # noqa: F401
