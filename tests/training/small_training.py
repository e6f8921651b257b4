"""A model and histories small enough to train in a second, and what a test needs to stop and compare trainings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cobrarec.config import Config, RunOptions, parse_config
from cobrarec.data.interactions import Histories
from cobrarec.model.build import build_model
from cobrarec.model.cobra import Cobra
from cobrarec.model.item_tokenizer import TokenTable
from cobrarec.semantic_ids.semantic_ids import SemanticIds
from cobrarec.training.job import TrainingJob, TrainResult
from cobrarec.training.trainer import train_model

NUM_ITEMS = 24


def small_config(**training: Any) -> Config:
    return parse_config(
        {
            "model": {"dim": 8, "decoder": {"num_layers": 1, "feedforward_dim": 16, "max_history": 6, "dropout": 0.2}},
            "training": {"num_epochs": 3, "targets_per_batch": 37, "checkpoint_seconds": 1e9, "patience": 0, **training},
        }
    )


def small_histories(seed: int = 0) -> Histories:
    """Users who walk around the catalog, one step at a time."""
    generator = np.random.default_rng(seed)
    starts, lengths = generator.integers(0, NUM_ITEMS, 40), generator.integers(1, 12, 40)
    return Histories.from_lists([(start + np.arange(length)) % NUM_ITEMS for start, length in zip(starts, lengths, strict=True)])


def small_model(config: Config, num_levels: int = 2) -> Cobra:
    generator = np.random.default_rng(1)
    ids = SemanticIds.from_codes(generator.integers(0, 4, (NUM_ITEMS, num_levels)).astype(np.int32), 4)
    embeddings = generator.normal(size=(NUM_ITEMS, 10)).astype(np.float32)
    tokens = None
    if config.model.item.kind == "text-encoder":
        tokens = TokenTable(generator.integers(1, 30, (NUM_ITEMS, 5)).astype(np.int32), 30)
    return build_model(config.model, ids, embeddings, tokens, seed=7)


class Stop(Exception):  # noqa: N818
    """Stands for a crash."""


def stop_at(step: int, error: type[BaseException] = Stop) -> Callable[[int], None]:
    def raise_there(done: int) -> None:
        if done == step:
            raise error

    return raise_there


def train_small(folder: Path, config: Config, resume: bool = False, **job: Any) -> tuple[Cobra, TrainResult]:
    model = small_model(config)
    result = train_model(model, small_histories(), config, RunOptions(device="cpu", resume=resume), TrainingJob(folder, **job))
    return model, result


def assert_same_weights(one: Cobra, other: Cobra) -> None:
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


class Scripted:
    """A validation that gives NDCG@10 values from a list."""

    def __init__(self, *values: float) -> None:
        self.values = list(values)
        self.num_calls = 0

    def __call__(self, model: Cobra) -> dict[str, float]:
        assert not model.training
        assert not torch.is_grad_enabled()
        self.num_calls += 1
        return {"ndcg@10": self.values[self.num_calls - 1], "recall@10": 0.5}
