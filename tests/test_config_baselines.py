import pytest

from cobrarec.config import Config, load_config, parse_config
from cobrarec.config_baselines import ContentConfig, CountsConfig
from cobrarec.errors import ConfigError


def test_everything_is_left_to_validation_unless_it_is_given():
    assert Config().counts == CountsConfig(window=None, last=None)
    assert Config().content == ContentConfig(last=None)


@pytest.mark.parametrize("key", ["window", "last"])
def test_less_than_one_is_refused(key):
    with pytest.raises(ConfigError, match=f"`counts.{key}`"):
        parse_config({"counts": {key: 0}})


@pytest.mark.parametrize("ranker", ["counts", "content", "popularity"])
def test_the_packaged_configuration_of_a_ranker_is_its_name_alone(ranker):
    assert load_config(ranker) == Config(ranker=ranker)
