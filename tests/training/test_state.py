"""What a training remembers goes through JSON unchanged, and other settings are refused."""

import json

import pytest

from cobrarec.errors import RunError
from cobrarec.training.schedule import Plan
from cobrarec.training.state import TrainingState, check_settings, settings_of
from training.small_training import small_config


def test_the_state_comes_back_from_json_bit_for_bit() -> None:
    state = TrainingState(Plan(100, 3, 1 / 3), step=7, loss_sums={"loss": 0.1 + 0.2}, best={"epoch": 1, "file": "x", "valid": {}})
    assert TrainingState.from_dict(json.loads(json.dumps({**state.to_dict(), "settings": {}}))) == state


def test_the_same_settings_pass_through_json() -> None:
    saved = json.loads(json.dumps(settings_of(small_config(), 3, 100)))
    check_settings(saved, settings_of(small_config(), 3, 100))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (settings_of(small_config(), 4, 100), "seed = 3, now it is 4"),
        (settings_of(small_config(), 3, 99), "targets = 100, now it is 99"),
        (settings_of(small_config(num_epochs=50), 3, 100), "training.num_epochs = 3, now it is 50"),
    ],
)
def test_other_settings_are_named(given: dict[str, object], said: str) -> None:
    with pytest.raises(RunError, match=said):
        check_settings(settings_of(small_config(), 3, 100), given)


def test_how_often_checkpoints_are_written_is_nobodys_business() -> None:
    assert "training.checkpoint_seconds" not in settings_of(small_config(), 0, 1)
    assert "model.decoder.num_layers" in settings_of(small_config(), 0, 1)
