"""A checkpoint rebuilds the model itself, or says why it can't."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from harness.errors import BadInput
from harness.models import KAN, Regressor, load_checkpoint, save_checkpoint
from harness.training import train
from tests.support import MODELS, parts, small


def saved(folder: Path, model: str = "kan") -> Regressor:
    config = small(model)
    regressor, _ = parts(config)
    save_checkpoint(folder, config, regressor.state_dict())
    return regressor


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("model", MODELS)
def test_a_trained_model_comes_back_with_its_predictions_and_its_configuration(
    model: str, dtype: str, tmp_path: Path
) -> None:
    config = small(model, dtype=dtype)
    regressor, data = parts(config)
    for _ in train(regressor, data, config):
        pass
    save_checkpoint(tmp_path, config, regressor.state_dict())
    loaded_config, loaded = load_checkpoint(tmp_path)
    assert loaded_config == config
    assert torch.equal(loaded(data.dense.x), regressor(data.dense.x))
    if isinstance(regressor.network, KAN):
        assert isinstance(loaded.network, KAN)
        assert loaded.network.active_edges() == regressor.network.active_edges()
        assert loaded.network.grid == regressor.network.grid


def test_a_missing_folder_and_missing_files_are_bad_input(tmp_path: Path) -> None:
    for missing in ("everything", "state.safetensors", "config.json"):
        folder = tmp_path / missing
        if missing != "everything":
            saved(folder)
            (folder / missing).unlink()
        with pytest.raises(BadInput, match=r"checkpoint = .* can't be read"):
            load_checkpoint(folder)


@pytest.mark.parametrize("kept", [0, 5, 200, -1])
def test_a_truncated_state_is_bad_input(tmp_path: Path, kept: int) -> None:
    saved(tmp_path)
    path = tmp_path / "state.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(BadInput, match="checkpoint = "):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"3", b"\xff\xfe", b'{"model": "nosuch"}', b'{"model": "mlp", "k": 3}']
)
def test_a_damaged_configuration_is_bad_input(tmp_path: Path, content: bytes) -> None:
    saved(tmp_path)
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(BadInput):
        load_checkpoint(tmp_path)


def test_a_state_of_another_network_is_bad_input(tmp_path: Path) -> None:
    saved(tmp_path, "mlp")
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"width": 9}))
    with pytest.raises(BadInput, match="does not fit its own configuration"):
        load_checkpoint(tmp_path)
