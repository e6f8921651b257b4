"""The paper's item encoder: a Transformer over the item's text, trained end to end; the item vector is its output at [CLS]."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from cobrarec.config import ItemConfig
from cobrarec.model.decoder import Block
from cobrarec.model.dropout import dropout
from cobrarec.model.item_encoder import ItemEncoder
from cobrarec.model.item_tokenizer import PADDING, TokenTable

ITEMS_AT_ONCE = 256
"""Items of similar length that are encoded together, cut to the longest of them."""
EMBEDDING_DEVIATION = 0.1
"""Deviation of the first token, position and type embeddings."""


class TextEncoder(ItemEncoder):
    """LayerNorm(Transformer(token + position + type embeddings) at [CLS] + id embedding)."""

    cheap = False

    def __init__(self, config: ItemConfig, dim: int, tokens: TokenTable) -> None:
        super().__init__(config, dim, len(tokens.ids))
        settings = config.text_encoder
        assert dim % settings.num_heads == 0, "see config_checks.check_model"
        self.dropout = settings.dropout
        self.token_embedding = nn.Embedding(tokens.vocabulary_size, dim)
        self.position_embedding = nn.Embedding(tokens.ids.shape[1], dim)
        self.type_embedding = nn.Embedding(2, dim)
        for embedding in (self.token_embedding, self.position_embedding, self.type_embedding):
            nn.init.normal_(embedding.weight, std=EMBEDDING_DEVIATION)
        self.blocks = nn.ModuleList(
            Block(dim, settings.num_heads, settings.feedforward_dim, settings.dropout) for _ in range(settings.num_layers)
        )
        self.register_buffer("tokens", torch.from_numpy(tokens.ids), persistent=False)

    def content(self, rows: Int[Tensor, " n"] | None) -> Float[Tensor, "n dim"]:
        """Output at [CLS] for `rows`."""
        tokens = self.get_buffer("tokens")
        return self.new_content(tokens if rows is None else tokens[rows])

    def new_content(self, inputs: Tensor) -> Float[Tensor, "n dim"]:
        """Output at [CLS] for token ids [n, max_tokens], in groups of similar length."""
        lengths = (inputs != PADDING).sum(1)
        order = torch.argsort(lengths, stable=True)
        parts = [self._encode(inputs[part, : int(lengths[part[-1]])]) for part in torch.split(order, ITEMS_AT_ONCE) if len(part)]
        if not parts:
            return self.norm.weight.new_zeros(0, self.dim)
        return torch.empty(len(inputs), self.dim, device=inputs.device).index_copy(0, order, torch.cat(parts))

    def _encode(self, tokens: Int[Tensor, "n length"]) -> Float[Tensor, "n dim"]:
        place = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.token_embedding(tokens) + self.position_embedding(place) + self.type_embedding(place.clamp(max=1))
        x = dropout(x, self.dropout, self.training)
        is_text = (tokens != PADDING)[:, None, None]
        for block in self.blocks[:-1]:
            assert isinstance(block, Block)
            x = block.attend(x, is_text)[0]
        last = self.blocks[-1]
        assert isinstance(last, Block)
        return last.attend(x, is_text, x[:, :1])[0].squeeze(1)
