"""A causal Transformer over items of several tokens each, with a key/value cache that beams share. It knows no items.

Token (t, k) is token k of item t. What it may see: all tokens of earlier items, and tokens 0..k of its own. Sequences are padded on
the right, so causality alone hides padding from every real token.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from cobrarec.config import DecoderConfig
from cobrarec.model.dropout import dropout


@dataclass(frozen=True)
class Cache:
    """Keys and values of histories, held once however many beams read them. One entry per layer, [batch, heads, tokens, head_dim]."""

    keys: tuple[Float[Tensor, "batch heads tokens head_dim"], ...]
    values: tuple[Float[Tensor, "batch heads tokens head_dim"], ...]
    mask: Bool[Tensor, "batch items"]
    """True at real items."""


class BeamCache:
    """Keys and values of the tokens that beams have appended after a history; room for all of them is made once."""

    def __init__(self, num_layers: int, num_tokens: int) -> None:
        self.num_layers, self.num_tokens, self.length = num_layers, num_tokens, 0
        self.keys: list[Float[Tensor, "batch heads beams tokens head_dim"]] = []
        self.values: list[Float[Tensor, "batch heads beams tokens head_dim"]] = []

    def append(
        self, layer: int, key: Float[Tensor, "batch heads beams head_dim"], value: Float[Tensor, "batch heads beams head_dim"]
    ) -> None:
        """Write one token per beam at place `length`; the caller moves `length` on after the last layer."""
        if layer == len(self.keys):
            self.keys.append(key.new_empty(*key.shape[:3], self.num_tokens, key.shape[3]))
            self.values.append(torch.empty_like(self.keys[-1]))
        self.keys[layer][..., self.length, :] = key
        self.values[layer][..., self.length, :] = value

    def select(self, beam_index: Int[Tensor, "batch beams"]) -> None:
        """Let new beam m of each history go on from its old beam `beam_index[:, m]`; the number of beams may change."""
        for store in (self.keys, self.values):
            for layer, old in enumerate(store):
                where = beam_index[:, None, :, None, None].expand(-1, old.shape[1], -1, *old.shape[3:])
                store[layer] = old.gather(2, where)


class RelativeBias(nn.Module):
    """A trained number per head, type of the reading token, type of the read token and distance in items, added to the attention."""

    def __init__(self, num_heads: int, num_token_types: int, max_distance: int) -> None:
        super().__init__()
        self.max_distance = max_distance
        self.weight = nn.Parameter(torch.zeros(num_heads, num_token_types, num_token_types, max_distance + 1))

    def forward(
        self, query_types: Int[Tensor, "*q"], key_types: Int[Tensor, "*k"], distance: Int[Tensor, "*pairs"]
    ) -> Float[Tensor, "heads *pairs"]:
        """The bias for each pair; the shapes of the types broadcast to that of `distance`."""
        return self.weight[:, query_types, key_types, distance.clamp(0, self.max_distance)]


class Block(nn.Module):
    """Pre-norm attention and GELU feed-forward layer."""

    def __init__(self, dim: int, num_heads: int, feedforward_dim: int, dropout: float) -> None:
        super().__init__()
        self.num_heads, self.dropout = num_heads, dropout
        self.norm_attention, self.norm_feedforward = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.query, self.key_value, self.out = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, feedforward_dim), nn.Linear(feedforward_dim, dim)

    def heads(self, x: Float[Tensor, "batch tokens dim"]) -> Float[Tensor, "batch heads tokens head_dim"]:
        """Split the last dimension into heads."""
        return x.view(*x.shape[:2], self.num_heads, -1).transpose(1, 2)

    def project(
        self, x: Float[Tensor, "batch tokens dim"], readers: Float[Tensor, "batch readers dim"] | None = None
    ) -> tuple[
        Float[Tensor, "batch heads readers head_dim"],
        Float[Tensor, "batch heads tokens head_dim"],
        Float[Tensor, "batch heads tokens head_dim"],
    ]:
        """Queries of the tokens `readers` (default: all), keys and values of all."""
        normed = self.norm_attention(x)
        key, value = self.key_value(normed).chunk(2, -1)
        query = self.query(normed if readers is None else self.norm_attention(readers))
        return self.heads(query), self.heads(key), self.heads(value)

    def finish(
        self, x: Float[Tensor, "batch tokens dim"], mixed: Float[Tensor, "batch heads tokens head_dim"]
    ) -> Float[Tensor, "batch tokens dim"]:
        """Add to `x` what attention has `mixed`, then the feed-forward part."""
        x = x + self._drop(self.out(mixed.transpose(1, 2).flatten(2)))
        return x + self._drop(self.down(self._drop(F.gelu(self.up(self.norm_feedforward(x))))))

    def attend(
        self,
        x: Float[Tensor, "batch tokens dim"],
        mask: Tensor,
        readers: Float[Tensor, "batch readers dim"] | None = None,
    ) -> tuple[
        Float[Tensor, "batch readers dim"], Float[Tensor, "batch heads tokens head_dim"], Float[Tensor, "batch heads tokens head_dim"]
    ]:
        """The layer's output at the tokens `readers`, and the keys and values of all.

        Args:
            x: the tokens.
            mask: added to the attention logits, or True where a token may be read; broadcasts to [batch, heads, readers, tokens].
            readers: those of the tokens whose output is wanted; None: all.
        """
        query, key, value = self.project(x, readers)
        rate = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=rate)
        return self.finish(x if readers is None else readers, mixed), key, value

    def _drop(self, x: Tensor) -> Tensor:
        return dropout(x, self.dropout, self.training)


class Decoder(nn.Module):
    """Adds positions and types to the tokens, then applies the layers."""

    def __init__(self, config: DecoderConfig, dim: int, num_token_types: int) -> None:
        super().__init__()
        self.config, self.num_token_types = config, num_token_types
        self.type_embedding = nn.Parameter(torch.empty(num_token_types, dim).normal_(std=0.1))
        positions = torch.empty(config.max_history + 1, dim).normal_(std=0.1)
        self.position_embedding = nn.Parameter(positions) if config.position_embedding else None
        self.relative_bias = RelativeBias(config.num_heads, num_token_types, config.max_history) if config.relative_bias else None
        self.blocks = nn.ModuleList(Block(dim, config.num_heads, config.feedforward_dim, config.dropout) for _ in range(config.num_layers))
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Float[Tensor, "batch items types dim"]) -> Float[Tensor, "batch items types dim"]:
        """States after every token."""
        return self._run(x)[0].view_as(x)

    def prefill(
        self, x: Float[Tensor, "batch items types dim"], mask: Bool[Tensor, "batch items"]
    ) -> tuple[Float[Tensor, "batch dim"], Cache]:
        """State after the last token of each history, and the cache that `extend` reads; `mask` is True at real items."""
        states, keys, values = self._run(x, mask.sum(1) * self.num_token_types - 1)
        return states, Cache(tuple(keys), tuple(values), mask)

    def extend(
        self, x: Float[Tensor, "batch beams dim"], token_type: int, cache: Cache, beams: BeamCache
    ) -> Float[Tensor, "batch beams dim"]:
        """States after one more token for each beam; its key and value are written into `beams`.

        Args:
            x: the token of each beam, token `token_type` of the item after the history.
            token_type: its place within the item; equal to the number of tokens that the beams have appended.
            cache: the histories.
            beams: what the beams have appended so far.
        """
        position = cache.mask.sum(1)
        x = self._embed(x, position[:, None], torch.tensor(token_type, device=x.device))
        bias = self._extension_bias(position, cache, token_type)
        for layer, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            query, key, value = block.project(x)
            beams.append(layer, key, value)
            history_keys, history_values = cache.keys[layer], cache.values[layer]
            own_keys = beams.keys[layer][..., : beams.length + 1, :]
            logits = torch.cat([query @ history_keys.transpose(-1, -2), (own_keys @ query[..., None]).squeeze(-1)], -1)
            weights = (logits / query.shape[-1] ** 0.5 + bias).softmax(-1)
            ours = weights[..., None, history_keys.shape[-2] :] @ beams.values[layer][..., : beams.length + 1, :]
            x = block.finish(x, weights[..., : history_keys.shape[-2]] @ history_values + ours.squeeze(-2))
        beams.length += 1
        return self.norm(x)

    def _embed(self, x: Tensor, position: Tensor, token_type: Tensor) -> Tensor:
        x = x + self.type_embedding[token_type]
        if self.position_embedding is not None:
            x = x + self.position_embedding[position]
        return dropout(x, self.config.dropout, self.training)

    def _run(self, x: Tensor, last: Int[Tensor, " batch"] | None = None) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """States [batch, items * types, dim], or [batch, dim] at the tokens `last` alone; and keys and values per layer."""
        num_items, num_types = x.shape[1:3]
        if num_items > self.config.max_history + 1:
            raise ValueError(f"{num_items} items given, at most max_history + 1 = {self.config.max_history + 1} can be read.")
        place = torch.arange(num_items, device=x.device)
        mask = self._causal_mask(place.repeat_interleave(num_types), torch.arange(num_types, device=x.device).repeat(num_items))
        x = self._embed(x, place[:, None], torch.arange(num_types, device=x.device)).flatten(1, 2)
        keys, values = [], []
        for layer, block in enumerate(self.blocks):
            assert isinstance(block, Block)
            readers = None
            if last is not None and layer == len(self.blocks) - 1:  # nobody reads the last layer's output at other tokens
                readers, mask = x[torch.arange(len(x), device=x.device), last][:, None], mask[:, last].transpose(0, 1)[:, :, None]
            x, key, value = block.attend(x, mask, readers)
            keys.append(key)
            values.append(value)
        x = self.norm(x)
        return (x if last is None else x.squeeze(1)), keys, values

    def _causal_mask(self, position: Tensor, types: Tensor) -> Tensor:
        """Bias of every pair of tokens, -inf where the read token is later; [1 or heads, tokens, tokens]."""
        place = torch.arange(len(position), device=position.device)
        hidden = torch.zeros(1, len(place), len(place), device=position.device)
        hidden = hidden.masked_fill(place[:, None] < place, -torch.inf)
        if self.relative_bias is None:
            return hidden
        return hidden + self.relative_bias(types[:, None], types, position[:, None] - position)

    def _extension_bias(self, position: Tensor, cache: Cache, token_type: int) -> Tensor:
        """Bias of a beam's new token towards the history's tokens and its own, [batch, 1 or heads, 1, tokens]."""
        num_types, num_items = self.num_token_types, cache.mask.shape[1]
        hidden = torch.zeros(cache.mask.shape, device=position.device).masked_fill(~cache.mask, -torch.inf)
        hidden = F.pad(hidden.repeat_interleave(num_types, 1), (0, token_type + 1))[:, None, None]
        if self.relative_bias is None:
            return hidden
        types = torch.arange(num_types, device=position.device).repeat(num_items + 1)[: num_items * num_types + token_type + 1]
        place = torch.arange(num_items, device=position.device).repeat_interleave(num_types)
        distance = F.pad(position[:, None] - place, (0, token_type + 1))
        bias = self.relative_bias(torch.full_like(types, token_type), types, distance)
        return hidden + bias.transpose(0, 1)[:, :, None]
