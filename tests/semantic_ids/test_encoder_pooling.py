import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from cobrarec.errors import ConfigError
from cobrarec.semantic_ids.encoder_pooling import Pooling, Projection

STATES = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
MASK = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])
ONES = torch.ones(2, 4)


def write(folder: Path, pooling: dict[str, object], modules: list[str] | None = None) -> None:
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    if modules is not None:
        listed = [{"type": f"sentence_transformers.models.{kind}", "path": f"{i}_{kind}" if i else ""} for i, kind in enumerate(modules)]
        (folder / "modules.json").write_text(json.dumps(listed))


def test_an_encoder_without_files_of_its_own_is_mean_pooled(tmp_path) -> None:
    pooling = Pooling.of(tmp_path)
    assert pooling.mode == "mean"
    pooled = pooling.apply(STATES, MASK, ONES)
    assert torch.allclose(pooled[0], STATES[0, :2].mean(0))
    assert torch.allclose(pooled[1], STATES[1].mean(0))


def test_the_mean_takes_token_weights() -> None:
    weights = torch.tensor([[0.5, 0.0, 9.0, 9.0], [1.0, 2.0, 0.0, 0.0]])
    pooled = Pooling("mean").apply(STATES, MASK, weights)
    assert torch.allclose(pooled[0], STATES[0, 0])
    assert torch.allclose(pooled[1], (STATES[1, 0] + 2 * STATES[1, 1]) / 3)


def test_the_weights_of_a_mean_say_nothing_about_its_length() -> None:
    pooling = Pooling("mean", (Projection(torch.ones(2, 3), torch.tensor([0.0, 1.0]), tanh=True),))
    assert torch.allclose(pooling.apply(STATES, MASK, 0.1 * ONES), pooling.apply(STATES, MASK, ONES))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode_lasttoken": True}, "lasttoken"),
        ({"pooling_mode": "cls"}, "cls"),
        ({"pooling_mode": ["mean"]}, "mean"),
    ],
)
def test_the_mode_is_read_from_old_and_new_files(tmp_path, settings: dict[str, object], expected: str) -> None:
    write(tmp_path, settings)
    assert Pooling.of(tmp_path).mode == expected


def test_each_mode_sees_only_real_tokens() -> None:
    assert torch.equal(Pooling("cls").apply(STATES, MASK, ONES), STATES[:, 0])
    assert torch.equal(Pooling("lasttoken").apply(STATES, MASK, ONES), torch.stack([STATES[0, 1], STATES[1, 3]]))
    assert torch.equal(Pooling("max").apply(STATES, MASK, ONES)[0], STATES[0, :2].amax(0))


def test_a_dense_module_projects(tmp_path) -> None:
    write(tmp_path, {"pooling_mode": "mean"}, ["Transformer", "Pooling", "Dense", "Normalize"])
    (tmp_path / "2_Dense").mkdir()
    (tmp_path / "2_Dense" / "config.json").write_text(json.dumps({"activation_function": "torch.nn.modules.activation.Tanh"}))
    weight, bias = torch.ones(2, 3), torch.tensor([0.0, 1.0])
    save_file({"linear.weight": weight, "linear.bias": bias}, tmp_path / "2_Dense" / "model.safetensors")
    pooling = Pooling.of(tmp_path)
    assert pooling.dim == 2
    assert torch.allclose(pooling.apply(STATES, MASK, ONES)[1], torch.tanh(weight @ STATES[1].mean(0) + bias))


@pytest.mark.parametrize(
    "settings", [{"pooling_mode": "weightedmean"}, {"pooling_mode_cls_token": True, "pooling_mode_max_tokens": True}, {}]
)
def test_an_unknown_pooling_is_refused(tmp_path, settings: dict[str, object]) -> None:
    write(tmp_path, settings)
    with pytest.raises(ConfigError, match="pooling"):
        Pooling.of(tmp_path)


def test_an_unknown_module_is_refused_and_never_ignored(tmp_path) -> None:
    write(tmp_path, {"pooling_mode": "mean"}, ["Transformer", "Pooling", "LSTM"])
    with pytest.raises(ConfigError, match="`LSTM`"):
        Pooling.of(tmp_path)


def test_a_dense_module_with_another_activation_is_refused(tmp_path) -> None:
    write(tmp_path, {"pooling_mode": "mean"}, ["Transformer", "Pooling", "Dense"])
    (tmp_path / "2_Dense").mkdir()
    (tmp_path / "2_Dense" / "config.json").write_text(json.dumps({"activation_function": "torch.nn.ReLU"}))
    with pytest.raises(ConfigError, match="ReLU"):
        Pooling.of(tmp_path)
