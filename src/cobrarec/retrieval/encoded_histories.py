"""One chunk of users, read by the model once: everything that the searches for their lists share."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cobrarec.data.interactions import Histories
from cobrarec.model.batch import collate
from cobrarec.model.cobra import Cobra, HistoryStates, ItemVectors
from cobrarec.model.id_tables import IdTables


@dataclass(frozen=True)
class RemovedItems:
    """The history's items, which are no candidates: each (user, row) once, sorted by user, then row; users count within the chunk.

    Delisted items, which are no candidates of anybody, are not among them.
    """

    users: Int[Tensor, " num_removed"]
    rows: Int[Tensor, " num_removed"]

    @classmethod
    def of(cls, histories: Histories, is_listed: npt.NDArray[np.bool_], device: torch.device) -> "RemovedItems":
        """All listed items of the histories, those too old to be read included; `is_listed` is `[num_items]`."""
        num_items = len(is_listed)
        keys = np.unique(histories.keys(num_items))
        keys = keys[is_listed[keys % num_items]]
        return cls(torch.from_numpy(keys // num_items).to(device), torch.from_numpy(keys % num_items).to(device))

    @classmethod
    def none(cls, device: torch.device) -> "RemovedItems":
        """Nothing is removed."""
        empty = torch.zeros(0, dtype=torch.int64, device=device)
        return cls(empty, empty)

    def select(self, users: Int[Tensor, " chosen"], num_users: int) -> "RemovedItems":
        """What is removed for some of the chunk's `num_users` users, who are numbered anew."""
        number = torch.full((num_users,), -1, device=users.device)
        number[users] = torch.arange(len(users), device=users.device)
        kept = number[self.users] >= 0
        return RemovedItems(number[self.users[kept]], self.rows[kept])

    def pairs(self, ids: Int[Tensor, "batch beams"], tables: IdTables) -> tuple[Tensor, Tensor]:
        """Where removed items lie among the users' beams: (pair = user * beams + beam, row) of those that some beam holds."""
        owner = torch.arange(len(ids), device=ids.device)[:, None] * tables.num_ids
        keys, order = torch.sort(torch.where(ids >= 0, owner + ids, -1).view(-1))
        wanted = self.users * tables.num_ids + tables.id_of_row[self.rows]
        place = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
        hit = keys[place] == wanted
        return order[place[hit]], self.rows[hit]


@dataclass(frozen=True)
class EncodedHistories:
    """What the model knows of a chunk of users.

    log_direct: the direct query's log-probability of every item, over the catalog less the history, -inf in the history; float32.
    None without a direct query, where it is not asked for, or in catalogs too large to be scanned.
    """

    states: HistoryStates
    removed: RemovedItems
    direct_query: Float[Tensor, "batch dim"] | None
    mass: tuple[Tensor | None, ...] | None
    log_direct: Float[Tensor, "batch num_items"] | None

    @property
    def direct_normalizer(self) -> Float[Tensor, "batch 1"]:
        """log of the summed direct scores of the catalog, history included, from the centroids; 0 where the model keeps none."""
        finest = next((mass for mass in reversed(self.mass or ()) if mass is not None), None)
        if finest is None:
            return torch.zeros_like(self.states.last_state[:, :1])
        return torch.logsumexp(finest, 1, keepdim=True)


def encode_histories(model: Cobra, items: ItemVectors, histories: Histories, removed: RemovedItems, scan: bool) -> EncodedHistories:
    """Read a chunk of histories, each with at least one item.

    Args:
        model: in eval mode.
        items: vectors of the catalog.
        histories: the users of the chunk.
        removed: items that are no candidates.
        scan: compute `log_direct`.
    """
    device = items.vectors.device
    batch = collate(histories, None, model.config.decoder.max_history).to(device)
    states = model.encode_history(batch, items)
    query = model.direct_queries(states.last_state)
    log_direct = None
    if scan and query is not None:
        log_direct = log_softmax_without(model.direct_logits(query, items, None), removed)
    return EncodedHistories(states, removed, query, model.prefix_mass(query, items), log_direct)


def log_softmax_without(logits: Float[Tensor, "batch num_items"], removed: RemovedItems) -> Float[Tensor, "batch num_items"]:
    """Log-softmax over what is not removed; -inf at what is, and everywhere if nothing is left. Works in place."""
    logits[removed.users, removed.rows] = -torch.inf
    total = torch.logsumexp(logits, 1, keepdim=True)
    return logits.sub_(torch.where(torch.isfinite(total), total, 0.0))
