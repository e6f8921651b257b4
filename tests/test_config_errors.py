import re

import pytest

from cobrarec.config import parse_config
from cobrarec.config_errors import explain
from cobrarec.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"data": {"split": "lasttwo"}}, "expected `last-two`, `none`, or `time:FRACTION`"),
        ({"name": "My model"}, "Setting `name` in the configuration is 'My model', expected small letters"),
        ({"text": {"engines": []}}, "expected at least 1 of them"),
        ({"model": {"dim": "many"}}, "is 'many', expected a whole number"),
        ({"model": {"use_dense": "maybe"}}, "expected true or false"),
        ({"training": {"betas": [0.9]}}, "expected one more value"),
        ({"training": {"learning_rate": 0}}, "is 0, expected more than 0"),
    ],
)
def test_what_was_expected_is_said_in_words(values, told):
    with pytest.raises(ConfigError, match=re.escape(told)):
        parse_config(values)


def test_an_error_without_words_of_its_own_keeps_the_validators():
    error = {"type": "never_heard_of", "loc": ("a", "b"), "input": 3, "msg": "Something is off"}
    assert explain(error, "my.yaml", ()) == "Setting `a.b` in my.yaml is 3: Something is off."
