"""What a training is given beside model and settings, and what it gives back."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import torch

from cobrarec.errors import ConfigError
from cobrarec.model.cobra import Cobra
from cobrarec.progress import Progress, Silent

Validate: TypeAlias = Callable[[Cobra], Mapping[str, float]]

JUDGED_BY = "ndcg@10"
"""The validation metric that chooses the epoch."""


@dataclass(frozen=True)
class TrainingJob:
    """Where a training works and whom it tells."""

    folder: Path
    """Checkpoints and the best weights."""
    validate: Validate | None = None
    """Metrics on the validation users, `ndcg@10` among them; called in eval mode, without gradients, with the averaged weights."""
    progress: Progress = field(default_factory=Silent)
    """Losses, interactions a second, time left."""
    log_file: Path | None = None
    """A JSON line per epoch is added here."""
    minutes: float | None = None
    """Time that may be spent, validations included; the schedule is fitted to it."""
    resume_hint: str = "Call it again with resume to go on."
    """What an interrupted user is told to do."""
    begins_trained: bool = False
    """The model has been trained before."""
    on_step: Callable[[int], None] | None = None
    """Called after each step with the number of steps done; may raise."""


@dataclass(frozen=True)
class TrainResult:
    """What came out; the model holds the kept weights."""

    best_epoch: int
    """Epoch (from 1) whose weights are kept."""
    best_valid: dict[str, float]
    """Its validation metrics; empty without validation."""
    epochs: list[dict[str, Any]]
    """The records of log.jsonl."""
    num_steps: int
    """Optimizer steps done."""
    weights_file: Path
    """The kept weights, safetensors."""


def resolve_device(name: str) -> torch.device:
    """The device that `auto`, `cpu` or `cuda` means here.

    Raises:
        ConfigError: `cuda` without a GPU, or another word.
    """
    if name.split(":")[0] not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"The device is {name!r}, expected auto, cpu or cuda.")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"Device {name} was asked for, but this machine or this build of torch has no GPU. Use --device auto or cpu.")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


@contextmanager
def torch_threads(number: int | None) -> Iterator[None]:
    """That many threads of torch inside the block; None leaves them alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
