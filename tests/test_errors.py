import inspect

import pytest

from cobrarec import errors

CLASSES = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_hangs_in_the_tree_and_is_drawn(kind):
    assert issubclass(kind, errors.CobraRecError)
    assert kind.__name__ in errors.__doc__
    assert kind.__doc__


def test_user_errors_are_neither_the_machines_nor_interruptions():
    assert not issubclass(errors.MachineError, errors.UserError)
    assert not issubclass(errors.Interrupted, errors.UserError)
    for kind in (
        errors.DataError,
        errors.ConfigError,
        errors.CollapseError,
        errors.ArtifactError,
        errors.RunError,
        errors.MissingExtraError,
    ):
        assert issubclass(kind, errors.UserError)
