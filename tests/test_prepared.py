import json

import pyarrow as pa
import pytest

from cobrarec.artifact_manifest import write_text
from cobrarec.config import Config, RunOptions, parse_config
from cobrarec.errors import ConfigError, DataError, RunError
from cobrarec.prepared import load_prepared, prepare_run, settled_config
from cobrarec.progress import Silent
from cobrarec.run_folder import RunFolder
from small_run import small_config, small_world


def prepare(path, config=None, items=None, interactions=None, **options):
    world = small_world()
    run = RunFolder(path)
    items, interactions = world[0] if items is None else items, world[1] if interactions is None else interactions
    return prepare_run(items, interactions, run, config or small_config(), RunOptions(**options), Silent())


def test_what_was_prepared_is_read_again(tmp_path):
    made = prepare(tmp_path / "run", seed=7)
    read = load_prepared(made.run)
    assert read.config == made.config
    assert read.seed == 7
    assert read.catalog.texts == made.catalog.texts
    for user in range(made.histories.num_users):
        assert read.histories.of(user).tolist() == made.histories.of(user).tolist()
    assert read.split.train.num_interactions == made.split.train.num_interactions
    assert json.loads((made.run.prepared / "audit.json").read_text())["entries"]


def test_preparing_again_with_resume_is_the_same_run(tmp_path):
    prepare(tmp_path / "run")
    assert prepare(tmp_path / "run", resume=True).split.name == "last-two"
    with pytest.raises(RunError, match="--resume"):
        prepare(tmp_path / "run")
    with pytest.raises(RunError, match="other interactions"):
        prepare(tmp_path / "run", interactions=small_world(seed=1)[1], resume=True)


@pytest.mark.parametrize(
    "interactions",
    [
        pa.table({"user_id": [1, 1, 1], "item_id": ["x", "y", "z"]}),
        pa.table({"user_id": [1], "item": ["x"]}),
        pa.table({"user_id": [1, 1, 1], "item_id": [1, 2, 3]}),
    ],
)
def test_bad_tables_leave_nothing_behind(tmp_path, interactions):
    with pytest.raises(DataError):
        prepare(tmp_path / "run", interactions=interactions)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_read_before_there_is_something(tmp_path):
    with pytest.raises(RunError, match="cobrarec prepare"):
        load_prepared(RunFolder(tmp_path))


def like_run(path, split="last-two", **choices) -> RunFolder:
    run = RunFolder(path)
    run.path.mkdir(parents=True)
    run.write_config(parse_config({"data": {"split": split}}))
    if choices:
        write_text(run.checkpoints / "choices.json", json.dumps(choices))
    return run


NONE = parse_config({"data": {"split": "none"}})


def test_split_none_takes_its_choices_from_the_run_it_is_like(tmp_path):
    like = like_run(tmp_path / "like", num_epochs=5, direct_weight=0.25, memory_weight=0.8)
    config = settled_config(NONE, RunOptions(like=like.path))
    assert (config.training.num_epochs, config.training.patience) == (5, 0)
    assert (config.retrieval.direct_weight, config.retrieval.memory_weight) == (0.25, 0.8)
    given = parse_config({"data": {"split": "none"}, "retrieval": {"direct_weight": 1.0}})
    assert settled_config(given, RunOptions(like=like.path)).retrieval.direct_weight == 1.0


def test_epochs_that_are_given_beside_a_run_to_be_like_are_refused(tmp_path):
    like = like_run(tmp_path / "like", num_epochs=5, direct_weight=0.25, memory_weight=0.8)
    given = parse_config({"data": {"split": "none"}, "training": {"num_epochs": 2}})
    with pytest.raises(ConfigError, match=r"num_epochs` is 2, but .* that run chose, 5"):
        settled_config(given, RunOptions(like=like.path))


def test_split_none_without_a_run_to_be_like_is_refused():
    with pytest.raises(ConfigError, match="--like RUN"):
        settled_config(NONE, RunOptions())


def test_a_run_to_be_like_is_refused_where_nothing_is_taken_from_it(tmp_path):
    with pytest.raises(ConfigError, match="--split none"):
        settled_config(Config(), RunOptions(like=tmp_path))


def test_a_ranker_without_a_network_takes_what_is_left_open_from_a_run_of_its_own_kind(tmp_path):
    like = RunFolder(tmp_path / "like")
    like.path.mkdir()
    like.write_config(parse_config({"ranker": "counts"}))
    write_text(like.checkpoints / "choices.json", json.dumps({"window": 3, "last": 5}))
    values = {"data": {"split": "none"}, "ranker": "counts"}
    assert settled_config(parse_config(values), RunOptions(like=like.path)).counts.model_dump() == {"window": 3, "last": 5}
    half = settled_config(parse_config({**values, "counts": {"last": 1}}), RunOptions(like=like.path))
    assert half.counts.model_dump() == {"window": 3, "last": 1}
    popular = parse_config({**values, "ranker": "popularity"})
    assert settled_config(popular, RunOptions()) == popular
    with pytest.raises(ConfigError, match="counts.window"):
        settled_config(parse_config(values), RunOptions())
    with pytest.raises(RunError, match="of the ranker counts, this one is of content"):
        settled_config(parse_config({**values, "ranker": "content"}), RunOptions(like=like.path))


def test_a_run_to_be_like_must_be_finished_and_have_held_something_out(tmp_path):
    with pytest.raises(RunError, match="trained to its end"):
        settled_config(NONE, RunOptions(like=like_run(tmp_path / "unfinished").path))
    final = like_run(tmp_path / "final", split="none", num_epochs=5, direct_weight=0.25)
    with pytest.raises(RunError, match="held nothing out"):
        settled_config(NONE, RunOptions(like=final.path))


def test_it_is_said_that_times_are_not_read_where_the_table_has_none(tmp_path):
    class Heard(Silent):
        lines: list[str] = []  # noqa: RUF012

        def message(self, text):
            self.lines.append(text)

    items, interactions = small_world()
    config = small_config(model={"decoder": {"num_heads": 2, "month": True}})
    for name, table, said in (("with", interactions, False), ("without", interactions.drop_columns(["timestamp"]), True)):
        Heard.lines.clear()
        prepare_run(items, table, RunFolder(tmp_path / name), config, RunOptions(), Heard())
        assert any("times are not read" in line for line in Heard.lines) == said
