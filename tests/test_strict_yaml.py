import pytest
import yaml

from cobrarec.config import load_config
from cobrarec.errors import ConfigError
from cobrarec.strict_yaml import load_yaml, read_yaml


def test_what_stands_once_is_read_as_yaml_reads_it():
    text = "a: 1\nb: {c: [2, 3], d: null}\n1: x\n"
    assert load_yaml(text) == yaml.safe_load(text) == {"a": 1, "b": {"c": [2, 3], "d": None}, 1: "x"}


@pytest.mark.parametrize("text", ["a: 1\na: 2\n", "b:\n  c: 1\n  c: 1\n"])
def test_a_key_that_stands_twice_is_refused(text):
    with pytest.raises(yaml.YAMLError, match="stands twice"):
        load_yaml(text)


def test_a_configuration_with_such_a_key_is_refused_by_name(tmp_path):
    (tmp_path / "twice.yaml").write_text("model:\n  dim: 64\n  dim: 32\n")
    with pytest.raises(ConfigError, match="'dim' stands twice"):
        load_config(tmp_path / "twice.yaml")


def test_a_file_that_is_missing_is_told_in_the_callers_words_and_a_broken_one_by_name(tmp_path):
    (tmp_path / "good.yaml").write_text("a: 1\n")
    (tmp_path / "broken.yaml").write_text("a: [1\n")
    assert read_yaml(tmp_path / "good.yaml", "none") == {"a": 1}
    for missing in (tmp_path / "nowhere.yaml", tmp_path):
        with pytest.raises(ConfigError, match="give another"):
            read_yaml(missing, "give another")
    with pytest.raises(ConfigError, match="broken.yaml is not readable YAML"):
        read_yaml(tmp_path / "broken.yaml", "none")


def test_what_a_caller_does_with_the_values_stays_with_that_caller():
    text = "a: {b: [1, 2]}"
    load_yaml(text)["a"]["b"].append(3)
    assert load_yaml(text) == {"a": {"b": [1, 2]}}
