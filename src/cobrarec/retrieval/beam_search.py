"""Beam search over the semantic IDs that exist: phi(ID) = sum over its levels of log softmax over ALL codes of the level (eq. 10, 11).

Prefixes that no item has are removed, not renormalized. So are prefixes that `Pruning` closes: those without an allowed item, and per user
those whose items are all in the history. What is cut off never changes the log-probability of the rest.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cobrarec.model.cobra import Cobra, HistoryStates
from cobrarec.retrieval.ordering import order_keys
from cobrarec.semantic_ids.semantic_ids import SemanticIds


@dataclass(frozen=True)
class Beams:
    """The most probable IDs of each user, best first. ids: -1 where a user has fewer; log_probs: phi, -inf there.

    states: the decoder's state at the last code (with zero levels at the last vector token).
    """

    ids: Int[Tensor, "batch beams"]
    log_probs: Float[Tensor, "batch beams"]
    states: Float[Tensor, "batch beams dim"]


class PrefixTables:
    """The prefix tables of `SemanticIds` as tensors. Index l of each list is a level; prefixes "below" it have l + 1 codes."""

    def __init__(self, semantic_ids: SemanticIds, device: torch.device) -> None:
        def tensor(array: npt.NDArray[np.integer[Any]]) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64)).to(device)

        levels = range(semantic_ids.num_levels)
        self.num_ids = semantic_ids.num_ids
        self.num_levels = semantic_ids.num_levels
        self.child = [tensor(semantic_ids.child[level]) for level in levels]
        self.parent = [tensor(semantic_ids.parent[level]) for level in levels]
        self.last_code = [tensor(semantic_ids.last_code[level]) for level in levels]
        self.id_of_row = tensor(semantic_ids.id_of_row)
        self.prefix_of_row = [tensor(semantic_ids.prefix_of_id(level + 1)[semantic_ids.id_of_row]) for level in levels]
        self.sizes = self.count(torch.ones_like(self.id_of_row, dtype=torch.bool))

    def count(self, kept: Bool[Tensor, " num_items"]) -> list[Tensor]:
        """Kept items below each prefix, per level."""
        return [
            torch.bincount(prefixes[kept], minlength=len(parent)) for prefixes, parent in zip(self.prefix_of_row, self.parent, strict=True)
        ]


class AllowedItems:
    """What the filters of a request leave: a mask over the catalog and, per level, how many items it leaves below each prefix."""

    def __init__(self, rows: Bool[Tensor, " num_items"], tables: PrefixTables) -> None:
        self.rows = rows
        self.sizes = tables.count(rows)
        self.num_items = int(rows.sum())


@dataclass(frozen=True)
class Pruning:
    """Prefixes not to enter, per level: those of size 0 (None: no filter) for all users, each closed prefix for its closed user."""

    sizes: list[Tensor] | None
    closed_users: list[Tensor]
    closed_prefixes: list[Tensor]


def prune(
    tables: PrefixTables,
    removed_users: Int[Tensor, " num_removed"],
    removed_rows: Int[Tensor, " num_removed"],
    allowed: AllowedItems | None = None,
) -> Pruning:
    """Close the prefixes without an allowed item outside the user's history.

    Args:
        tables: the prefix tables.
        removed_users: user (place in the batch) of each removed item; no (user, row) twice.
        removed_rows: its row.
        allowed: what filters leave.
    """
    if allowed is not None:
        inside = allowed.rows[removed_rows]
        removed_users, removed_rows = removed_users[inside], removed_rows[inside]
    users, prefixes = [], []
    for level, size in enumerate(tables.sizes if allowed is None else allowed.sizes):
        keys, counts = torch.unique(removed_users * len(size) + tables.prefix_of_row[level][removed_rows], return_counts=True)
        keys = keys[counts == size[keys % len(size)]]
        users.append(keys // len(size))
        prefixes.append(keys % len(size))
    return Pruning(sizes=None if allowed is None else allowed.sizes, closed_users=users, closed_prefixes=prefixes)


def beam_search(
    model: Cobra,
    history: HistoryStates,
    tables: PrefixTables,
    num_beams: int,
    mass: tuple[Tensor | None, ...] | None = None,
    pruning: Pruning | None = None,
) -> Beams:
    """The `num_beams` most probable IDs; with as many beams as IDs this is enumeration. All users share `num_beams`, none shares results.

    Args:
        model: in eval mode.
        history: encoded histories; their key/value cache is shared by the beams.
        tables: the prefix tables.
        num_beams: M. Ties in phi (rounded to 1e-5) go to the lower prefix.
        mass: per level, the log of the summed direct scores below each prefix, where the model uses it.
        pruning: what must not be entered.
    """
    batch, device = len(history.last_state), history.last_state.device
    states = history.last_state[:, None]
    prefixes = torch.zeros(batch, 1, dtype=torch.int64, device=device)
    log_probs = torch.zeros(batch, 1, dtype=states.dtype, device=device)
    cache = model.new_beams(history)
    for level in range(tables.num_levels):
        logits = model.code_logits(level, states, prefixes, mass)
        totals = log_probs[..., None] + torch.log_softmax(logits, -1)
        children = tables.child[level][prefixes]
        totals = totals.masked_fill(children < 0, -torch.inf)
        if pruning is not None:
            _close(totals, prefixes, torch.isfinite(log_probs), tables, level, pruning)
        width = min(num_beams, len(tables.parent[level]))
        log_probs, prefixes, beam, code = _best(totals, children, width, len(tables.parent[level]))
        if level > 0:
            cache.select(beam)
        states = model.append_code(history, cache, level, code)
    ids = prefixes.masked_fill(~torch.isfinite(log_probs), -1)
    return Beams(ids=ids, log_probs=log_probs, states=states)


def _close(
    totals: Float[Tensor, "batch beams codes"],
    prefixes: Int[Tensor, "batch beams"],
    live: Bool[Tensor, "batch beams"],
    tables: PrefixTables,
    level: int,
    pruning: Pruning,
) -> None:
    """Set the entries of closed children to -inf, in place. Closed (user, prefix) pairs are looked up among the beams, not the reverse."""
    if pruning.sizes is not None:
        children = tables.child[level][prefixes]
        totals.masked_fill_((children >= 0) & (pruning.sizes[level][children.clamp(min=0)] == 0), -torch.inf)
    users, closed = pruning.closed_users[level], pruning.closed_prefixes[level]
    if len(users) == 0:
        return
    num_parents = len(tables.child[level])
    owner = torch.arange(len(prefixes), device=prefixes.device)[:, None] * num_parents
    keys, order = torch.sort((owner + prefixes).masked_fill(~live, -1).view(-1))
    wanted = users * num_parents + tables.parent[level][closed]
    place = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    hit = keys[place] == wanted
    totals.view(-1, totals.shape[-1])[order[place[hit]], tables.last_code[level][closed[hit]]] = -torch.inf


def _best(
    totals: Float[Tensor, "batch beams codes"], children: Int[Tensor, "batch beams codes"], width: int, num_prefixes: int
) -> tuple[Float[Tensor, "batch kept"], Int[Tensor, "batch kept"], Int[Tensor, "batch kept"], Int[Tensor, "batch kept"]]:
    """The best entries: their log-probabilities, prefixes, beams and codes; dead ones (-inf) last, as prefix 0."""
    flat, flat_children = totals.flatten(1), children.flatten(1).clamp(min=0)
    ranks = torch.arange(num_prefixes, device=totals.device)
    place = torch.topk(order_keys(flat, flat_children, ranks), min(width, flat.shape[1]), dim=1).indices
    log_probs = flat.gather(1, place)
    prefixes = flat_children.gather(1, place).masked_fill(~torch.isfinite(log_probs), 0)
    num_codes = totals.shape[-1]
    return log_probs, prefixes, place // num_codes, place % num_codes
