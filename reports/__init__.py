"""Reports: the evidence of a store, the verdicts on it, and the pages that show both. Reads the store and nothing else."""
