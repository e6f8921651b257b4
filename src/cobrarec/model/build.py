"""Building a model: which item encoder, from which seed."""

import numpy as np
import numpy.typing as npt
import torch

from cobrarec.config import ModelConfig
from cobrarec.errors import ConfigError
from cobrarec.model.cobra import Cobra
from cobrarec.model.item_encoder import IdEncoder, ItemEncoder, ProjectionEncoder
from cobrarec.model.item_tokenizer import TokenTable
from cobrarec.model.text_encoder import TextEncoder
from cobrarec.semantic_ids.semantic_ids import SemanticIds


def build_model(
    config: ModelConfig,
    semantic_ids: SemanticIds,
    embeddings: npt.NDArray[np.float32],
    tokens: TokenTable | None = None,
    seed: int = 0,
) -> Cobra:
    """A new model. The same arguments give the same weights; the global generators are left as they were.

    Args:
        config: the model's settings.
        semantic_ids: IDs of the catalog.
        embeddings: frozen text embeddings of the catalog, [num_items, text_dim].
        tokens: token ids of the catalog's texts; needed for the item encoder `text-encoder` alone.
        seed: of the first weights.

    Raises:
        ConfigError: settings that contradict each other.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return Cobra(config, semantic_ids, _item_encoder(config, embeddings, tokens))


def _item_encoder(config: ModelConfig, embeddings: npt.NDArray[np.float32], tokens: TokenTable | None) -> ItemEncoder:
    if config.item.kind == "projection":
        return ProjectionEncoder(config.item, config.dim, embeddings)
    if config.item.kind == "id":
        return IdEncoder(config.item, config.dim, len(embeddings))
    if tokens is None:
        raise ConfigError("`model.item.kind` is `text-encoder`, which needs the token ids of the item texts; none were given.")
    return TextEncoder(config.item, config.dim, tokens)
