"""The learning rate rises, falls and never jumps."""

import math

import pytest

from cobrarec.config import TrainingConfig
from cobrarec.training.schedule import Plan, epochs_for, rate_factor, targets_per_step


def test_the_phase_runs_from_zero_to_one() -> None:
    plan = Plan(10)
    assert [plan.phase(step) for step in (0, 5, 10, 11)] == [0.0, 0.5, 1.0, 1.0]


def test_the_rate_rises_to_the_peak_then_falls_along_a_cosine() -> None:
    assert rate_factor(0.0, 0.1, 0.02) == pytest.approx(0.02)
    assert rate_factor(0.05, 0.1, 0.02) == pytest.approx(0.51)
    assert rate_factor(0.1, 0.1, 0.02) == pytest.approx(1.0)
    assert rate_factor(0.55, 0.1, 0.02) == pytest.approx(0.51)
    assert rate_factor(1.0, 0.1, 0.02) == pytest.approx(0.02)


def test_no_warm_up_and_nothing_but_warm_up_are_possible() -> None:
    assert rate_factor(0.0, 0.0, 0.0) == 1.0
    assert rate_factor(0.99, 1.0, 0.0) == pytest.approx(0.02 + 0.98 * 0.99)


def test_changing_the_number_of_steps_keeps_the_phase_and_ends_at_the_new_last_step() -> None:
    plan = Plan(1000)
    shorter = plan.with_total(400, 600)
    assert shorter.phase(400) == plan.phase(400)
    assert shorter.phase(500) == pytest.approx(0.7)
    assert shorter.phase(600) == 1.0
    longer = shorter.with_total(500, 900)
    assert longer.phase(500) == pytest.approx(0.7)
    assert math.isclose(longer.phase(700), 0.85)


def test_the_same_number_of_steps_changes_nothing() -> None:
    plan = Plan(1000)
    assert plan.with_total(400, 1000) is plan


def test_a_plan_that_ends_now_is_over() -> None:
    assert Plan(1000).with_total(400, 400).phase(400) == 1.0


@pytest.mark.parametrize(
    ("num_targets", "epochs"),
    [
        (0, 16),
        (1_000, 16),
        (7_000, 13),
        (20_800, 9),
        (65_536, 6),
        (131_000, 6),
        (200_000, 6),
        (550_000, 4),
        (1_000_000, 4),
        (5_000_000, 3),
        (10**9, 3),
    ],
)
def test_many_targets_are_seen_less_often_and_few_ones_more_often(num_targets: int, epochs: int) -> None:
    assert epochs_for(TrainingConfig(), num_targets, num_targets) == epochs
    assert epochs_for(TrainingConfig(num_epochs=11), num_targets, num_targets) == 11


@pytest.mark.parametrize(
    ("num_targets", "num_items", "epochs"),
    [
        (74_000, 3_500, 6),
        (97_000, 1_682, 12),
        (97_000, 2_200, 9),
        (240_000, 3_706, 11),
        (990_000, 3_706, 7),
        (9_800_000, 10_700, 3),
        (9, 0, 16),
    ],
)
def test_sets_with_many_targets_an_item_are_seen_up_to_twice_as_often(num_targets: int, num_items: int, epochs: int) -> None:
    assert epochs_for(TrainingConfig(), num_targets, num_items) == epochs


@pytest.mark.parametrize(("num_targets", "a_step"), [(0, 128), (1_000, 128), (8_192, 256), (20_800, 650), (32_768, 1024), (10**9, 1024)])
def test_a_step_has_fewer_targets_where_an_epoch_would_have_few_steps(num_targets: int, a_step: int) -> None:
    assert targets_per_step(TrainingConfig(), num_targets) == a_step
    assert targets_per_step(TrainingConfig(targets_per_batch=37), num_targets) == 37
