"""Every value that can't be used is refused in one sentence; every other one means the same wherever it comes from."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config import RunConfig
from harness.errors import BadInput
from harness.families import FAMILIES
from harness.methods import METHODS, fields
from harness.presets import resolve
from tests.support import MODELS

BAD: list[tuple[dict[str, str], str, str, str]] = [
    # given, then what the sentence must name: the field, the value, and what is allowed
    ({"model": "sirne"}, "model", "'sirne'", "did you mean 'siren'?"),
    (
        {"model": "zzz"},
        "model",
        "'zzz'",
        "kan, kan_chebyshev, kan_chebyshev_pruned, ",
    ),
    ({"preset": "tunde"}, "preset", "'tunde'", "did you mean 'tuned'?"),
    ({"preset": "best"}, "preset", "'best'", "allowed: lm, lm_plain, paper, seed, seed_default, tuned"),
    ({"widht": "5"}, "widht", "'5'", "did you mean 'width'?"),
    ({"lr": "abc"}, "lr", "'abc'", "valid number"),
    ({"lr": "-1"}, "lr", "'-1'", "greater than 0"),
    ({"lr": "0"}, "lr", "'0'", "greater than 0"),
    ({"lr": "nan"}, "lr", "'nan'", "finite number"),
    ({"lr": "inf"}, "lr", "'inf'", "finite number"),
    ({"epochs": "0"}, "epochs", "'0'", "greater than or equal to 1"),
    ({"epochs": "2.5"}, "epochs", "'2.5'", "valid integer"),
    ({"epochs": "1000001"}, "epochs", "'1000001'", "less than or equal to 1000000"),
    ({"seed": "-1"}, "seed", "'-1'", "greater than or equal to 0"),
    ({"seed": str(2**31)}, "seed", f"'{2**31}'", f"less than {2**31}"),
    ({"dtype": "float16"}, "dtype", "'float16'", "'float64' or 'float32'"),
    ({"device": "gpu"}, "device", "'gpu'", "auto, cpu, cuda, cuda:N"),
    ({"threads": "0"}, "threads", "'0'", "greater than or equal to 1"),
    ({"timeout": "-3"}, "timeout", "'-3'", "greater than 0"),
    ({"n_train": "1"}, "n_train", "'1'", "greater than or equal to 2"),
    (
        {"split": "0.5,0.5"},
        "split",
        "'0.5,0.5'",
        "three shares, of training, validation and test, such as 0.7,0.15,0.15",
    ),
    ({"split": "0.7,0.1,0.1,0.1"}, "split", "'0.7,0.1,0.1,0.1'", "three shares"),
    ({"split": ""}, "split", "''", "three shares"),
    ({"split": "0.5,0.5,0.5"}, "split", "'0.5,0.5,0.5'", "add up to 1.5, not to 1"),
    ({"standardise": "perhaps"}, "standardise", "'perhaps'", "valid boolean"),
    ({"optimizer": "sgd"}, "optimizer", "'sgd'", "allowed: adam, lbfgs, lm"),
    ({"clip": "0"}, "clip", "'0'", "greater than 0"),
    ({"lr_decay": "2"}, "lr_decay", "'2'", "less than or equal to 1"),
    ({"omega0": "0"}, "omega0", "'0'", "greater than 0"),
    ({"model": "mlp", "omega0": "30"}, "omega0", "'30'", "belongs to siren"),
    ({"model": "mlp", "lamb": "1"}, "lamb", "'1'", "belongs to kan_pruned"),
    ({"model": "mlp", "features": "4"}, "features", "'4'", "belongs to mlp_fourier"),
    ({"model": "mlp", "activation": "sine"}, "activation", "'sine'", "'tanh', 'relu' or 'silu'"),
    ({"model": "mlp", "clip": "0.1"}, "clip", "'0.1'", "optimizer=adam"),
    ({"model": "mlp", "iterations": "0"}, "iterations", "'0'", "greater than or equal to 1"),
    ({"model": "mlp", "iterations": "none"}, "iterations", "'none'", "optimizer=lbfgs"),
    ({"model": "kan", "history": "none"}, "history", "'none'", "optimizer=lbfgs"),
    ({"iterations": "5"}, "iterations", "'5'", "optimizer=lbfgs"),
    ({"model": "kan", "grids": "5,3"}, "grids", "'5,3'", "finer than the one before"),
    ({"model": "kan", "grids": "5,5"}, "grids", "'5,5'", "finer than the one before"),
    ({"model": "kan", "grids": "x"}, "grids", "'x'", "valid integer"),
    ({"model": "kan", "grids": "0,5"}, "grids", "'0'", "greater than or equal to 1"),
    ({"model": "kan", "grids": ""}, "grids", "", "at least 1 item"),
    ({"model": "kan", "k": "0"}, "k", "'0'", "greater than or equal to 1"),
    ({"model": "kan_pruned", "epochs": "2"}, "epochs", "2", "at least 4"),
    ({"model": "kan_pruned", "sparsify_fraction": "1"}, "sparsify_fraction", "'1'", "less than 1"),
    ({"model": "kan_pruned", "edge_th": "-1"}, "edge_th", "'-1'", "greater than or equal to 0"),
]


@pytest.mark.parametrize(("given_fields", "field", "value", "allowed"), BAD, ids=lambda part: str(part)[:40])
def test_a_bad_value_is_refused_with_field_value_and_what_is_allowed(
    given_fields: dict[str, str], field: str, value: str, allowed: str
) -> None:
    with pytest.raises(BadInput) as refused:
        resolve(given_fields)
    sentence = str(refused.value)
    assert field in sentence
    assert value in sentence
    assert allowed in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("model", MODELS)
def test_every_field_of_every_model_is_documented(model: str) -> None:
    fields = FAMILIES.get(model).config.model_fields
    undocumented = [name for name, info in fields.items() if not (info.description or "").strip().endswith(".")]
    assert undocumented == []


@pytest.mark.parametrize("model", MODELS)
def test_a_configuration_can_not_be_changed(model: str) -> None:
    with pytest.raises(ValueError, match="frozen"):
        resolve({"model": model}).epochs = 3  # type: ignore[misc]  # what is tried here


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_values_hold_the_fields_of_the_optimizer_in_force_and_of_no_other(model: str, optimizer: str) -> None:
    values = resolve({"model": model, "optimizer": optimizer}).values()
    own = set(METHODS.get(optimizer).config.model_fields)
    others = set(fields()) - own
    assert own <= set(values)
    assert not others & set(values)


def test_another_optimizer_than_the_preset_s_does_not_inherit_the_preset_s_rate() -> None:
    assert resolve({"model": "siren", "preset": "seed"}).values()["lr"] == 1e-4
    assert resolve({"model": "siren", "preset": "seed", "optimizer": "lbfgs"}).values()["lr"] == 1.0


def test_none_switches_the_preset_s_clip_off() -> None:
    assert resolve({"model": "siren", "preset": "seed"}).values()["clip"] == 0.1
    assert resolve({"model": "siren", "preset": "seed", "clip": "none"}).values()["clip"] is None


def test_the_twin_of_a_pruned_kan_is_the_same_kan_with_the_same_budget_and_seed() -> None:
    config = resolve(
        {"model": "kan_pruned", "epochs": "17", "seed": "5", "width": "4", "grids": "4,9", "dtype": "float32"}
    )
    twin = config.twin()
    assert twin is not None
    assert twin.model == "kan"
    for name in twin.values():
        if name != "model":
            assert twin.values()[name] == config.values()[name], name
    assert resolve({"model": "kan"}).twin() is None


FIELD_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "seed": st.integers(0, 2**31 - 1),
    "epochs": st.integers(4, 1_000_000),  # the least of greedy pruning
    "n_train": st.integers(2, 10_000_000),
    "n_val": st.integers(2, 10_000_000),
    "threads": st.integers(1, 1024),
    "timeout": st.none() | st.floats(1e-300, 1e300),
    "dtype": st.sampled_from(["float64", "float32"]),
    "standardise": st.booleans(),
    "lr": st.floats(1e-300, 1e300),
}
ADAM = {"clip": st.none() | st.floats(1e-300, 1e300), "lr_decay": st.floats(1e-300, 1)}
LBFGS = {"iterations": st.integers(1, 10_000), "history": st.integers(1, 1000)}
GRIDS = st.sets(st.integers(1, 10**9), min_size=1, max_size=8).map(lambda grids: tuple(sorted(grids)))
OWN: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "mlp": {**LBFGS, "width": st.integers(1, 100_000), "activation": st.sampled_from(["tanh", "relu", "silu"])},
    "mlp_fourier": {**LBFGS, "features": st.integers(1, 100_000), "sigma": st.floats(1e-300, 1e300)},
    "siren": {**ADAM, "omega0": st.floats(1e-300, 1e300), "depth": st.integers(1, 100)},
    "kan": {**LBFGS, "grids": GRIDS, "k": st.integers(1, 10), "steps_per_grid": st.none() | st.integers(1, 10**9)},
    "kan_pruned": {**LBFGS, "lamb": st.floats(0, 1e300), "sparsify_fraction": st.floats(1e-6, 1, exclude_max=True)},
}


@st.composite
def fields_of_a_model(draw: st.DrawFn) -> dict[str, Any]:
    model = draw(st.sampled_from(MODELS))
    fields = FIELD_VALUES | OWN[model]
    return {"model": model, **draw(st.fixed_dictionaries({}, optional=fields))}


def spelled(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def tuple_of(value: Any) -> Any:
    """JSON has no tuples."""
    return tuple(value) if isinstance(value, list) else value


@given(fields_of_a_model())
def test_values_mean_the_same_as_python_s_and_as_the_command_line_s(fields: dict[str, Any]) -> None:
    as_typed = resolve({name: spelled(value) for name, value in fields.items()})
    assert as_typed == resolve(fields)
    for name, value in fields.items():
        assert tuple_of(as_typed.values()[name]) == value


@given(fields_of_a_model())
def test_a_configuration_survives_json(fields: dict[str, Any]) -> None:
    config = resolve(fields)
    assert resolve(config.model_dump(mode="json")) == config


@given(fields_of_a_model(), st.text(min_size=1, max_size=20))
def test_an_unknown_field_is_refused_whatever_it_is_called(fields: dict[str, Any], name: str) -> None:
    if any(name in FAMILIES.get(model).config.model_fields for model in MODELS):
        return
    with pytest.raises(BadInput, match="is not a field of model"):
        resolve({**fields, name: "1"})


def test_the_default_run_is_the_contract_s() -> None:
    config = resolve({})
    expected = {
        "model": "siren",
        "problem": "poisson_2d_sin",
        "preset": "tuned",
        "epochs": 200,
        "seed": 0,
        "device": "auto",
    }
    assert {name: getattr(config, name) for name in expected} == expected
    assert isinstance(config, RunConfig)


def test_a_family_of_one_output_may_count_its_parameters_by_the_dimension_alone() -> None:
    class Line(RunConfig):
        def parameters(self, dimension: int) -> int:  # type: ignore[override]  # as plug-ins were written before there were outputs
            return dimension + 1

    assert Line().least_parameters(3) == 4
