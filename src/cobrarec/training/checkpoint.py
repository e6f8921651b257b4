"""Checkpoints on disk: exact, readable, never half there.

A folder holds `checkpoint.json` (everything that is not a tensor) and the safetensors files that it names. The JSON file is
renamed into place last, so it always names files that are whole; what it no longer names is deleted afterwards. A crash at any
moment leaves the previous checkpoint.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from cobrarec.data.tables import write_beside
from cobrarec.errors import MachineError, RunError

FORMAT_VERSION = 1
STATE_FILE = "checkpoint.json"


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write named tensors as safetensors, whole or not at all."""
    ready = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with write_beside(path) as beside:
        try:
            save_file(ready, beside)
        except SafetensorError as error:
            raise MachineError(f"Could not write {path} ({error}); free some space there and go on with --resume.") from None
        _to_disk(beside)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read named tensors.

    Raises:
        RunError: the file is missing or damaged.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunError(f"The checkpoint file {path} is missing or damaged ({error}). Delete {path.parent} and train anew.") from None


def write_checkpoint(folder: Path, state: Mapping[str, Any], tensors: Mapping[str, Tensor], keep: frozenset[str] = frozenset()) -> None:
    """Commit a checkpoint.

    Args:
        folder: where checkpoints live.
        state: all that JSON can hold; floats come back bit for bit.
        tensors: all else.
        keep: names of further safetensors files of the folder that `state` names.
    """
    name = f"checkpoint-{state['step']:08d}.safetensors"
    write_tensors(folder / name, tensors)
    text = json.dumps({"format_version": FORMAT_VERSION, "tensors": name, **state}, indent=1)
    with write_beside(folder / STATE_FILE) as beside:
        beside.write_text(text, encoding="utf-8")
        _to_disk(beside)
    left_over = [*folder.glob("checkpoint-*.safetensors"), *folder.glob("best-*.safetensors"), *folder.glob(".*.partial")]
    for old in left_over:
        if old.name != name and old.name not in keep:
            old.unlink(missing_ok=True)


def read_state(folder: Path) -> dict[str, Any] | None:
    """The last checkpoint's state without its tensors; None where there is no checkpoint.

    Raises:
        RunError: the file is damaged or of another format version.
    """
    path = folder / STATE_FILE
    if not path.exists():
        return None
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{path} is damaged ({error}). Delete the folder {folder} and train anew.") from None
    if not isinstance(state, dict) or state.get("format_version") != FORMAT_VERSION:
        raise RunError(f"{path} is not a checkpoint of format version {FORMAT_VERSION}. Delete the folder {folder} and train anew.")
    return state


def _to_disk(path: Path) -> None:
    """Wait until the file is on the disk: a rename must not overtake its content."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
