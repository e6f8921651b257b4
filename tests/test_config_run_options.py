import pytest

from cobrarec.config import RunOptions
from cobrarec.errors import ConfigError


@pytest.mark.parametrize("fields", [{"seed": -1}, {"time_limit": 0}, {"num_threads": 0}, {"device": "tpu"}, {"epochs": 3}])
def test_options_out_of_range_and_unknown_ones_are_refused(fields):
    with pytest.raises(ConfigError):
        RunOptions(**fields)


def test_nothing_is_resumed_or_tested_unless_asked_for():
    options = RunOptions()
    assert not options.resume
    assert not options.test
    assert options.refit
    assert options.from_artifact is None
