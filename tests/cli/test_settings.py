import pytest

from cobrarec.cli.parsing import parse
from cobrarec.cli.settings import base_config, config_from_settings, option_value, settings_type
from cobrarec.config import Config, dump_config, load_config, parse_config
from cobrarec.errors import ConfigError

TABLES = ["--items", "i.csv", "--interactions", "x.csv", "--out", "run"]


def fit(*words: str):
    return parse(["fit", *TABLES, *words])


def test_without_overrides_the_defaults_come_out():
    assert fit().settings() == Config()


@pytest.mark.parametrize("config", [Config(), load_config("paper-amazon"), load_config("demo")])
def test_the_mirror_loses_nothing(config):
    assert config_from_settings(settings_type(config)(), "here") == config


def test_overrides_lie_on_top_of_the_file_and_the_file_on_top_of_the_defaults(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("model: {dim: 32, decoder: {num_layers: 3}}\ntext: {engines: [lsa]}\n")
    settings = fit("--config", str(path), "--model.decoder.num-layers", "4", "--retrieval.psi", "8").settings()
    assert (settings.model.dim, settings.model.decoder.num_layers, settings.text.engines, settings.retrieval.psi) == (32, 4, ("lsa",), 8)
    assert settings.training == Config().training


def test_a_packaged_configuration_goes_by_its_name():
    assert fit("--config=paper-amazon", "--model.dim", "64").settings() == load_config("paper-amazon").model_copy(
        update={"model": load_config("paper-amazon").model.model_copy(update={"dim": 64})}
    )


def test_a_model_goes_by_the_name_of_its_packaged_configuration():
    assert fit("--model", "counts").settings() == Config(ranker="counts")
    assert fit("--model=sasrec", "--model.dim", "64").settings().model.dim == 64
    assert fit("--model", "sasrec", "--model.dim", "64").settings().semantic_ids.num_levels == 0
    assert fit("--model", "cobra").settings() == Config()
    assert parse(["prepare", *TABLES, "--model", "popularity", "--seed", "3"]).settings() == Config(ranker="popularity")


def test_an_unknown_model_and_two_configurations_are_refused():
    with pytest.raises(ConfigError, match=r"--model is nope, expected one of: cobra, content, counts"):
        fit("--model", "nope")
    with pytest.raises(ConfigError, match="give one of the two"):
        fit("--model", "counts", "--config", "demo")


def test_lists_nothing_and_switches_can_be_given():
    settings = fit("--text.engines", "lsa", "wordllama", "--retrieval.items-per-beam", "7", "--model.no-use-dense").settings()
    assert settings.text.engines == ("lsa", "wordllama")
    assert settings.retrieval.items_per_beam == 7
    assert not settings.model.use_dense
    assert fit("--retrieval.items-per-beam", "None").settings().retrieval.items_per_beam is None


def test_short_options_reach_their_settings():
    settings = fit("--split", "time:0.9", "--unknown-items", "error", "--allow-collapse").settings()
    assert settings == parse_config({"data": {"split": "time:0.9", "unknown_items": "error"}, "semantic_ids": {"allow_collapse": True}})


@pytest.mark.parametrize(
    ("words", "key"),
    [
        (["--model.dim", "0"], "model.dim"),
        (["--training.gradient-clip", "-1"], "training.gradient_clip"),
        (["--split", "last-three"], "data.split"),
    ],
)
def test_a_value_out_of_range_is_refused_in_our_words(words, key):
    with pytest.raises(ConfigError, match=f"`{key}` in the command line is"):
        fit(*words).settings()


def test_an_unknown_setting_names_the_nearest(capsys):
    with pytest.raises(SystemExit) as exit_:
        fit("--model.decoder.num-layrs", "2")
    assert exit_.value.code == 2
    assert "--model.decoder.num-layers" in capsys.readouterr().err


def test_a_wrong_type_is_refused(capsys):
    with pytest.raises(SystemExit) as exit_:
        fit("--model.dim", "wide")
    assert exit_.value.code == 2
    assert "--model.dim" in capsys.readouterr().err


def test_the_run_that_is_named_with_like_gives_the_settings(tmp_path):
    config = parse_config({"model": {"dim": 16}})
    (tmp_path / "config.yaml").write_text(dump_config(config))
    assert base_config(["fit", "--like", str(tmp_path)]) == config
    assert base_config(["fit", "--like", str(tmp_path), "--config", "demo"]) == load_config("demo")
    assert base_config(["fit", "--like", str(tmp_path), "--model", "counts"]) == load_config("counts")


def test_an_option_is_found_in_both_spellings():
    assert option_value(["--config", "a"], "--config") == "a"
    assert option_value(["--config=a"], "--config") == "a"
    assert option_value(["--config"], "--config") is None
    assert option_value(["--conf", "a"], "--config") is None
