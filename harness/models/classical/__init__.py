"""Families that solve an equation instead of training for it: what networks are held against.

Each finds the values of the unknown function at the nodes of a tensor grid (:mod:`harness.models.classical.collocation`),
and gives what lies between the nodes as a tensor product (:mod:`harness.models.classical.product`).
"""
