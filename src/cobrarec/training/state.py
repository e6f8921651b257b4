"""What a training must remember beside its tensors to go on exactly, as JSON holds it."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cobrarec.config import Config
from cobrarec.errors import RunError
from cobrarec.training.schedule import Plan


@dataclass
class TrainingState:
    """Where a training stands. No generator has a state: every draw is seeded by the run's seed and the epoch or step alone."""

    plan: Plan
    """Number of steps and phase of the schedule."""
    step: int = 0
    """Optimizer steps done."""
    epoch: int = 0
    """Epochs done."""
    position: int = 0
    """Steps done of the present epoch."""
    loss_sums: dict[str, float] = field(default_factory=dict)
    """Sums over the targets of the present epoch."""
    num_targets: int = 0
    """Targets of the present epoch so far."""
    seconds: float = 0.0
    """Seconds spent on the steps of the present epoch."""
    learning_rate: float = 0.0
    """Of the last step, for parameters without a factor of their own."""
    epochs: list[dict[str, Any]] = field(default_factory=list)
    """One record per epoch done, the lines of log.jsonl."""
    best: dict[str, Any] | None = None
    """`epoch`, `file` and `valid` of the weights that are kept."""
    epochs_without_gain: int = 0
    """Epochs since the best one."""
    finished: bool = False
    """Nothing is left to do."""

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainingState":
        """What `to_dict` gave; further keys are ignored."""
        known = {name: values[name] for name in (f.name for f in dataclasses.fields(cls))}
        return cls(**{**known, "plan": Plan(**known["plan"])})


def settings_of(config: Config, seed: int, num_targets: int) -> dict[str, Any]:
    """All that a resumed training must have in common with the one it goes on from, by dotted name."""
    flat: dict[str, Any] = {"seed": seed, "number of training targets": num_targets}
    for section in ("model", "loss", "training"):
        _flatten(getattr(config, section).model_dump(mode="json"), f"{section}.", flat)
    del flat["training.checkpoint_seconds"]
    return flat


def check_settings(saved: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse to go on with other settings.

    Raises:
        RunError: names the first setting that differs.
    """
    for name in sorted(saved.keys() | given.keys()):
        if saved.get(name) != given.get(name):
            raise RunError(
                f"The checkpoint was made with {name} = {saved.get(name)}, now it is {given.get(name)}. "
                "Resume with the same tables, settings and seed, or train in another folder."
            )


def _flatten(values: Mapping[str, Any], prefix: str, flat: dict[str, Any]) -> None:
    for name, value in values.items():
        if isinstance(value, dict):
            _flatten(value, f"{prefix}{name}.", flat)
        else:
            flat[prefix + name] = value
