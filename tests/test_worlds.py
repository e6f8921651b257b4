"""Learning with a control: where there is something to learn it is learned, where there is nothing the result is chance."""

import json
from pathlib import Path

import pytest

from cobrarec import pipeline
from cobrarec.config import RunOptions
from cobrarec.data.sources import predictable_world, shuffled_world
from small_run import small_config

CONFIG = small_config(
    model={"dim": 32, "decoder": {"num_layers": 1, "num_heads": 2, "feedforward_dim": 64, "max_history": 12, "dropout": 0.1}},
    training={"num_epochs": 10, "targets_per_batch": 128, "ema_decay": 0.9},
    retrieval={"num_beams": 8},
)


def recalls(world, folder: Path) -> dict[str, float]:
    pipeline.fit(*world, folder, CONFIG, RunOptions(test=True))
    return {name: values["recall@5"] for name, values in json.loads((folder / "metrics.json").read_text())["test"].items()}


def test_the_predictable_world_is_learned_far_above_popularity(tmp_path):
    recall = recalls(predictable_world(num_users=300, num_items=96), tmp_path / "run")
    assert recall["cobra"] > 0.8
    assert recall["cobra"] > 5 * recall["popularity"]


def test_the_shuffled_world_stays_at_chance(tmp_path):
    recall = recalls(shuffled_world(num_users=300, num_items=96), tmp_path / "run")
    chance = 5 / (96 - 8)  # about 8 items are masked
    assert recall["cobra"] == pytest.approx(chance, abs=0.05)
