"""Kolmogorov-Arnold networks whose edges are other functions than splines, a file a family.

Five are fixed functions of one variable times coefficients (:mod:`harness.models.bases.layer`); wavelets, rational functions and
those of a formula have parameters inside (:mod:`harness.models.bases.inside`). Both are one network
(:mod:`harness.models.bases.network`).
"""
