"""Whole suites of runs: what is missing is computed, in processes of its own, here or on a cluster."""
