"""Families that solve for their unknowns instead of training for them: what networks are held against.

Solvers of equations find the values of the unknown function at the nodes of a tensor grid
(:mod:`harness.models.classical.collocation`), and give what lies between the nodes as a tensor product
(:mod:`harness.models.classical.product`). Families that fit are sums of known functions
(:mod:`harness.models.classical.expansion`), whose coefficients least squares or a kernel's matrix find, size by size.
"""
