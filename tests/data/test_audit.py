"""The audit: everything that is accepted is counted."""

import json

import pyarrow as pa

from cobrarec.config import DataConfig
from cobrarec.data.audit import audit_tables
from cobrarec.data.catalog import Catalog
from cobrarec.data.interactions import Histories, read_interactions
from cobrarec.data.splits import split_histories

ITEMS = pa.table(
    {
        "item_id": ["a", "b", "b", "c", "d"],
        "title": ["Apple", "Bread", "Bread", None, "x" * 100_000],
        "embedding": [[0.5], [0.5], [0.5], [0.5], [0.5]],
    }
)
INTERACTIONS = pa.table(
    {
        "user_id": [1, 1, 1, 1, 1, 2, 3, 3, 4],
        "item_id": ["a", "b", "b", "a", "c", "a", "a", "b", "?"],
        "timestamp": [1, 2, 2, 3, 3, 4, 5, 6, 7],
        "rating": [5] * 9,
    }
)


def audit(split: str | None = None):
    catalog = Catalog.from_table(ITEMS, DataConfig())
    histories, counts = read_interactions(INTERACTIONS, catalog, DataConfig())
    return audit_tables(catalog, histories, counts, split_histories(histories, split) if split else None)


def test_everything_odd_is_counted():
    found = audit("last-two")
    expected = {
        "items": 4,
        "duplicate item rows": 1,
        "items without interactions": 1,
        "items without text": 1,
        "texts cut": 1,
        "item columns without text": "embedding",
        "interactions": 7,
        "interactions with unknown items": 1,
        "users without known items": 1,
        "duplicate interactions": 1,
        "order of histories": "timestamp",
        "share of tied interactions": round(2 / 9, 4),
        "interaction columns ignored": "rating",
        "times": "1970-01-01 to 1970-01-01",
        "users": 3,
        "density": 0.583,
        "history length": "1 2 2 4 4 4",
        "histories of 1": 1,
        "histories of 2": 1,
        "repeated items": 1,
        "share of the most popular item": round(4 / 7, 4),
        "split": "last-two",
        "training interactions": 5,
        "validation users": 1,
        "test users": 1,
        "users not evaluated": 2,
        "share of repeats to predict": 1.0,
    }
    assert {label: found[label] for label in expected} == expected


def test_times_at_1970_are_asked_about():
    catalog = Catalog.from_table(ITEMS, DataConfig())
    for moment, odd in ((2, True), (10**9, False)):
        table = INTERACTIONS.set_column(INTERACTIONS.schema.get_field_index("timestamp"), "timestamp", [[moment] * len(INTERACTIONS)])
        histories, counts = read_interactions(table, catalog, DataConfig())
        note = next(entry.note for entry in audit_tables(catalog, histories, counts).entries if entry.label == "times")
        assert ("is that the unit of all of them?" in note) == odd


def test_times_that_the_position_turns_round_are_told():
    catalog = Catalog.from_table(ITEMS, DataConfig())
    for positions, share in (([4, 3, 2, 1, 0, 0, 1, 0, 0], 3 / 8), (list(range(9)), None)):
        table = INTERACTIONS.append_column("position", [positions])
        histories, counts = read_interactions(table, catalog, DataConfig())
        entries = {entry.label: entry for entry in audit_tables(catalog, histories, counts).entries}
        told = entries.get("share of times that go back")
        assert (told and told.value) == share
        assert told is None or "is the column position the order in time?" in told.note


def test_file_order_is_said_aloud():
    catalog = Catalog.from_table(ITEMS, DataConfig())
    histories, counts = read_interactions(INTERACTIONS.select(["user_id", "item_id"]), catalog, DataConfig())
    note = next(entry.note for entry in audit_tables(catalog, histories, counts).entries if entry.label == "order of histories")
    assert "Is the file sorted by time?" in note


def test_the_audit_is_plain_json_and_aligned_text():
    found = audit("none")
    assert json.loads(json.dumps(found.to_dict())) == found.to_dict()
    assert set(found.to_dict()["entries"][0]) == {"label", "value", "note"}
    lines = found.lines()
    assert len(lines) == len(found.entries)
    assert lines[0].split() == ["items", "4"]


def test_no_users_are_no_obstacle():
    catalog = Catalog.from_table(ITEMS, DataConfig())
    _, counts = read_interactions(INTERACTIONS, catalog, DataConfig())
    assert audit_tables(catalog, Histories.from_lists([]), counts)["users"] == 0


def test_targets_that_their_user_had_before_are_counted():
    ids = {"a": "xyxx", "b": "xyzz", "c": "xyzy"}
    table = pa.table(
        {"user_id": [user for user, items in ids.items() for _ in items], "item_id": [item for items in ids.values() for item in items]}
    )
    catalog = Catalog.from_table(pa.table({"item_id": ["x", "y", "z"]}), DataConfig())
    histories, counts = read_interactions(table, catalog, DataConfig())
    audit = audit_tables(catalog, histories, counts, split_histories(histories, "last-two"))
    (entry,) = [entry for entry in audit.entries if entry.label == "share of repeats to predict"]
    assert entry.value == round(1 / 3, 4)
    assert "--retrieval.include-history" in entry.note
