"""Suites of runs: those that have no result yet are computed in child processes, here or on a cluster."""
