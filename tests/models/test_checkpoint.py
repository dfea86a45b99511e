"""A checkpoint rebuilds the model itself, or says why it can't."""

from __future__ import annotations

import json
import resource
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


def edit(folder: Path, **fields: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.mark.parametrize("plugin", ["{folder}/evil.py", "evil_module"])
def test_what_a_checkpoint_names_is_not_imported(
    outside: Path, monkeypatch: pytest.MonkeyPatch, registries: None, plugin: str
) -> None:
    saved(outside / "saved")
    monkeypatch.syspath_prepend(str(outside))
    for name in ("evil.py", "evil_module.py"):
        (outside / name).write_text(f"open({str(outside / 'it-ran')!r}, 'w')")
    edit(outside / "saved", plugins=[plugin.format(folder=outside)])
    config, _ = load_checkpoint(outside / "saved")
    assert config.plugins == ()
    edit(outside / "saved", model="evil")
    with pytest.raises(BadInput, match="can't be read: model = 'evil' is not known"):
        load_checkpoint(outside / "saved")
    assert not (outside / "it-ran").exists()


def test_values_of_a_preset_are_not_put_into_a_checkpoint(tmp_path: Path) -> None:
    saved(tmp_path, "siren")
    edit(tmp_path, preset="no such preset")
    assert load_checkpoint(tmp_path)[0].preset == "no such preset"


@pytest.mark.parametrize("fields", [{"width": 100_000}, {"width": 30_000, "depth": 100}, {"grids": [10_000_000]}])
def test_a_configuration_that_asks_for_far_more_than_the_state_has_is_refused(
    tmp_path: Path, fields: dict[str, object]
) -> None:
    saved(tmp_path, "kan" if "grids" in fields else "mlp")
    edit(tmp_path, **fields)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadInput, match="does not fit its own configuration"):
        load_checkpoint(tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**21, "in units of 1024 bytes"


def test_a_file_of_an_absurd_size_is_not_read(tmp_path: Path) -> None:
    saved(tmp_path)
    for name, size in (("state.safetensors", 2**40), ("config.json", 2**30)):
        with (tmp_path / name).open("ab") as file:
            file.truncate(size)
        with pytest.raises(BadInput, match=f"{name} has {size} bytes"):
            load_checkpoint(tmp_path)


def test_a_configuration_nested_without_end_is_bad_input(tmp_path: Path) -> None:
    saved(tmp_path)
    (tmp_path / "config.json").write_text("[" * 100_000)
    with pytest.raises(BadInput, match="can't be read"):
        load_checkpoint(tmp_path)
