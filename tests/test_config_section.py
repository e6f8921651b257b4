import pytest

from cobrarec.config import Config
from cobrarec.config_section import Section, keys_of
from cobrarec.errors import ConfigError


class Inner(Section):
    width: int = 3


class Outer(Section):
    inner: Inner = Inner()
    name: str = "x"


def test_the_keys_of_a_section_are_dotted():
    assert keys_of(Outer) == ["inner", "inner.width", "name"]
    assert "model.decoder.num_layers" in keys_of(Config)


def test_what_is_wrong_with_a_section_made_by_hand_is_said_in_our_words():
    with pytest.raises(ConfigError, match=r"`inner.width` in Outer is 'wide', expected a whole number"):
        Outer(inner={"width": "wide"})
    with pytest.raises(ConfigError, match="nearest known one is `name`"):
        Outer(names="y")


def test_sections_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Outer().name = "y"
