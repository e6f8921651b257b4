"""The learning rate over the steps.

A plan knows the phase, from 0 at the first step to 1 at the last. When the number of steps is changed on the way, the phase goes on
from where it is and reaches 1 at the new last step, so the learning rate never jumps.
"""

import math
from dataclasses import dataclass

from cobrarec.config import TrainingConfig

USUAL_EPOCHS = 6
"""Epochs of a training of usual size; docs/configuration.md says what the rule was taken from."""
USUAL_TARGETS = 200_000
"""From here on there are fewer epochs."""
MANY_TARGETS_PER_ITEM = 30
"""From here on there are more epochs, in proportion, up to so many times:"""
MOST_OF_DENSE = 2.0
FEWEST_EPOCHS = 3
FEW_TARGETS = 65_536
"""Up to here there are more epochs."""
MOST_EPOCHS = 16
FEWEST_STEPS = 32
"""Steps of an epoch; where there would be fewer, a step has fewer targets, down to this many:"""
FEWEST_TARGETS_PER_STEP = 128


@dataclass(frozen=True)
class Plan:
    """How many steps there are, and the phase at each of them."""

    total_steps: int
    """Steps of the whole training."""
    anchor_step: int = 0
    """Step at which the number of steps was last set."""
    anchor_phase: float = 0.0
    """Phase at that step."""

    def phase(self, step: int) -> float:
        """Share of the schedule that is over before step number `step` (from 0)."""
        if step >= self.total_steps:
            return 1.0
        return self.anchor_phase + (1.0 - self.anchor_phase) * (step - self.anchor_step) / (self.total_steps - self.anchor_step)

    def with_total(self, step: int, total_steps: int) -> "Plan":
        """The plan from `step` on with another number of steps; the phase goes on from its present value."""
        if total_steps == self.total_steps:
            return self
        return Plan(max(total_steps, step), step, self.phase(step))


def rate_factor(phase: float, warmup_fraction: float, final_rate_fraction: float) -> float:
    """Learning rate at `phase` relative to its peak.

    A straight rise over `warmup_fraction`, from a fiftieth of the peak, then half a cosine down to `final_rate_fraction`.
    """
    if phase < warmup_fraction:
        return 0.02 + 0.98 * phase / warmup_fraction
    share = (phase - warmup_fraction) / (1.0 - warmup_fraction) if warmup_fraction < 1.0 else 1.0
    return final_rate_fraction + (1.0 - final_rate_fraction) * 0.5 * (1.0 + math.cos(math.pi * min(share, 1.0)))


def epochs_for(settings: TrainingConfig, num_targets: int, num_items: int) -> int:
    """The epochs of the settings, or, where these leave it open, by the rule: many targets are seen less often, few ones more often.

    What over-fits in many epochs is what is known of items that are rarely taken; where an item has many targets, more epochs are better.
    `num_items` are those of the training interactions, without the catalog's others.
    """
    if settings.num_epochs is not None:
        return settings.num_epochs
    density = num_targets / (MANY_TARGETS_PER_ITEM * max(num_items, 1))
    usual_targets = min(max(num_targets, FEW_TARGETS), USUAL_TARGETS)
    epochs = round(USUAL_EPOCHS * min(max(density, 1.0), MOST_OF_DENSE) * (usual_targets / max(num_targets, 1)) ** (1 / 3))
    return min(max(FEWEST_EPOCHS, epochs), MOST_EPOCHS)


def targets_per_step(settings: TrainingConfig, num_targets: int) -> int:
    """The targets of a step: as the settings say, or fewer where an epoch would have too few steps."""
    return min(settings.targets_per_batch, max(FEWEST_TARGETS_PER_STEP, num_targets // FEWEST_STEPS))
