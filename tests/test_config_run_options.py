import pytest
from pydantic import ValidationError

from cobrarec.config import RunOptions


@pytest.mark.parametrize("fields", [{"seed": -1}, {"time_limit": 0}, {"num_threads": 0}, {"device": "tpu"}, {"epochs": 3}])
def test_options_out_of_range_and_unknown_ones_are_refused(fields):
    with pytest.raises(ValidationError):
        RunOptions(**fields)


def test_nothing_is_resumed_or_tested_unless_asked_for():
    options = RunOptions()
    assert not options.resume
    assert not options.test
    assert options.refit
    assert options.from_artifact is None
