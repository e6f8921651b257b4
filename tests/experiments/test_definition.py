import hashlib
from pathlib import Path

import pytest

import cobrarec
from cobrarec.config import Config, load_config
from cobrarec.errors import ConfigError
from cobrarec.experiments.definition import difference, load_definition, packaged_definitions
from cobrarec.experiments.protocols import PROTOCOLS
from cobrarec.run_folder import settings_read
from small_experiment import ROWS, write_definition
from small_run import small_config

CONFIGS = {file.stem for file in (Path(cobrarec.__file__).parent / "configs").glob("*.yaml")}


@pytest.fixture
def small(tmp_path):
    return load_definition(write_definition(tmp_path))[1]


@pytest.mark.parametrize("name", packaged_definitions())
def test_every_packaged_experiment_can_be_read_and_its_settings_resolve(name):
    found, definition = load_definition(name)
    assert found == name
    for model, row in definition.rows.items():
        assert {definition.rows[one].config for one in row.ensemble or (model,)} - {None} <= CONFIGS
        assert len(definition.hash_of(model)) == 16


def test_table2_has_the_rows_seeds_and_protocols_that_it_should():
    _, table2 = load_definition("table2")
    assert table2.datasets == ("beauty", "toys", "sports", "steam100k")
    three = [name for name, row in table2.rows.items() if row.seeds == 3]
    assert three == ["cobra-memory", "cobra", "sasrec", "counts"]
    for model in ("cobra", "sasrec", "counts"):
        assert table2.protocols_of(model, "beauty") == list(PROTOCOLS)
        assert table2.protocols_of(model, "toys") == ["masked"]
    assert table2.config_of("cobra-memory") == Config()
    assert table2.run_of("cobra") == "cobra-memory"
    assert table2.config_of("cobra").retrieval.memory_weight == 0
    assert table2.config_of("cobra-paper") == load_config("paper-amazon")
    cascade = table2.config_of("cobra-cascade").model
    assert (cascade.direct_query, cascade.item_evidence) == (False, "off")


def test_settings_lie_on_top_of_what_the_row_starts_from(tmp_path):
    rows = {"paper": {"config": "paper-amazon", "settings": {"model": {"decoder": {"num_layers": 3}}}}}
    config = load_definition(write_definition(tmp_path, rows))[1].config_of("paper")
    paper = load_config("paper-amazon")
    decoder = paper.model.decoder.model_copy(update={"num_layers": 3})
    assert config == paper.model_copy(update={"model": paper.model.model_copy(update={"decoder": decoder})})


