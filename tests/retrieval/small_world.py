"""A small catalog with a real, randomly initialized model, whose weights are stirred so that nothing is flat."""

import copy
import dataclasses
import json
from functools import cache

import numpy as np
import pyarrow as pa
import torch
from reference_retrieval import random_codes

from cobrarec.config import DataConfig, RetrievalConfig, parse_config
from cobrarec.data.catalog import Catalog
from cobrarec.data.interactions import Histories
from cobrarec.model.build import build_model
from cobrarec.retrieval.recommender import ArtifactInfo, Recommender
from cobrarec.retrieval.transition_memory import TransitionMemory
from cobrarec.semantic_ids.semantic_ids import SemanticIds

NUM_ITEMS = 60
PAPER = {"direct_query": False, "item_evidence": "off", "dense_skip": False, "item_bias": False}


def make_recommender(num_levels=1, codebook_size=6, seed=0, integer_ids=False, retrieval=None, **model):
    """A recommender over 60 items; `model` are settings of `ModelConfig`, `retrieval` of `RetrievalConfig`."""
    return _make(num_levels, codebook_size, seed, integer_ids, json.dumps(model)).with_settings(**(retrieval or {}))


@cache
def _make(num_levels, codebook_size, seed, integer_ids, model):
    settings = {"dim": 16, "decoder": {"num_layers": 1, "feedforward_dim": 32, "max_history": 6}, **json.loads(model)}
    config = parse_config({"model": settings})
    ids = SemanticIds.from_codes(random_codes(NUM_ITEMS, num_levels, codebook_size, seed), codebook_size)
    embeddings = np.random.default_rng(seed).normal(size=(NUM_ITEMS, 12)).astype(np.float32)
    cobra = build_model(config.model, ids, embeddings, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in cobra.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    cobra.eval()
    items = cobra.item_vectors()
    cobra.refresh_evidence(items)
    names = list(range(100, 100 + NUM_ITEMS)) if integer_ids else [f"B{row:03d}" for row in range(NUM_ITEMS)]
    catalog = Catalog.from_table(pa.table({"item_id": names, "title": [f"title {row}" for row in range(NUM_ITEMS)]}), DataConfig())
    popularity = np.random.default_rng(seed + 1).integers(0, 9, NUM_ITEMS)
    memory = TransitionMemory.fit(some_histories(20, seed=seed + 1), NUM_ITEMS, window=3, last=4, reverse=0.3)
    info = ArtifactInfo(popularity, seed=seed)
    return Recommender.of_network(catalog, ids, cobra, items, RetrievalConfig(direct_weight=0.3), info, memory)


def some_histories(num_users=9, longest=12, seed=0):
    """Histories of 1 to `longest` items, some longer than the model reads; user u's is the same however many users there are."""
    lists = []
    for user in range(num_users):
        random = np.random.default_rng([seed, user])
        length = longest if user == 0 else int(random.integers(1, longest + 1))
        lists.append(random.integers(0, NUM_ITEMS, length))
    return Histories.from_lists(lists)


def ids_of(recommender, rows):
    """The caller's ids of catalog rows."""
    return [recommender.catalog.item_ids[row] for row in rows]


def replaced(recommender, **changes):
    """The recommender with another part, for example `info`."""
    parts = {name: getattr(recommender, name) for name in ("catalog", "semantic_ids", "model", "items", "config", "info")}
    return Recommender.of_network(**{**parts, "memory": recommender.network.memory, **changes})


def with_popularity(recommender, popularity):
    """The recommender with other training counts."""
    return replaced(recommender, info=dataclasses.replace(recommender.info, popularity=popularity))


def without_scans(recommender):
    """The same weights under a limit that forbids scanning the catalog."""
    model = copy.copy(recommender.model)
    model.config = model.config.model_copy(update={"exact_catalog_limit": 1})
    return replaced(recommender, model=model)
