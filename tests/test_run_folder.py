import errno

import pyarrow as pa
import pytest

from cobrarec.artifact_manifest import write_text
from cobrarec.config import Config, parse_config
from cobrarec.errors import MachineError, RunError
from cobrarec.run_folder import RunFolder, machine_limits, read_json, run_identity, settings_read, settings_unread, table_hash

ITEMS = pa.table({"item_id": ["a", "b"], "title": ["x", None]})
INTERACTIONS = pa.table({"user_id": [1, 1], "item_id": ["a", "b"]})


def held(tmp_path, config=None, seed=0, items=ITEMS) -> tuple[RunFolder, dict]:
    run = RunFolder(tmp_path / "run")
    return run, run_identity(config or Config(), seed, items, INTERACTIONS)


def prepare(run, identity) -> None:
    import json

    with run.writing(run.prepared) as folder:
        write_text(folder / "run.json", json.dumps(identity))
    run.write_config(Config())


def test_a_new_folder_is_free_and_stays_unwritten(tmp_path):
    run, identity = held(tmp_path)
    run.refuse_other_run(identity, resume=False)
    run.refuse_other_run(identity, resume=True)
    assert not run.path.exists()


def test_the_same_run_goes_on_only_when_asked_to(tmp_path):
    run, identity = held(tmp_path)
    prepare(run, identity)
    with pytest.raises(RunError, match="--resume"):
        run.refuse_other_run(identity, resume=False)
    run.refuse_other_run(identity, resume=True)


@pytest.mark.parametrize("change", ["configuration", "seed", "items"])
def test_another_run_in_the_folder_is_refused_and_named(tmp_path, change):
    run, identity = held(tmp_path)
    prepare(run, identity)
    other = {
        "configuration": {"config": parse_config({"model": {"dim": 32}})},
        "seed": {"seed": 1},
        "items": {"items": ITEMS.slice(0, 1)},
    }[change]
    with pytest.raises(RunError, match=f"other {change}"):
        run.refuse_other_run(held(tmp_path, **other)[1], resume=True)


def test_allowing_collapse_does_not_make_another_run(tmp_path):
    config = parse_config({"semantic_ids": {"allow_collapse": True}})
    assert held(tmp_path)[1] == held(tmp_path, config)[1]


def test_settings_that_a_ranker_does_not_read_are_named():
    given = {"ranker": "counts", "name": "mine", "counts": {"window": 3}, "model": {"dim": 32}, "training": {"max_valid_users": 9}}
    assert settings_unread(parse_config({**given, "retrieval": {"num_beams": 5, "fill": False}})) == ["model.dim", "retrieval.num_beams"]
    assert settings_unread(parse_config({**given, "ranker": "cobra"})) == []


def test_a_younger_setting_makes_no_other_run_while_it_changes_nothing():
    plain, raised = Config(), parse_config({"retrieval": {"new_item_level": 1.0}})
    assert "new_item_level" not in settings_read(plain)
    assert "new_item_level: 1.0" in settings_read(raised)
    assert settings_read(parse_config({"retrieval": {"new_item_level": 0.0}})) == settings_read(plain)


def test_the_name_of_a_configuration_makes_no_other_run():
    named, plain = parse_config({"name": "mine"}), Config()
    assert settings_read(named) == settings_read(plain)
    assert (named.shown_name, plain.shown_name, parse_config({"ranker": "counts"}).shown_name) == ("mine", "cobra", "counts")


def test_a_ranker_without_a_network_is_another_run_only_by_what_it_reads(tmp_path):
    counts = parse_config({"ranker": "counts"})
    wider, nearer = (parse_config({"ranker": "counts", **changes}) for changes in ({"model": {"dim": 32}}, {"counts": {"window": 3}}))
    assert held(tmp_path, counts)[1] == held(tmp_path, wider)[1]
    assert held(tmp_path, counts)[1] != held(tmp_path, nearer)[1]


