"""Settings that are in range one by one and contradict each other."""

import pytest

from cobrarec.config import Config, load_config, parse_config
from cobrarec.config_checks import can_scan_catalog, check_config
from cobrarec.errors import ConfigError

WORDS = {"item": {"kind": "text-encoder"}}
EVIDENCE = {"item_evidence": "exact"}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"model": {"decoder": {"num_heads": 3}}}, "model.decoder.num_heads"),
        ({"model": {"item": {"kind": "text-encoder", "text_encoder": {"num_heads": 3}}}}, "text_encoder.num_heads"),
        ({"model": {"use_dense": False}, "semantic_ids": {"num_levels": 0}}, "nothing is left"),
        ({"model": {"item": {"kind": "id", "id_embedding": False}}}, "id_embedding"),
        ({"model": {**EVIDENCE, "direct_query": False}}, "model.direct_query"),
        ({"model": {**EVIDENCE, **WORDS}}, "exact_catalog_limit"),
        ({"model": WORDS, "loss": {"direct_negatives": "catalog"}}, "loss.direct_negatives"),
        ({"model": WORDS, "loss": {"dense_negatives": "catalog"}}, "loss.dense_negatives"),
    ],
)
def test_contradictions_are_refused_before_the_data_is_known(values, told):
    with pytest.raises(ConfigError, match=told):
        check_config(parse_config(values))


@pytest.mark.parametrize("values", [{"model": EVIDENCE}, {"loss": {"direct_negatives": "catalog"}}])
def test_what_the_size_of_the_catalog_forbids_is_refused_once_it_is_known(values):
    config = parse_config({**values, "model": {**values.get("model", {}), "exact_catalog_limit": 50}})
    check_config(config)
    check_config(config, 50)
    with pytest.raises(ConfigError, match="exact_catalog_limit"):
        check_config(config, 51)


@pytest.mark.parametrize("config", [Config(), load_config("paper-amazon"), load_config("demo")])
def test_the_packaged_configurations_are_consistent(config):
    check_config(config)
    check_config(config, 10**7)


def test_words_are_never_scanned_whole_and_small_catalogs_are():
    assert can_scan_catalog(Config().model, 100_000)
    assert not can_scan_catalog(Config().model, 100_001)
    assert not can_scan_catalog(parse_config({"model": WORDS}).model, None)


def test_a_ranker_without_a_network_has_no_settings_that_contradict_each_other():
    values = {"model": {"dim": 15, "decoder": {"num_heads": 2}}}
    with pytest.raises(ConfigError):
        check_config(parse_config(values))
    check_config(parse_config({**values, "ranker": "counts"}))


@pytest.mark.parametrize("ranker", ["cobra", "counts"])
def test_a_name_that_the_metrics_give_a_baseline_is_refused(ranker):
    with pytest.raises(ConfigError, match="`name` is popularity"):
        check_config(parse_config({"name": "popularity", "ranker": ranker}))
    check_config(parse_config({"name": "counts", "ranker": "counts"}))
