"""Each family finds what its library, or a naive formula, finds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator, make_lsq_spline
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression
from torch import Tensor

from harness.config import Size
from harness.models.classical.gp import Process
from harness.models.classical.random_features import RandomFeatures
from harness.models.classical.truncated import of_degree
from tests.models.classical.fits import points, untrained, values

TOLERANCE = 1e-10
Array = NDArray[np.float64]


def fit(model: str, size: Size, dimension: int, **fields: object) -> tuple[object, Tensor, Tensor, Array, Array]:
    """The model, its training points and targets, and other points with what it answers there."""
    network, _ = untrained({"model": model, **fields}, dimension)
    x = points(100, dimension)
    y = values(x)
    network.fit(size, x, y)
    z = points(50, dimension, seed=1)
    return network, x, y, z.numpy(), network(z).detach().numpy()[:, 0]


def test_linear_is_scikit_learn_s() -> None:
    _, x, y, z, found = fit("linear", Size("", 4, (1, False)), 3)
    expected = LinearRegression().fit(x.numpy(), y.numpy()).predict(z)[:, 0]
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


@pytest.mark.parametrize("degree", [0, 1, 5, 20])
def test_chebyshev_is_numpy_s(degree: int) -> None:
    _, x, y, z, found = fit("chebyshev", Size("", degree + 1, (degree, False)), 1)
    coefficients = chebyshev.chebfit(x.numpy()[:, 0], y.numpy()[:, 0], degree)
    np.testing.assert_allclose(found, chebyshev.chebval(z[:, 0], coefficients), atol=TOLERANCE)


@pytest.mark.parametrize("tensor", [True, False])
def test_chebyshev_in_several_inputs_is_that_of_numpy_s_vandermonde_matrix(tensor: bool) -> None:
    _, x, y, z, found = fit("chebyshev", Size("", 0, (4, tensor)), 2)

    def matrix(at: Array) -> Array:
        i, j = np.divmod(np.arange(25), 5)
        return np.asarray(
            chebyshev.chebvander2d(at[:, 0], at[:, 1], [4, 4])[:, np.full(25, True) if tensor else i + j <= 4]
        )

    expected = matrix(z) @ np.linalg.lstsq(matrix(x.numpy()), y.numpy()[:, 0])[0]
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


@pytest.mark.parametrize(("k", "grid"), [(1, 6), (3, 1), (3, 8), (5, 4)])
def test_spline_is_scipy_s(k: int, grid: int) -> None:
    _, x, y, z, found = fit("spline", Size("", grid + k, (grid, 1)), 1, k=k)
    order = np.argsort(x.numpy()[:, 0])
    knots = np.concatenate([[-1.0] * k, np.linspace(-1, 1, grid + 1), [1.0] * k])
    expected = make_lsq_spline(x.numpy()[order, 0], y.numpy()[order, 0], knots, k)(z[:, 0])
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_splines_of_one_input_each_add_up() -> None:
    """Without interactions the model is additive: what one input adds does not depend on the other."""
    network, *_ = fit("spline", Size("", 0, (4, 1)), 2)
    a, b = torch.tensor([[-0.5, 0.3], [0.7, 0.3]]).double(), torch.tensor([[-0.5, -0.8], [0.7, -0.8]]).double()
    assert isinstance(network, torch.nn.Module)
    difference = torch.diff(network(a), dim=0) - torch.diff(network(b), dim=0)
    assert difference.abs().item() < TOLERANCE


@pytest.mark.parametrize("smoothing", [0.0, 1e-2])
@pytest.mark.parametrize(("power", "kernel"), [(1, "linear"), (3, "cubic"), (5, "quintic")])
@pytest.mark.parametrize("dimension", [1, 2])
def test_rbf_is_scipy_s(dimension: int, power: int, kernel: str, smoothing: float) -> None:
    _, x, y, z, found = fit("rbf", Size("", 100, (power, smoothing)), dimension)
    theirs = RBFInterpolator(x.numpy(), y.numpy(), kernel=kernel, smoothing=smoothing)
    # Both solve the same ill-conditioned system by elimination, with other units for the polynomial.
    np.testing.assert_allclose(found, theirs(z)[:, 0], atol=1e-6 if power == 5 and dimension == 1 else 1e-8)


def test_kernel_ridge_is_scikit_learn_s() -> None:
    _, x, y, z, found = fit("kernel_ridge", Size("", 100, (0.7, 1e-3)), 2)
    theirs = KernelRidge(kernel="rbf", gamma=0.5 / 0.7**2, alpha=1e-3).fit(x.numpy(), y.numpy())
    np.testing.assert_allclose(found, theirs.predict(z)[:, 0], atol=TOLERANCE)


def test_gp_is_scikit_learn_s_with_the_numbers_of_its_likelihood() -> None:
    network, x, y, z, found = fit("gp", Size("", 100, (40,)), 2)
    assert isinstance(network, Process)
    numbers = network.theta.exp().tolist()
    kernel = ConstantKernel(numbers[0]) * RBF(numbers[1:3])
    theirs = GaussianProcessRegressor(kernel, alpha=numbers[3], optimizer=None).fit(x.numpy(), y.numpy())
    np.testing.assert_allclose(found, theirs.predict(z), atol=1e-7)
    free = GaussianProcessRegressor(ConstantKernel() * RBF([1.0, 1.0]), alpha=numbers[3]).fit(x.numpy(), y.numpy())
    # Of a flat likelihood 40 iterations leave some.
    assert theirs.log_marginal_likelihood_value_ >= 0.95 * free.log_marginal_likelihood_value_


def test_random_features_are_least_squares_of_their_own_columns() -> None:
    network, x, y, z, found = fit("random_features", Size("", 41, (2.0,)), 2)
    assert isinstance(network, RandomFeatures)
    weights, phases = network.weights.numpy(), network.phases.numpy()

    def matrix(at: Array) -> Array:
        return np.column_stack([np.ones(len(at)), np.sin(at @ weights.T + phases)])

    expected = matrix(z) @ np.linalg.lstsq(matrix(x.numpy()), y.numpy()[:, 0], rcond=1e-14)[0]
    np.testing.assert_allclose(found, expected, atol=1e-8)


@pytest.mark.parametrize("power", [1, 3, 5, 7])
def test_rbf_meets_its_points_where_an_input_has_two_values_and_has_no_curvature_at_a_centre(power: int) -> None:
    model, _ = untrained({"model": "rbf"}, 3)
    x = points(100, 3)
    x[:, 1] = x[:, 1].sign()
    x[:, 2] = 0.5
    model.fit(Size("", 100, (power, 0.0)), x, values(x))
    assert (model(x) - values(x)).abs().max() < 1e-6
    curvatures = model.features(x[:5], 2).curvatures
    assert curvatures is not None
    assert (curvatures[:, range(5), range(5)] == 0).all()


def test_of_a_point_that_is_none_a_polynomial_of_degree_0_has_no_value() -> None:
    model, _ = untrained({"model": "chebyshev"}, 2)
    x = points(20, 2)
    model.fit(Size("", 1, (0, False)), x, values(x))
    assert model(torch.where(x == x[0, 1], torch.nan, x)).isnan().any(dim=1).tolist() == [True] + [False] * (len(x) - 1)


def test_a_polynomial_may_have_more_inputs_than_python_has_calls() -> None:
    assert len(of_degree(1500, 1, tensor=False)) == 1501
    assert of_degree(3, 2, tensor=False).tolist() == sorted(of_degree(3, 2, tensor=False).tolist())