def test_a_folder_with_something_of_ours_but_no_run_is_refused(tmp_path):
    run, identity = held(tmp_path)
    write_text(run.metrics_file, "{}")
    with pytest.raises(RunError, match=r"metrics\.json"):
        run.refuse_other_run(identity, resume=True)


def test_files_of_others_in_the_folder_do_not_matter(tmp_path):
    run, identity = held(tmp_path)
    write_text(run.path / "items.csv", "mine")
    run.refuse_other_run(identity, resume=False)
    prepare(run, identity)
    run.clear()
    assert [path.name for path in run.path.iterdir()] == ["items.csv"]


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    write_text(tmp_path / "run", "")
    run, identity = held(tmp_path)
    with pytest.raises(RunError, match="is a file"):
        run.refuse_other_run(identity, resume=False)


def test_a_missing_step_names_its_command(tmp_path):
    with pytest.raises(RunError, match="cobrarec semantic-ids"):
        RunFolder(tmp_path).require("semantic_ids", "cobrarec semantic-ids --run RUN")
    with pytest.raises(RunError, match="holds no run"):
        RunFolder(tmp_path).config()


def test_a_damaged_run_file_is_named(tmp_path):
    write_text(tmp_path / "run.json", "{")
    with pytest.raises(RunError, match=r"run\.json is damaged"):
        read_json(tmp_path / "run.json")


def test_the_hash_sees_values_names_and_types_but_not_chunks():
    chunked = pa.concat_tables([ITEMS.slice(0, 1), ITEMS.slice(1)])
    assert table_hash(chunked) == table_hash(ITEMS)
    assert table_hash(ITEMS.replace_schema_metadata({"a": "b"})) == table_hash(ITEMS)
    others = [
        ITEMS.rename_columns(["item_id", "name"]),
        ITEMS.take([1, 0]),
        ITEMS.set_column(1, "title", pa.array(["x", ""])),
        ITEMS.set_column(0, "item_id", pa.array([1, 2])),
    ]
    assert len({table_hash(table) for table in [ITEMS, *others]}) == 5


def test_the_hash_does_not_see_how_the_same_values_are_laid_out(tmp_path):
    import pandas as pd
    import polars as pl
    import pyarrow.parquet as pq

    sizes = [{"w": "s"}, None, {"w": "m"}]
    table = pa.table({"item_id": ["a", "b", "c"], "genres": [["x"], None, []], "year": [1, None, 3], "size": sizes})
    pq.write_table(table, tmp_path / "t.parquet")
    assert table_hash(pq.read_table(tmp_path / "t.parquet")) == table_hash(table)
    assert table_hash(pl.from_arrow(table).to_arrow()) == table_hash(table)
    assert table_hash(pa.Table.from_pandas(pd.DataFrame({"item_id": ["a", "b"]}))) == table_hash(pa.table({"item_id": ["a", "b"]}))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "x"), MachineError),
        (MemoryError(), MachineError),
        (OSError("239400 requested and 16352 written"), MachineError),
        (PermissionError(errno.EACCES, "Failed to open local file 'x/y'"), RunError),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), MachineError),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), RunError),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory", "/x/y"), RunError),
        (RuntimeError("shape mismatch"), RuntimeError),
        (OSError(errno.EPIPE, "Broken pipe"), BrokenPipeError),
        (ValueError("ours"), ValueError),
    ],
)
def test_the_machines_limits_are_told_apart_from_faults(error, kind):
    with pytest.raises(kind) as caught, machine_limits():
        raise error
    assert type(caught.value) is kind


def test_a_folder_that_is_none_and_an_artifact_are_told_from_a_run_that_lacks_a_step(tmp_path):
    with pytest.raises(RunError, match="There is no run folder"):
        RunFolder(tmp_path / "nowhere").require("prepared", "cobrarec prepare")
    with pytest.raises(RunError, match="run `cobrarec prepare` first"):
        RunFolder(tmp_path).require("prepared", "cobrarec prepare")
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(RunError, match="is an artifact"):
        RunFolder(tmp_path).require("prepared", "cobrarec prepare")
