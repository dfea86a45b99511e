"""Implicit representations start as their papers have them, and are checkpointed, exported and trained as every family is."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.errors import BadInput
from harness.models import load_checkpoint, network, save_checkpoint
from harness.models.finer import Finer
from harness.models.gauss import Gaussian
from harness.models.wire import Gabor
from harness.presets import resolve
from harness.training import Epoch, train
from tests.support import parts, small

ALL = ("wire", "finer", "gauss", "mlp_bspline")


def build(model: str, dimension: int = 2, outputs: int = 1, **fields: Any) -> nn.Sequential:
    built = network(resolve({"model": model, **fields}), dimension, outputs)
    assert isinstance(built, nn.Sequential)
    return built


def linears(network: nn.Module) -> list[nn.Linear]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Linear)]


def assert_uniform(values: Tensor, bound: float) -> None:
    assert values.abs().max().item() <= bound
    # The largest of n uniform draws is within 10/n of the bound but for one time in e^10.
    assert values.abs().max().item() >= bound * (1 - 10 / values.numel())
    if values.numel() > 100:
        assert values.var().item() == pytest.approx(bound**2 / 3, rel=3.6 / math.sqrt(values.numel()))


@pytest.mark.parametrize("model", ["wire", "gauss", "mlp_bspline"])
@pytest.mark.parametrize("dimension", [1, 3])
def test_linear_layers_start_as_torch_has_them(model: str, dimension: int) -> None:
    for layer in linears(build(model, dimension, width=300, depth=2)):
        assert_uniform(layer.weight.detach(), 1 / math.sqrt(layer.in_features))
        assert_uniform(layer.bias.detach(), 1 / math.sqrt(layer.in_features))


@pytest.mark.parametrize("omega0", [3.0, 30.0])
def test_finer_starts_as_siren_with_its_own_biases_in_the_first_layer(omega0: float) -> None:
    first, *others = linears(build("finer", 2, width=300, depth=3, omega0=omega0, bias_range=5.0))
    assert_uniform(first.weight.detach(), 1 / 2)
    assert_uniform(first.bias.detach(), 5.0)
    for layer in others:
        assert_uniform(layer.weight.detach(), math.sqrt(6 / 300) / omega0)
        assert_uniform(layer.bias.detach(), 1 / math.sqrt(300))


@pytest.mark.parametrize("model", ALL)
def test_the_same_seed_gives_the_same_start_and_another_seed_another(model: str) -> None:
    one, same, other = (build(model, width=5, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("model", ALL)
@pytest.mark.parametrize(("dimension", "outputs"), [(1, 1), (3, 2)])
def test_it_has_depth_hidden_layers_a_linear_output_and_as_many_parameters_as_it_says(
    model: str, dimension: int, outputs: int
) -> None:
    built = build(model, dimension, outputs, width=7, depth=3)
    shapes = [(layer.in_features, layer.out_features) for layer in linears(built)]
    assert shapes == list(pairwise([dimension, 7, 7, 7, outputs]))
    assert isinstance(built[-1], nn.Linear)
    assert len(built) == 7
    config = resolve({"model": model, "width": 7, "depth": 3})
    assert config.parameters(dimension, outputs) == sum(parameter.numel() for parameter in built.parameters())


def test_activations_have_the_fields_of_the_configuration() -> None:
    wavelet = build("wire", omega0=3.0, s0=2.0)[1]
    sine, bump = build("finer", omega0=5.0)[1], build("gauss", a=0.25)[1]
    assert isinstance(wavelet, Gabor)
    assert (wavelet.omega0, wavelet.s0) == (3.0, 2.0)
    assert isinstance(sine, Finer)
    assert sine.omega0 == 5.0
    assert isinstance(bump, Gaussian)
    assert bump.a == 0.25


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs", "lm"])
@pytest.mark.parametrize("problem", ["poisson_1d_poly", "solve_1d_poly"])
@pytest.mark.parametrize("model", ALL)
def test_every_optimizer_lowers_the_loss_of_fits_and_of_equations(model: str, problem: str, optimizer: str) -> None:
    config = small(
        model, problem=problem, epochs=3, optimizer=optimizer, **({"iterations": 3} if optimizer == "lbfgs" else {})
    )
    epochs = [event for event in train(*parts(config), config) if isinstance(event, Epoch)]
    assert len(epochs) == config.epochs
    first, last = (epochs[at].extra.get("train/residual", epochs[at].train_mse) for at in (0, -1))
    assert last < first


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("model", ALL)
def test_a_trained_model_comes_back_from_its_checkpoint_and_its_export(model: str, dtype: str, tmp_path: Path) -> None:
    config = small(model, dtype=dtype, optimizer="lbfgs", epochs=2, iterations=3)
    regressor, data = parts(config)
    for _ in train(regressor, data, config):
        pass
    save_checkpoint(tmp_path, config, regressor.state_dict())
    again, loaded = load_checkpoint(tmp_path)
    x = data.dense.x
    assert again == config
    assert torch.equal(loaded(x), regressor(x))
    program = torch.export.export(regressor, (x[:5],), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    close = {"float64": 1e-12, "float32": 1e-4}[dtype]
    torch.testing.assert_close(program.module()(x), regressor(x), rtol=close, atol=close)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"model": "wire", "omega0": 0}, "omega0 = 0"),
        ({"model": "wire", "s0": -1}, "s0 = -1"),
        ({"model": "finer", "bias_range": 0}, "bias_range = 0"),
        ({"model": "gauss", "a": 0}, "a = 0"),
        ({"model": "gauss", "omega0": 3}, "omega0 = 3 is not a field of model 'gauss'"),
        ({"model": "mlp_bspline", "k": 0}, "k = 0"),
        ({"model": "mlp_bspline", "grid": 0}, "grid = 0"),
        ({"model": "mlp_bspline", "grid_range": 0}, "grid_range = 0"),
        ({"model": "mlp_bspline", "activation": "relu"}, "activation = 'relu' is not a field of model 'mlp_bspline'"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_by_field_and_value(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadInput) as refused:
        resolve(fields)
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


def test_smoothness_is_that_of_the_activation() -> None:
    assert resolve({"model": "wire"}).smoothness() == math.inf
    assert resolve({"model": "gauss"}).smoothness() == math.inf
    assert resolve({"model": "finer"}).smoothness() == 2
    assert resolve({"model": "mlp_bspline", "k": 1}).smoothness() == 1
