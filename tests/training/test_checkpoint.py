"""A checkpoint comes back bit for bit; a write that fails leaves the old one."""

import json
from pathlib import Path

import pytest
import torch

from cobrarec.errors import RunError
from cobrarec.training import checkpoint
from cobrarec.training.checkpoint import read_state, read_tensors, write_checkpoint, write_tensors

STATE = {"step": 3, "loss": 0.1 + 0.2, "best": {"file": "best-0001.safetensors"}}


def tensors(value: float) -> dict[str, torch.Tensor]:
    return {"weights": torch.full((2, 3), value), "step": torch.tensor(7.0), "view": torch.arange(6.0).view(2, 3).t()}


def test_state_and_tensors_come_back_bit_for_bit(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, STATE, tensors(1 / 3))
    state = read_state(tmp_path)
    assert state is not None
    assert {name: state[name] for name in STATE} == STATE
    for name, value in read_tensors(tmp_path / state["tensors"]).items():
        assert torch.equal(value, tensors(1 / 3)[name])


def test_an_empty_folder_has_no_checkpoint(tmp_path: Path) -> None:
    assert read_state(tmp_path / "nothing") is None


def test_older_files_go_and_the_best_weights_stay(tmp_path: Path) -> None:
    write_tensors(tmp_path / "best-0001.safetensors", tensors(1.0))
    write_tensors(tmp_path / "best-0002.safetensors", tensors(2.0))
    (tmp_path / "mine.safetensors").write_bytes(b"")
    write_checkpoint(tmp_path, STATE, tensors(1.0), frozenset(["best-0001.safetensors"]))
    write_checkpoint(tmp_path, {**STATE, "step": 4}, tensors(2.0), frozenset(["best-0001.safetensors"]))
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"best-0001.safetensors", "checkpoint-00000004.safetensors", "checkpoint.json", "mine.safetensors"}


@pytest.mark.parametrize("broken", ["save_file", "_to_disk"])
def test_a_failed_write_leaves_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    write_checkpoint(tmp_path, STATE, tensors(1.0))

    def fail(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, broken, fail)
    with pytest.raises(KeyboardInterrupt):
        write_checkpoint(tmp_path, {**STATE, "step": 4}, tensors(2.0))
    state = read_state(tmp_path)
    assert state is not None
    assert state["step"] == 3
    assert read_tensors(tmp_path / state["tensors"])["weights"][0, 0] == 1.0
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint.json", "checkpoint-00000003.safetensors"}


def test_damage_is_told_with_the_way_out(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, STATE, tensors(1.0))
    (tmp_path / "checkpoint-00000003.safetensors").write_bytes(b"cut off")
    with pytest.raises(RunError, match="train anew"):
        read_tensors(tmp_path / "checkpoint-00000003.safetensors")
    with pytest.raises(RunError, match="missing"):
        read_tensors(tmp_path / "best-0009.safetensors")
    text = (tmp_path / "checkpoint.json").read_text()
    (tmp_path / "checkpoint.json").write_text(text[:20])
    with pytest.raises(RunError, match="damaged"):
        read_state(tmp_path)
    (tmp_path / "checkpoint.json").write_text(json.dumps({**json.loads(text), "format_version": 99}))
    with pytest.raises(RunError, match="format version"):
        read_state(tmp_path)
