"""No held-out interaction is used before evaluation, shown by replacing it: what must not depend on it stays equal bit for bit."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from cobrarec import pipeline
from cobrarec.config import Config, RunOptions
from cobrarec.data.sources import DAY
from cobrarec.prepared import load_prepared
from cobrarec.run_folder import RunFolder
from small_run import differing, small_config, small_world


def replaced(interactions: pa.Table, places_from_end: tuple[int, ...]) -> pa.Table:
    """The table with those of each user's interactions, counted from the end, set to items the user never had."""
    rng = np.random.default_rng(1)
    rows = interactions.to_pylist()
    items = sorted({row["item_id"] for row in rows})
    by_user: dict[Any, list[int]] = {}
    for place, row in enumerate(rows):
        by_user.setdefault(row["user_id"], []).append(place)
    for places in by_user.values():
        places.sort(key=lambda place: rows[place]["timestamp"])
        others = sorted(set(items) - {rows[place]["item_id"] for place in places})
        for from_end, item in zip(places_from_end, rng.permutation(others), strict=False):
            rows[places[-from_end]]["item_id"] = str(item)
    return pa.Table.from_pylist(rows, schema=interactions.schema)


def fitted(folder: Path, interactions: pa.Table, config: Config, refit: bool = True) -> Path:
    pipeline.fit(small_world()[0], interactions, folder, config, RunOptions(test=True, refit=refit))
    return folder


def metrics(run: Path) -> dict[str, Any]:
    return json.loads((run / "metrics.json").read_text())


KINDS = {
    "default": {},
    "sampled": {
        "model": {"exact_catalog_limit": 40, "num_centroids": 2},
        "loss": {"dense_negatives": "sampled", "direct_negatives": "sampled", "num_sampled": 16, "logq_correction": True},
    },
    "text encoder": {
        "semantic_ids": {"quantizer": "rqvae", "num_levels": 2, "signal": "text", "rqvae": {"num_steps": 20, "hidden_dims": [16]}},
        "model": {"item": {"kind": "text-encoder", "text_encoder": {"vocabulary_size": 100, "max_tokens": 8, "feedforward_dim": 16}}},
        "training": {"num_epochs": 1},
    },
}


@pytest.mark.parametrize("kind", KINDS)
def test_replacing_every_test_item_changes_nothing_but_the_test_metrics(tmp_path, kind):
    config, interactions = small_config(**KINDS[kind]), small_world()[1]
    other = replaced(interactions, (1,))
    assert other != interactions
    first, second = fitted(tmp_path / "first", interactions, config), fitted(tmp_path / "second", other, config)
    assert differing(first, second) == set()
    assert metrics(first)["valid"] == metrics(second)["valid"]
    assert metrics(first)["test"] != metrics(second)["test"]
    for name in ("semantic_ids/codes.npy", "checkpoints/choices.json", "examples.json", "semantic_ids/health_card.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_when_the_test_interaction_happened_is_not_known_to_the_model(tmp_path):
    interactions = small_world()[1]
    rows = interactions.to_pylist()
    last = {row["user_id"]: max(one["timestamp"] for one in rows if one["user_id"] == row["user_id"]) for row in rows}
    for row in rows:
        row["timestamp"] += 100 * DAY * (row["timestamp"] == last[row["user_id"]])
    first = fitted(tmp_path / "first", interactions, small_config(), False)
    second = fitted(tmp_path / "second", pa.Table.from_pylist(rows, schema=interactions.schema), small_config(), False)
    assert differing(first, second) == set()
    assert metrics(first) == metrics(second)


def test_replacing_every_validation_item_too_changes_no_weight_code_or_count(tmp_path):
    config = small_config(training={"patience": 0}, retrieval={"direct_weight": 0.5, "memory_weight": 0.8})
    interactions = small_world()[1]
    other = replaced(interactions, (1, 2))
    first, second = fitted(tmp_path / "first", interactions, config, False), fitted(tmp_path / "second", other, config, False)
    assert differing(first, second) == set()
    assert metrics(first)["valid"] != metrics(second)["valid"]


def test_what_validation_chose_has_learned_nothing_from_its_interactions_though_what_is_served_has(tmp_path):
    config = small_config(training={"patience": 0}, retrieval={"direct_weight": 0.5, "memory_weight": 0.8})
    interactions = small_world()[1]
    first = fitted(tmp_path / "first", interactions, config)
    second = fitted(tmp_path / "second", replaced(interactions, (2,)), config)
    assert differing(first, second, "chosen") == set()
    assert {"popularity.npy", "transition_memory.safetensors", "model.safetensors"} <= differing(first, second)
    assert metrics(first)["valid"] != metrics(second)["valid"]


def test_replacing_a_training_item_is_seen(tmp_path):
    """The control: the comparison above can fail."""
    config = small_config(training={"patience": 0, "num_epochs": 1}, retrieval={"direct_weight": 0.5, "memory_weight": 0.8})
    interactions = small_world()[1]
    first = fitted(tmp_path / "first", interactions, config)
    second = fitted(tmp_path / "second", replaced(interactions, (3,)), config)
    assert {"popularity.npy", "model.safetensors", "codes.npy"} <= differing(first, second)


def later_replaced(interactions: pa.Table, start: int) -> pa.Table:
    """The table with the items of all interactions from second `start` on set to others at random."""
    rng = np.random.default_rng(1)
    rows = interactions.to_pylist()
    items = sorted({row["item_id"] for row in rows})
    for row in rows:
        if row["timestamp"] >= start:
            row["item_id"] = str(rng.choice([item for item in items if item != row["item_id"]]))
    return pa.Table.from_pylist(rows, schema=interactions.schema)


@pytest.mark.parametrize("what", ["test", "validation and test"])
def test_a_split_by_time_learns_nothing_from_what_comes_later(tmp_path, what):
    fixed = {"training": {"patience": 0}, "retrieval": {"direct_weight": 0.5, "memory_weight": 0.8}} if what != "test" else {}
    config, interactions = small_config(data={"split": "time:0.9"}, **fixed), small_world()[1]
    first = fitted(tmp_path / "first", interactions, config, what == "test")
    cuts = load_prepared(RunFolder(first)).split.cut_times
    assert cuts is not None
    second = fitted(tmp_path / "second", later_replaced(interactions, cuts[1] if what == "test" else cuts[0]), config, what == "test")
    assert differing(first, second) == set()
    assert (metrics(first)["valid"] == metrics(second)["valid"]) == (what == "test")
    assert metrics(first)["test"] != metrics(second)["test"]
    assert set(metrics(first)) == {"protocol", "users", "test_users", "valid", "test"}
