"""What a plug-in declares a criterion with (docs/reports.md); the criteria of the project are in ``reports.verdicts``."""

from reports.verdicts.criteria import CRITERIA, Criterion, register

__all__ = ["CRITERIA", "Criterion", "register"]
