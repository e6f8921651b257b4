"""Small random models and batches; their weights are stirred, so that nothing is flat because it starts at zero."""

import numpy as np
import torch

from cobrarec.config import LossConfig, ModelConfig
from cobrarec.data.interactions import Histories
from cobrarec.model.batch import training_batch, training_windows
from cobrarec.model.build import build_model
from cobrarec.model.item_tokenizer import TokenTable
from cobrarec.semantic_ids.semantic_ids import SemanticIds

NUM_ITEMS, NUM_CODES, TEXT_DIM, MAX_HISTORY = 40, 4, 12, 6
PAPER = {"direct_query": False, "item_evidence": "off", "dense_skip": False, "item_bias": False}
WORDS = {"kind": "text-encoder", "text_encoder": {"num_heads": 2, "feedforward_dim": 16, "max_tokens": 9}}


def small_config(**settings):
    """A model of 16 dimensions that reads 6 items; `settings` are those of `ModelConfig`, sections as dictionaries."""
    decoder = {"feedforward_dim": 24, "max_history": MAX_HISTORY, "time_dropout": 0.0, **settings.pop("decoder", {})}
    return ModelConfig.model_validate({"dim": 16, "decoder": decoder, **settings})


def semantic_ids(num_levels=1, num_items=NUM_ITEMS, seed=0):
    codes = np.random.default_rng(seed).integers(NUM_CODES, size=(num_items, num_levels)).astype(np.int32)
    return SemanticIds.from_codes(codes, NUM_CODES)


def embeddings(num_items=NUM_ITEMS, seed=0):
    return np.random.default_rng(seed).standard_normal((num_items, TEXT_DIM)).astype(np.float32)


def token_table(num_items=NUM_ITEMS, seed=0):
    generator = np.random.default_rng(seed)
    ids = generator.integers(2, 50, size=(num_items, 9)).astype(np.int32)
    ids[np.arange(9) >= generator.integers(1, 10, size=num_items)[:, None]] = 0
    ids[:, 0] = 1
    return TokenTable(ids, 50)


def small_model(num_levels=1, seed=0, stirred=True, **settings):
    """A model in evaluation mode."""
    config = small_config(**settings)
    tokens = token_table() if config.item.kind == "text-encoder" else None
    model = build_model(config, semantic_ids(num_levels), embeddings(), tokens, seed)
    if stirred:
        stir(model)
    return model.eval()


@torch.no_grad()
def stir(model, seed=1):
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and name not in ("dense_scale", "direct_scale", "evidence_gain"):
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    model.refresh_evidence()


def histories(lengths=(1, 4, 7, 2, 5), seed=0, timestamps=False):
    generator = np.random.default_rng(seed)
    lists = [generator.choice(NUM_ITEMS, size=n, replace=False) for n in lengths]
    times = [np.cumsum(generator.integers(0, 40 * 86400, size=n)) + 1_400_000_000 for n in lengths]
    return Histories.from_lists(lists, timestamps=times if timestamps else None)


def small_batch(model, loss=None, lengths=(1, 4, 7, 2, 5), seed=0, timestamps=False):
    """All training windows of random histories in one batch."""
    loss = loss or LossConfig(num_sampled=10)
    train = histories(lengths, seed, timestamps)
    windows = training_windows(train, model.config.decoder.max_history)
    return training_batch(train, windows, np.arange(len(windows)), model.sampling(loss), np.random.default_rng(seed))