def test_a_configuration_that_changes_after_planning_changes_nothing(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("training: {num_epochs: 3}")
    definition = load_definition(write_definition(tmp_path, {"whole": {"config": str(own)}, "sharp": {"of": "whole"}}))[1]
    before = definition.hash_of("whole")
    own.write_text("training: {num_epochs: 9}")
    assert definition.config_of("whole").training.num_epochs == definition.config_of("sharp").training.num_epochs == 3
    assert definition.hash_of("whole") == before
    assert definition.config_of("whole", 1.0).training.num_epochs == 9  # not asked for before


def test_the_hash_is_that_of_the_resolved_settings(small):
    resolved = settings_read(small_config(training={"num_epochs": 1}))
    assert small.settings_of("whole") == resolved
    assert small.settings_of("mixed") == f"ensemble of {small.hash_of('whole')} {small.hash_of('cascade')}"
    assert small.hash_of("whole") == hashlib.sha256(resolved.encode()).hexdigest()[:16]
    assert len({small.hash_of(model) for model in small.rows}) == len(small.rows)
    assert small.hash_of("mixed") != small.hash_of("mixed", 0.5)


def test_a_variant_differs_in_retrieval_alone_and_shares_the_run(small):
    whole, sharp = small.config_of("whole"), small.config_of("sharp")
    assert sharp.retrieval.tau == 0.5
    assert sharp.model_copy(update={"retrieval": whole.retrieval}) == whole
    assert small.run_of("sharp") == "whole"
    assert small.run_of("cascade") == "cascade"


def test_a_row_after_another_starts_from_its_settings_and_has_a_run_of_its_own(tmp_path):
    rows = {**ROWS, "further": {"after": "cascade", "settings": {"model": {"item_bias": False}}}}
    definition = load_definition(write_definition(tmp_path, rows))[1]
    before, after = definition.config_of("cascade"), definition.config_of("further")
    assert after == before.model_copy(update={"model": before.model.model_copy(update={"item_bias": False})}) != before
    assert definition.run_of("further") == "further"


def test_the_steps_from_the_paper_begin_with_its_configuration_end_with_the_defaults_and_are_different():
    _, steps = load_definition("from-the-paper")
    first, *between, times, last = steps.rows
    assert steps.config_of(first) == load_config("paper-amazon")
    assert steps.config_of(last) == Config()
    assert steps.rows[times].of == last
    assert [steps.rows[name].after for name in between] == [first, *between[:-1]]
    assert len({steps.hash_of(name) for name in steps.rows}) == len(steps.rows)
    before, after = (steps.config_of(name).model_dump() for name in (between[-1], times))
    assert difference(after, before) == {"model": {"decoder": {"day_gap": True, "month": True}}}


def test_the_difference_from_the_defaults_makes_the_settings_again(small):
    assert Config(**small.difference_of("cascade")) == small.config_of("cascade")
    assert small.difference_of("mixed") == {"ensemble": ["whole", "cascade"]}


def test_difference_keeps_what_is_not_the_default():
    assert difference({"a": 1, "b": {"c": 2, "d": [3]}, "e": 5}, {"a": 1, "b": {"c": 2, "d": [4]}}) == {"b": {"d": [3]}, "e": 5}


@pytest.mark.parametrize(
    ("name", "row", "words"),
    [
        ("odd", {"seedz": 3}, "seedz"),
        ("odd", {"seeds": 0}, "at least 1"),
        ("odd", {"protocols": ["blind"]}, "protocols"),
        ("odd", {"protocols": [{"unmasked": ["mars"]}]}, "mars"),
        ("odd", {"of": "mixed"}, "names mixed"),
        ("odd", {"of": "whole", "settings": {"model": {"dim": 8}}}, "`retrieval` alone"),
        ("odd", {"of": "nobody"}, "names nobody"),
        ("odd", {"ensemble": ["whole", "mixed"]}, "names mixed"),
        ("odd", {"ensemble": ["whole"], "config": "demo"}, "neither `of` nor settings"),
        ("odd", {"ensemble": ["whole"], "after": "whole"}, "neither `of` nor settings"),
        ("odd", {"after": "whole", "config": "demo"}, "neither `of` nor `config`"),
        ("odd", {"after": "mixed"}, "expected one before it: whole, cascade, sharp"),
        ("odd", {"after": "odd"}, "starts from odd"),
        ("odd", {"ensemble": ["whole"], "seeds": 3, "protocols": [{"masked-shuffled-ties": ["ring"]}]}, "whole has fewer seeds"),
    ],
)
def test_rows_that_cannot_be_are_refused(tmp_path, name, row, words):
    with pytest.raises(ConfigError, match=words):
        load_definition(write_definition(tmp_path, {**ROWS, name: row}))


def test_what_is_compared_must_be_a_row(tmp_path):
    with pytest.raises(ConfigError, match="none of its rows"):
        load_definition(write_definition(tmp_path, compared=["nobody"]))


def test_other_splits_than_last_two_are_refused(tmp_path):
    rows = {"timed": {"settings": {"data": {"split": "time:0.9"}}}}
    with pytest.raises(ConfigError, match="one target a user"):
        load_definition(write_definition(tmp_path, rows))[1].config_of("timed")


def test_an_unknown_experiment_is_answered_with_those_that_there_are(tmp_path):
    with pytest.raises(ConfigError, match=r"No experiment table3\. Give one of .*table2"):
        load_definition("table3")
    (tmp_path / "broken.yaml").write_text("rows: [")
    with pytest.raises(ConfigError, match="not readable YAML"):
        load_definition(tmp_path / "broken.yaml")


def test_a_ranker_without_a_network_has_the_same_hash_whatever_the_network_is_like(tmp_path):
    rows = {"counts": {"config": "counts"}, "other": {"config": "counts", "settings": {"model": {"dim": 8}, "training": {"num_epochs": 1}}}}
    rows["wider"] = {"config": "counts", "settings": {"counts": {"window": 9}}}
    definition = load_definition(write_definition(tmp_path, rows))[1]
    assert definition.hash_of("counts") == definition.hash_of("other") != definition.hash_of("wider")
