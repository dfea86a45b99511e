"""What the store and the artifacts of its runs say."""
