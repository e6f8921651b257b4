"""How an encoder's token states become one vector, read from the encoder's own files (the format of sentence-transformers)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from cobrarec.errors import ConfigError

Mode = Literal["mean", "cls", "max", "lasttoken"]
OLD_KEYS: dict[str, Mode] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean",  # the same up to a length that the unit norm removes
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "lasttoken",
}
NEW_NAMES: dict[str, Mode] = {"mean": "mean", "mean_sqrt_len_tokens": "mean", "cls": "cls", "max": "max", "lasttoken": "lasttoken"}


@dataclass(frozen=True, eq=False)
class Projection:
    """A dense layer after the pooling: weight `[out, in]`, bias `[out]`, tanh or nothing."""

    weight: Tensor
    bias: Tensor
    tanh: bool


@dataclass(frozen=True, eq=False)
class Pooling:
    """A pooling mode and the projections after it."""

    mode: Mode = "mean"
    projections: tuple[Projection, ...] = ()

    @property
    def dim(self) -> int | None:
        """Width after the last projection; None where there is none."""
        return int(self.projections[-1].weight.shape[0]) if self.projections else None

    @classmethod
    def of(cls, folder: Path) -> "Pooling":
        """Read `modules.json` (else `1_Pooling/config.json`, else mean pooling) of the encoder in `folder`.

        Raises:
            ConfigError: a pooling mode or module that is not known here; nothing is ignored silently.
        """
        mode: Mode = "mean"
        projections: list[Projection] = []
        for kind, path in _modules(folder):
            if kind == "Pooling":
                mode = _mode(path)
            elif kind == "Dense":
                projections.append(_projection(path))
            elif kind not in ("Transformer", "Normalize"):
                raise ConfigError(f"The encoder {folder} ends in a module `{kind}`; known are Transformer, Pooling, Dense and Normalize.")
        return cls(mode, tuple(projections))

    def apply(
        self,
        states: Float[Tensor, "texts tokens width"],
        mask: Int[Tensor, "texts tokens"],
        weights: Float[Tensor, "texts tokens"],
    ) -> Float[Tensor, "texts dim"]:
        """Pool token states, padded on the right (`mask` 0). `weights` enter the mean alone."""
        if self.mode == "cls":
            pooled = states[:, 0]
        elif self.mode == "lasttoken":
            pooled = states[torch.arange(len(states)), mask.sum(1) - 1]
        elif self.mode == "max":
            pooled = states.masked_fill(mask[..., None] == 0, -torch.inf).amax(1)
        else:
            weighted = weights * mask
            pooled = (states * weighted[..., None]).sum(1) / weighted.sum(1, keepdim=True).clamp(min=1e-12)
        for projection in self.projections:
            pooled = torch.nn.functional.linear(pooled, projection.weight, projection.bias)
            pooled = pooled.tanh() if projection.tanh else pooled
        return pooled


def _modules(folder: Path) -> list[tuple[str, Path]]:
    if (folder / "modules.json").exists():
        modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
        return [(module["type"].rsplit(".", 1)[-1], folder / module["path"]) for module in modules]
    return [("Pooling", folder / "1_Pooling")] if (folder / "1_Pooling" / "config.json").exists() else []


def _mode(folder: Path) -> Mode:
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    given = settings.get("pooling_mode")
    names = ([given] if isinstance(given, str) else list(given)) if given is not None else []
    names += [key for key, value in settings.items() if key.startswith("pooling_mode_") and value is True]
    known = {**OLD_KEYS, **NEW_NAMES}
    if len(names) != 1 or names[0] not in known:
        raise ConfigError(f"{folder} asks for the pooling {names}; known is one of {sorted(NEW_NAMES)}.")
    return known[names[0]]


def _projection(folder: Path) -> Projection:
    from safetensors.torch import load_file

    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    activation = str(settings.get("activation_function", "Identity")).rsplit(".", 1)[-1]
    if activation not in ("Identity", "Tanh") or not (folder / "model.safetensors").exists():
        raise ConfigError(f"{folder} is a dense layer with {activation} or without model.safetensors; known are Identity and Tanh.")
    tensors = load_file(folder / "model.safetensors")
    weight = tensors["linear.weight"].float()
    return Projection(weight, tensors.get("linear.bias", torch.zeros(len(weight))).float(), activation == "Tanh")
