"""Train MLP, Fourier-feature MLP, SIREN, KAN and pruned KAN on the same problems, and keep evidence of what happened."""

__version__ = "0.2.0"
