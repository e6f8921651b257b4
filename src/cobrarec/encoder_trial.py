"""The paper's end-to-end text encoder, trained for a short epoch on a prepared run, to show that gradients reach it on all three ways."""

import dataclasses
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from cobrarec.config import Config, ModelConfig, RunOptions, load_config
from cobrarec.data.interactions import Histories
from cobrarec.model.batch import training_batch, training_windows
from cobrarec.model.cobra import Cobra
from cobrarec.model.gradient_norms import gradient_norms
from cobrarec.prepared import load_prepared
from cobrarec.progress import Progress
from cobrarec.run_folder import RunFolder
from cobrarec.run_steps import new_model, semantic_ids_step
from cobrarec.training.job import TrainingJob
from cobrarec.training.trainer import train_model

NUM_WINDOWS = 16
"""Stretches of histories in the batch whose gradients are measured."""


def try_text_encoder(run: RunFolder, minutes: float, progress: Progress) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Train the model of `paper-amazon` on the IDs of `run` for an epoch, at most `minutes` long.

    Returns:
        The epoch's mean losses, and the norms of the gradient that reaches the encoder through `input`, `target` and `negative`.
    """
    prepared = load_prepared(run)
    identified = semantic_ids_step(prepared, progress)
    config = trial_config()
    model, _ = new_model(dataclasses.replace(prepared, config=config), identified)
    with tempfile.TemporaryDirectory() as folder:
        job = TrainingJob(Path(folder), progress=progress, minutes=minutes)
        result = train_model(model, prepared.split.train, config, RunOptions(seed=prepared.seed, device="cpu"), job)
    norms = batch_gradient_norms(model, prepared.split.train, config, prepared.seed)
    return result.epochs[-1]["losses"], norms


def trial_config() -> Config:
    """`paper-amazon` with half its width and short texts, so that an epoch takes seconds; the way of the gradients is the same."""
    paper = load_config("paper-amazon")
    values = paper.model.model_dump()
    values["dim"] = 64
    values["item"]["text_encoder"] |= {"vocabulary_size": 2000, "max_tokens": 24, "feedforward_dim": 256}
    values["decoder"] |= {"feedforward_dim": 256, "max_history": 20}
    training = paper.training.model_copy(update={"num_epochs": 1, "targets_per_batch": 512})
    return paper.model_copy(update={"model": ModelConfig.model_validate(values), "training": training})


def batch_gradient_norms(model: Cobra, train: Histories, config: Config, seed: int) -> dict[str, float]:
    """Gradient norms over one batch of `NUM_WINDOWS` stretches drawn by `seed`."""
    generator = np.random.default_rng(seed)
    windows = training_windows(train, config.model.decoder.max_history)
    chosen = generator.permutation(len(windows))[:NUM_WINDOWS]
    batch = training_batch(train, windows, chosen, model.sampling(config.loss), generator)
    return gradient_norms(model, batch, config.loss)
