"""Items like another one: the largest cosines of their vectors."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from cobrarec.data.catalog import Catalog, ItemId
from cobrarec.retrieval.ordering import order_keys


@dataclass(frozen=True)
class SimilarItem:
    """One item of a list of similar ones; `rank` counts from 1, `similarity` is the cosine."""

    item_id: ItemId
    similarity: float
    rank: int
    semantic_id: tuple[int, ...]


def similar_items(
    unit: Float[Tensor, "num_items dim"],
    row: int,
    k: int,
    catalog: Catalog,
    codes: npt.NDArray[np.int32],
    tie_ranks: npt.NDArray[np.int64],
) -> list[SimilarItem]:
    """The k listed items nearest to that of `row`, itself left out; cosines are rounded to 1e-5, ties go by the catalog's seeded order.

    Args:
        unit: vectors of length 1, or 0 where nothing is known of an item.
        row: the item.
        k: at most so many.
        catalog: the items.
        codes: their semantic IDs `[num_items, num_levels]`.
        tie_ranks: `[num_items]`, place of each item in the order that breaks ties.
    """
    cosines = unit @ unit[row]
    struck = torch.from_numpy(~catalog.is_listed).to(unit.device) | ~unit.any(1)
    struck[row] = True
    rows = torch.arange(catalog.num_items, device=unit.device)
    keys = order_keys(cosines.masked_fill(struck, -torch.inf), rows, torch.from_numpy(tie_ranks).to(unit.device))
    keys, places = torch.topk(keys, min(k, catalog.num_items))
    found = places[keys >= 0].cpu().numpy()
    parts = zip(catalog.item_ids[found].tolist(), cosines[found].tolist(), codes[found].tolist(), strict=True)
    return [SimilarItem(item, cosine, rank, tuple(own)) for rank, (item, cosine, own) in enumerate(parts, start=1)]
