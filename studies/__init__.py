"""Hyperparameters chosen by evidence: what is searched, the driver that searches, and the way from a study to a preset."""
