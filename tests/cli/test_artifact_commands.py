import pytest

from cobrarec.cli.parsing import parse
from cobrarec.errors import ConfigError


@pytest.mark.parametrize("words", ["--k 0 --item 1", "", "--item 1 --histories H"])
def test_recommend_needs_one_kind_of_history_and_a_length(words):
    with pytest.raises(ConfigError):
        parse(f"recommend --artifact A {words}".split()).run(None)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("add", "add` needs --items"),
        ("add --items I --item 1", "add` takes no --item;"),
        ("remove", "remove` needs --item;"),
        ("remove --item 1 --out O", "remove` takes no --out"),
        ("compact", "compact` needs --out"),
        ("compact --out O --items I", "compact` takes no --items"),
    ],
)
def test_each_change_of_items_takes_its_own_option(words, told):
    with pytest.raises(ConfigError, match=told):
        parse(f"items {words} --artifact A".split()).run(None)
