"""A model speaks raw units, whatever its network sees; building one touches no global state."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness import problems
from harness.config import RunConfig
from harness.data import Sample
from harness.errors import BadInput
from harness.families import Family, register
from harness.models import KAN, Regressor, build, try_networks
from harness.models.interface import active_parameters, parameters
from harness.presets import resolve
from tests.figures.support import rows
from tests.support import MODELS, parts, small


def test_inputs_are_scaled_to_the_unit_box_and_outputs_to_raw_units() -> None:
    identity = Regressor(nn.Identity(), low=2.0, high=6.0, mean=10.0, std=3.0)
    x = torch.tensor([[2.0], [4.0], [6.0]], dtype=torch.float64)
    assert identity.scaled(x).flatten().tolist() == [-1.0, 0.0, 1.0]
    assert identity(x).flatten().tolist() == [7.0, 10.0, 13.0]


@pytest.mark.parametrize("model", MODELS)
def test_predictions_of_many_points_are_made_in_parts(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, data = parts(small(model))
    asked: list[int] = []
    monkeypatch.setattr("harness.models.regressor.CHUNK", 7)
    whole.register_forward_pre_hook(lambda _, given: asked.append(len(given[0])))
    found = whole.predict(data.train.x)
    assert (max(asked), sum(asked)) == (7, len(data.train.x))
    assert not found.requires_grad
    assert torch.allclose(found, whole(data.train.x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("standardise", [True, False])
@pytest.mark.parametrize("model", MODELS)
def test_an_input_that_is_the_same_in_all_training_rows_is_shifted_and_not_divided_by_nothing(
    model: str, standardise: bool
) -> None:
    x = torch.linspace(0, 1, 20, dtype=torch.float64)[:, None]
    train = Sample(torch.hstack([x, torch.full_like(x, 5.0)]), x**2)
    held_out = torch.tensor([[0.5, 5.0], [0.5, 7.0]], dtype=torch.float64)
    rows_ = np.vstack([train.x.numpy(), held_out.numpy()])
    problem = rows(rows_, rows_[:, :1], ("varies", "does_not"), ("y",))
    built = build(small(model, standardise=standardise), problem, train)
    assert built.scaled(train.x)[:, 1].unique().tolist() == [-1.0]
    assert built.scaled(held_out)[:, 1].tolist() == [-1.0, 3.0], "a unit of the file is half of the scale"
    assert built(held_out).isfinite().all()


@pytest.mark.parametrize("model", MODELS)
def test_a_nan_input_gives_a_nan_for_that_point_alone(model: str) -> None:
    regressor, _ = parts(small(model))
    x = torch.zeros(3, 2, dtype=torch.float64)
    x[1, 0] = math.nan
    assert regressor(x).isnan().flatten().tolist() == [False, True, False]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_inputs_of_either_precision_are_answered_in_the_model_s(model: str, dtype: str) -> None:
    regressor, data = parts(small(model, dtype=dtype))
    assert {p.dtype for p in regressor.parameters()} == {getattr(torch, dtype)}
    for precision in (torch.float32, torch.float64):
        assert regressor(data.train.x.to(precision)).dtype == getattr(torch, dtype)


@pytest.mark.parametrize("model", MODELS)
def test_building_is_seeded_and_leaves_the_global_generators_alone(model: str) -> None:
    # Python's own generator is looked at in tests/training/test_loop.py, in a process where beartype does not draw from it.
    before = torch.get_rng_state(), str(np.random.get_state())
    states = [parts(small(model, seed=seed))[0].state_dict() for seed in (3, 3, 4)]
    assert torch.equal(torch.get_rng_state(), before[0])
    assert str(np.random.get_state()) == before[1]
    weights = [name for name in states[0] if name.endswith(("weight", "coef", "scale_base", "frequencies"))]
    assert weights
    for name in weights:
        assert torch.equal(states[0][name], states[1][name]), name
        assert not torch.equal(states[0][name], states[2][name]), name


def broken(config: object, dimension: int, generator: object) -> nn.Module:
    return nn.Linear(dimension, int("wide"))


@pytest.mark.parametrize(
    ("network", "complaint"),
    [
        (broken, rf"has a network that can't be built: ValueError: .*'wide' \({__file__}, line \d+\)\.$"),
        (lambda config, dimension, generator: sys.exit(1), r"has a network that can't be built: SystemExit: 1"),
        (lambda config, dimension, generator: None, r"gives a NoneType for its network"),
        (
            lambda config, dimension, generator: nn.Linear(dimension, 2),
            r"has a network that answers 2 points with \(2, 2\)",
        ),
        (lambda config, dimension, generator: nn.Flatten(0), r"has a network that answers 2 points with \(4,\)"),
        (lambda config, dimension, generator: nn.Linear(3, 1), r"has a network that fails at 2 points: RuntimeError: "),
        (
            "no_such_module:network",
            r"has a network that can't be built: ModuleNotFoundError: No module named 'no_such_module'\.$",
        ),
    ],
)
def test_a_family_whose_network_can_not_be_used_is_refused_before_anything_is_trained(
    network: Any, complaint: str, registries: None
) -> None:
    register(Family("bad", RunConfig, network, "Bad."))
    with pytest.raises(BadInput, match=f"^model 'bad' {complaint}") as refused:
        try_networks([resolve({"model": "bad", "problem": "poisson_2d_sin"})])
    assert "\n" not in str(refused.value)


def test_standardising_takes_mean_and_std_of_the_training_targets() -> None:
    model, data = parts(small("mlp"))
    assert model.mean.item() == pytest.approx(data.train.y.mean().item())
    assert model.std.item() == pytest.approx(data.train.y.std().item())
    raw, _ = parts(small("mlp", standardise=False))
    assert (raw.mean.item(), raw.std.item()) == (0.0, 1.0)


def test_a_constant_target_is_standardised_without_a_division_by_zero() -> None:
    problem = problems.get("poisson_1d_poly")
    x = torch.linspace(-1, 1, 9, dtype=torch.float64)[:, None]
    model = build(small("mlp", problem="poisson_1d_poly"), problem, Sample(x, problem.target(x)))
    assert (model.mean.item(), model.std.item()) == (2.0, 1.0)
    assert model(x).isfinite().all()
    for value in (0.1, 7.7, 123.456):  # the mean of which rounds, so that their standard deviation is not quite zero
        built = build(small("mlp", problem="poisson_1d_poly"), problem, Sample(x, torch.full_like(x, value)))
        assert built.std.item() == 1.0


def test_parameters_are_counted_by_hand() -> None:
    mlp, _ = parts(small("mlp", width=6, depth=2))
    assert parameters(mlp) == active_parameters(mlp.network) == (2 * 6 + 6) + (6 * 6 + 6) + (6 + 1)
    fourier, _ = parts(small("mlp_fourier", width=6, depth=1, features=4))
    assert parameters(fourier) == (8 * 6 + 6) + (6 + 1)
    kan, _ = parts(small("kan", width=3, k=3, grids=(4,)))
    assert isinstance(kan.network, KAN)
    edges = 2 * 3 + 3
    assert parameters(kan) == active_parameters(kan.network) == edges * (4 + 3 + 2)
    next(iter(kan.network)).mask[0, 1] = 0
    assert active_parameters(kan.network) == (edges - 1) * (4 + 3 + 2)
    assert parameters(kan) == edges * (4 + 3 + 2)
