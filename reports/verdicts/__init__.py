"""From the runs of a problem to what can be said of each criterion."""
