"""From the runs of a problem to what can be said of each criterion."""

from reports.verdicts.verdict import Finding, Verdict, at_most, below, no_data

__all__ = ["Finding", "Verdict", "at_most", "below", "no_data"]
