"""Beam search over the semantic IDs that exist: phi(ID) = sum over its levels of log softmax over ALL codes of the level (eq. 10, 11).

Prefixes that no item has are removed, not renormalized. So are prefixes that `Pruning` closes: those without an allowed item, and per user
those whose items are all in the history. What is cut off never changes the log-probability of the rest.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from cobrarec.model.cobra import Cobra, HistoryStates
from cobrarec.model.id_tables import IdTables
from cobrarec.retrieval.ordering import order_keys


@dataclass(frozen=True)
class Beams:
    """The most probable IDs of each user, best first. ids: -1 where a user has fewer; log_probs: phi, -inf there.

    states: the decoder's state at the last code (with zero levels at the last vector token).
    """

    ids: Int[Tensor, "batch beams"]
    log_probs: Float[Tensor, "batch beams"]
    states: Float[Tensor, "batch beams dim"]


class AllowedItems:
    """What the filters of a request leave: a mask over the catalog and, per level, how many items it leaves below each prefix."""

    def __init__(self, rows: Bool[Tensor, " num_items"], tables: IdTables) -> None:
        self.rows = rows
        self.sizes = tables.sizes_of(rows)
        self.num_items = int(rows.sum())


@dataclass(frozen=True)
class Pruning:
    """Prefixes not to enter, per level: those of size 0 (None: no filter) for all users, each closed prefix for its closed user."""

    sizes: list[Tensor] | None
    closed_users: list[Tensor]
    closed_prefixes: list[Tensor]


def prune(
    tables: IdTables,
    removed_users: Int[Tensor, " num_removed"],
    removed_rows: Int[Tensor, " num_removed"],
    allowed: AllowedItems | None = None,
) -> Pruning:
    """Close the prefixes without an allowed item outside the user's history.

    Args:
        tables: those of the model.
        removed_users: user (place in the batch) of each removed item; no (user, row) twice.
        removed_rows: its row.
        allowed: what filters leave.
    """
    if allowed is not None:
        inside = allowed.rows[removed_rows]
        removed_users, removed_rows = removed_users[inside], removed_rows[inside]
    users, prefixes = [], []
    for level, size in enumerate(tables.sizes if allowed is None else allowed.sizes):
        keys, counts = torch.unique(removed_users * len(size) + tables.prefix_of_rows(level + 1, removed_rows), return_counts=True)
        keys = keys[counts == size[keys % len(size)]]
        users.append(keys // len(size))
        prefixes.append(keys % len(size))
    return Pruning(sizes=None if allowed is None else allowed.sizes, closed_users=users, closed_prefixes=prefixes)


def beam_search(
    model: Cobra,
    history: HistoryStates,
    tables: IdTables,
    num_beams: int,
    mass: tuple[Tensor | None, ...] | None = None,
    pruning: Pruning | None = None,
) -> Beams:
    """The `num_beams` most probable IDs; with as many beams as IDs this is enumeration. All users share `num_beams`, none shares results.

    Args:
        model: in eval mode.
        history: encoded histories; their key/value cache is shared by the beams.
        tables: those of the model.
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
        children = tables.children_of(level, prefixes)
        totals = totals.masked_fill(children < 0, -torch.inf)
        if pruning is not None:
            _close(totals, prefixes, torch.isfinite(log_probs), tables, level, pruning)
        width = min(num_beams, tables.num_prefixes[level + 1])
        log_probs, prefixes, beam, code = _best(totals, children, width, tables.num_prefixes[level + 1])
        if level > 0:
            cache.select(beam)
        states = model.append_code(history, cache, level, code)
    ids = prefixes.masked_fill(~torch.isfinite(log_probs), -1)
    return Beams(ids=ids, log_probs=log_probs, states=states)


def _close(
    totals: Float[Tensor, "batch beams codes"],
    prefixes: Int[Tensor, "batch beams"],
    live: Bool[Tensor, "batch beams"],
    tables: IdTables,
    level: int,
    pruning: Pruning,
) -> None:
    """Set the entries of closed children to -inf, in place. Closed (user, prefix) pairs are looked up among the beams, not the reverse."""
    if pruning.sizes is not None:
        children = tables.children_of(level, prefixes)
        totals.masked_fill_((children >= 0) & (pruning.sizes[level][children.clamp(min=0)] == 0), -torch.inf)
    users, closed = pruning.closed_users[level], pruning.closed_prefixes[level]
    if len(users) == 0:
        return
    num_parents = tables.num_prefixes[level]
    owner = torch.arange(len(prefixes), device=prefixes.device)[:, None] * num_parents
    keys, order = torch.sort((owner + prefixes).masked_fill(~live, -1).view(-1))
    wanted = users * num_parents + tables.parent(level)[closed]
    place = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    hit = keys[place] == wanted
    totals.view(-1, totals.shape[-1])[order[place[hit]], tables.last_code(level)[closed[hit]]] = -torch.inf


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
