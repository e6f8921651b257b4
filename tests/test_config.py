import re

import pytest
from pydantic import BaseModel, ValidationError

from cobrarec.config import Config, RunOptions, dump_config, load_config, parse_config
from cobrarec.config_section import keys_of
from cobrarec.errors import ConfigError


def every_field(model: type[BaseModel], prefix: str = ""):
    for name, field in model.model_fields.items():
        yield prefix + name, field
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from every_field(field.annotation, f"{prefix}{name}.")


@pytest.mark.parametrize(("key", "field"), [*every_field(Config), *every_field(RunOptions)])
def test_every_field_is_documented_and_has_a_default(key, field):
    assert field.description, key
    assert not field.is_required(), key


def test_yaml_goes_out_and_comes_back(tmp_path):
    config = parse_config({"model": {"dim": 32, "decoder": {"num_layers": 3}}, "text": {"engines": ["lsa"]}, "retrieval": {"psi": None}})
    (tmp_path / "config.yaml").write_text(dump_config(config))
    assert load_config(tmp_path / "config.yaml") == config


def test_the_resolved_yaml_holds_every_field():
    lines = dump_config(Config())
    for key in keys_of(Config):
        assert re.search(rf"^\s*{key.rsplit('.', 1)[-1]}:", lines, re.MULTILINE), key


def test_an_empty_file_is_the_defaults(tmp_path):
    (tmp_path / "empty.yaml").write_text("")
    assert load_config(tmp_path / "empty.yaml") == Config()


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("model.decoder.num_layer", "model.decoder.num_layers"), ("modle", "model"), ("training.learning_rat", "training.learning_rate")],
)
def test_an_unknown_key_names_the_nearest(key, nearest):
    values: dict = 1
    for part in reversed(key.split(".")):
        values = {part: values}
    with pytest.raises(ConfigError, match=re.escape(f"`{nearest}`")):
        parse_config(values, "my.yaml")


@pytest.mark.parametrize(
    "values",
    [
        {"model": {"dim": "wide"}},
        {"model": {"dim": 0}},
        {"data": {"split": "last-three"}},
        {"loss": {"dense_negatives": "all"}},
        {"model": 3},
        {"training": {"learning_rate": float("inf")}},
        {"training": {"gradient_clip": float("nan")}},
        {"model": {"decoder": {"dropout": 0.999999}}},
    ],
)
def test_a_wrong_type_or_range_names_the_key_and_what_was_given(values):
    key, inner = next(iter(values.items()))
    while isinstance(inner, dict):
        name, inner = next(iter(inner.items()))
        key = f"{key}.{name}"
    with pytest.raises(ConfigError, match=re.escape(f"`{key}` in my.yaml")):
        parse_config(values, "my.yaml")


@pytest.mark.parametrize("values", [{"training": {"betas": [0.9, 1.0]}}, {"semantic_ids": {"rqvae": {"hidden_dims": [64, -5]}}}])
def test_one_element_out_of_range_is_refused(values):
    with pytest.raises(ConfigError, match=r"`\w+\.[\w.]+\.1` in my.yaml"):
        parse_config(values, "my.yaml")


def test_a_file_that_is_not_there_names_the_packaged_ones(tmp_path):
    with pytest.raises(ConfigError, match="demo, paper-amazon"):
        load_config(tmp_path / "none.yaml")


@pytest.mark.parametrize("text", ["a: [1", "- 1\n- 2", "just words", b"\xff\xfe\x00"])
def test_what_is_no_yaml_of_sections_is_refused(tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError, match=re.escape(str(path))):
        load_config(path)


def test_the_paper_is_packaged_as_the_paper_has_it():
    config = load_config("paper-amazon")
    assert (config.semantic_ids.num_levels, config.semantic_ids.codebook_size, config.semantic_ids.quantizer) == (3, 32, "rqvae")
    assert config.semantic_ids.signal == "text"
    assert (config.model.dim, config.model.decoder.num_layers, config.model.decoder.num_heads) == (128, 2, 4)
    assert config.model.item.kind == "text-encoder"
    assert not config.model.item.id_embedding
    assert (config.model.item.text_encoder.num_layers, config.model.item.text_encoder.max_tokens) == (1, 64)
    switches = (config.model.direct_query, config.model.dense_skip, config.model.item_bias, config.model.learned_temperature)
    assert switches == (False, False, False, False)
    assert not config.model.identity_heads
    assert config.model.item_evidence == "off"
    assert config.loss.dense_negatives == "batch"
    assert config.model.temperature == pytest.approx(1 / 16)
    assert (config.retrieval.tau, config.retrieval.psi, config.retrieval.direct_weight) == (0.9, 16, 0)


def test_the_demo_is_packaged():
    assert load_config("demo") != Config()


def test_a_configuration_cannot_be_changed_in_place():
    with pytest.raises(ValidationError):
        Config().model.dim = 3


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Config(modle={}), "`modle` in Config; the nearest known one is `model`"),
        (lambda: Config(model={"dims": 3}), "`model.dims` in Config; the nearest known one is `model.dim`"),
        (lambda: RunOptions(seed=2**32), "seed"),
        (lambda: RunOptions(sed=1), "`sed` in RunOptions; the nearest known one is `seed`"),
        (lambda: RunOptions(device="tpu"), "`device` in RunOptions is 'tpu', expected one of 'auto', 'cpu' or 'cuda'"),
        (lambda: RunOptions(time_limit=-1), "`time_limit` in RunOptions is -1, expected more than 0"),
    ],
)
def test_settings_made_by_hand_are_refused_in_our_words(make, told):
    with pytest.raises(ConfigError, match=re.escape(told)):
        make()
