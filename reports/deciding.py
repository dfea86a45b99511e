"""How a plug-in's criterion is decided for a problem (docs/reports.md)."""

from reports.verdicts.problem_verdicts import Decide, every_run, median_seed

__all__ = ["Decide", "every_run", "median_seed"]
