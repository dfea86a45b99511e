"""Models and presets held against each other."""
