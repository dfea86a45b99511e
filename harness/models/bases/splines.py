"""Splines through the edges of any network of edges: what else works on splines, works on these."""

from __future__ import annotations

import torch
from torch import nn

from harness.models.bspline import extend, fit_coefficients
from harness.models.edges import Activations, EdgeNetwork
from harness.models.kan import KAN

GRID, DEGREE = 20, 3


@torch.no_grad()
def as_splines(network: EdgeNetwork, x: Activations) -> KAN:
    """A KAN whose edges are least-squares fits to those of ``network``, between the least and the largest activation that the
    points ``x`` cause. Raises FloatingPointError when one of these is not finite.
    """
    sizes = [*(layer.mask.shape[0] for layer in network), list(network)[-1].mask.shape[1]]
    made = KAN(sizes, GRID, DEGREE, 0.0, torch.Generator()).to(x)
    for spline, layer in zip(made, network, strict=True):
        low, high = x.amin(dim=0), x.amax(dim=0)
        high = torch.where(high > low, high, low + 1)

        def along(count: int, low: torch.Tensor = low, high: torch.Tensor = high) -> torch.Tensor:
            return torch.lerp(low, high, torch.linspace(0, 1, count).to(low).unsqueeze(1))

        places = along(10 * GRID + 1)
        spline.grid = extend(along(GRID + 1).T, DEGREE).contiguous()
        spline.coef = nn.Parameter(fit_coefficients(places, layer.edges(places), spline.grid, DEGREE).contiguous())
        spline.scale_base.zero_()
        spline.scale_sp.fill_(1)
        spline.mask.copy_(layer.mask)
        x = layer(x)
    return made
