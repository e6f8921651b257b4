import pytest

from cobrarec.cli.parsing import parse
from cobrarec.errors import ConfigError


@pytest.mark.parametrize("words", ["--k 0 --item 1", "", "--item 1 --histories H"])
def test_recommend_needs_one_kind_of_history_and_a_length(words):
    with pytest.raises(ConfigError):
        parse(f"recommend --artifact A {words}".split()).run(None)
