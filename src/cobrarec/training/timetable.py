"""How long a training takes and how many steps fit into the time that is left, by measurement."""

import math
from collections import deque
from time import monotonic

from cobrarec.training.schedule import Plan

MEASURED_STEPS = 20
"""Steps after which the first estimate of the whole time is made."""

_SKIPPED_STEPS = 3  # the first steps pay for allocations
_RECENT_STEPS = 400
_TIME_SHARE = 0.98  # of the time left is planned for
_EARLY_SHARE = 0.1  # of a time limit is not spent without a plan, however few steps were measured


class Pace:
    """Measured seconds of steps and of validations; says how long the rest takes and how many steps fit."""

    def __init__(self) -> None:
        self._steps: deque[float] = deque(maxlen=_RECENT_STEPS)
        self.num_steps = 0
        self._validation: float | None = None

    def add_step(self, seconds: float) -> None:
        """Note one step."""
        self.num_steps += 1
        if self.num_steps > _SKIPPED_STEPS:
            self._steps.append(seconds)

    def add_validation(self, seconds: float) -> None:
        """Note one validation."""
        self._validation = seconds

    @property
    def is_measured(self) -> bool:
        """Whether enough steps were seen for an estimate."""
        return self.num_steps >= MEASURED_STEPS

    @property
    def seconds_per_step(self) -> float:
        """Mean over the recent steps."""
        return sum(self._steps) / len(self._steps) if self._steps else 0.0

    def seconds_per_validation(self, steps_per_epoch: int) -> float:
        """As last measured; before the first one, a quarter of an epoch's steps."""
        return self.seconds_per_step * steps_per_epoch / 4 if self._validation is None else self._validation

    def seconds_for(self, num_steps: int, steps_per_epoch: int, validates: bool) -> float:
        """Time of `num_steps` more steps and their validations."""
        num_validations = math.ceil(num_steps / steps_per_epoch) if validates else 0
        return num_steps * self.seconds_per_step + num_validations * self.seconds_per_validation(steps_per_epoch)

    def steps_within(self, seconds: float, max_steps: int, steps_per_epoch: int, position: int, validates: bool) -> int:
        """How many more steps fit into `seconds`, with a validation after every epoch, the last one's begun or whole.

        Args:
            seconds: time left.
            max_steps: never more than this.
            steps_per_epoch: steps of an epoch.
            position: steps done of the present epoch.
            validates: whether epochs end with a validation.
        """
        per_step = max(self.seconds_per_step, 1e-9)
        per_validation = self.seconds_per_validation(steps_per_epoch) if validates else 0.0
        fitting, in_epoch = 0, steps_per_epoch - position
        while fitting < max_steps:
            taken = min(int(max(0.0, seconds - per_validation) / per_step), in_epoch)
            fitting += taken
            seconds -= taken * per_step + per_validation
            if taken < in_epoch:
                break
            in_epoch = steps_per_epoch
        return min(fitting, max_steps)


class Timetable:
    """Fits the number of steps to a time limit and tells how long the rest takes."""

    def __init__(self, full_steps: int, minutes: float | None, validates: bool) -> None:
        self.pace = Pace()
        self.full_steps = full_steps
        """Steps that were asked for."""
        self._limit = math.inf if minutes is None else 60.0 * minutes
        self._began = monotonic()
        self._validates = validates

    def fitted(self, plan: Plan, step: int, position: int, steps_per_epoch: int, due: bool) -> Plan:
        """The plan with as many steps as fit into the time left, at most those that were asked for.

        Args:
            plan: the plan so far.
            step: steps done.
            position: steps done of the present epoch.
            steps_per_epoch: steps of an epoch.
            due: whether to plan now; early on that is done in any case where steps are slow, and at the end when the time is over.
        """
        if self._limit == math.inf:
            return plan
        spent = monotonic() - self._began
        left = self._limit - spent
        if left <= 0:
            return plan.with_total(step, step)
        slow = not self.pace.is_measured and self.pace.num_steps > _SKIPPED_STEPS and spent > _EARLY_SHARE * self._limit
        if not (slow or (due and self.pace.is_measured)):
            return plan
        fitting = self.pace.steps_within(_TIME_SHARE * left, self.full_steps - step, steps_per_epoch, position, self._validates)
        return plan.with_total(step, step + fitting)

    def seconds_left(self, plan: Plan, step: int, steps_per_epoch: int) -> float:
        """Time that the rest of the plan takes."""
        return self.pace.seconds_for(max(0, plan.total_steps - step), steps_per_epoch, self._validates)

    def estimate(self, plan: Plan, step: int, steps_per_epoch: int) -> str:
        """A line that says how long all will take."""
        minutes = self.seconds_left(plan, step, steps_per_epoch) / 60
        steps = f"{plan.total_steps / steps_per_epoch:.1f} epochs of {steps_per_epoch} steps, {self.pace.seconds_per_step:.3f} s a step"
        limit = "" if plan.total_steps >= self.full_steps else "; the time limit leaves no room for more at this pace"
        return f"Training: about {minutes:.1f} min left for {steps}{limit}."
