"""How many steps fit into the time left."""

import math
import time

import pytest

from cobrarec.training.schedule import Plan
from cobrarec.training.timetable import MEASURED_STEPS, Pace, Timetable


def measured(timetable: Timetable, seconds_per_step: float, seconds_per_validation: float) -> Timetable:
    for _ in range(MEASURED_STEPS):
        timetable.pace.add_step(seconds_per_step)
    timetable.pace.add_validation(seconds_per_validation)
    return timetable


def cost(num_steps: int, steps_per_epoch: int, position: int, step_seconds: float, validation_seconds: float) -> float:
    """Time of the steps and of a validation after every epoch, the last one begun or whole."""
    num_validations = math.ceil((position + num_steps) / steps_per_epoch) - position // steps_per_epoch if num_steps else 0
    return num_steps * step_seconds + num_validations * validation_seconds


@pytest.mark.parametrize("seconds", [0.0, 3.0, 5.0, 14.9, 25.0, 26.0, 60.0, 1000.0])
@pytest.mark.parametrize("position", [0, 4, 9])
def test_as_many_steps_as_fit_are_planned_and_not_one_more(seconds: float, position: int) -> None:
    pace = measured(Timetable(1, None, True), 1.0, 5.0).pace
    fitting = pace.steps_within(seconds, 200, 10, position, validates=True)
    best = max(n for n in range(201) if cost(n, 10, position, 1.0, 5.0) <= seconds)
    assert fitting == best


def test_the_first_steps_do_not_count_for_the_pace() -> None:
    pace = Pace()
    for seconds in [9.0, 9.0, 9.0, 1.0, 1.0]:
        pace.add_step(seconds)
    assert pace.seconds_per_step == 1.0


def test_without_a_limit_the_plan_stays() -> None:
    plan = Plan(500)
    assert measured(Timetable(500, None, True), 1.0, 1.0).fitted(plan, 20, 20, 100, due=True) is plan


def test_a_limit_shortens_the_plan_and_more_room_lengthens_it_again() -> None:
    timetable = measured(Timetable(500, 2.0, validates=False), 1.0, 0.0)
    plan = timetable.fitted(Plan(500), 20, 20, 100, due=True)
    assert 20 + 100 < plan.total_steps <= 20 + 120
    for _ in range(400):
        timetable.pace.add_step(0.1)
    assert timetable.fitted(plan, 21, 21, 100, due=True).total_steps == 500


def test_nothing_is_planned_anew_before_enough_steps_were_measured() -> None:
    plan = Plan(500)
    assert Timetable(500, 1.0, True).fitted(plan, 5, 5, 100, due=True) is plan


def test_when_the_time_is_over_the_plan_ends() -> None:
    timetable = Timetable(500, 1e-9, True)
    time.sleep(0.001)
    assert timetable.fitted(Plan(500), 7, 7, 100, due=False).total_steps == 7


def test_the_estimate_names_minutes_epochs_and_the_limit() -> None:
    timetable = measured(Timetable(500, 2.0, validates=False), 1.0, 0.0)
    plan = timetable.fitted(Plan(500), 20, 20, 100, due=True)
    said = timetable.estimate(plan, 20, 100)
    assert "about 1.9 min left" in said
    assert "epochs of 100 steps" in said
    assert "time limit" in said
    assert "time limit" not in timetable.estimate(Plan(500), 20, 100)
