"""From sparse log scores to ranked lists, in the order of everything that is ranked."""

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse

from cobrarec.retrieval.list_engine import Request
from cobrarec.retrieval.ordering import log_scores_of_keys, order_keys
from cobrarec.retrieval.recommendations import SOURCES, RankedLists, Source


def scored_lists(
    log_scores: sparse.csr_array, request: Request[npt.NDArray[np.bool_]], tie_ranks: npt.NDArray[np.int64], source: Source
) -> RankedLists:
    """The k stored items of highest log score of each user; lists are shorter where fewer are stored.

    Args:
        log_scores: `[num_users, num_items]`; what is not stored, or is -inf, is no candidate.
        request: k, the allowed items, whether explanations are asked for; the term of the scores is called `source`.
        tie_ranks: `[num_items]`, place of the item in the order that breaks ties.
        source: where the items come from.
    """
    num_users, num_items = log_scores.shape
    items, values = log_scores.indices.astype(np.int64), log_scores.data
    if request.allowed is not None:
        values = np.where(request.allowed[items], values, -np.inf)
    lengths = np.diff(log_scores.indptr)
    users = np.repeat(np.arange(num_users), lengths)
    keys = torch.full((num_users, max(int(lengths.max(initial=0)), 1)), -1, dtype=torch.int64)
    places = np.arange(len(items)) - log_scores.indptr[users]
    keys[users, places] = order_keys(torch.from_numpy(values), torch.from_numpy(items), torch.from_numpy(tie_ranks))
    keys, places = torch.topk(keys, min(request.k, keys.shape[1]), dim=1)
    listed = (keys >= 0).numpy()
    width = keys.shape[1]
    ranked = request.empty_lists(num_users)
    found = items[np.where(listed, log_scores.indptr[:-1, None] + places.numpy(), 0)] if len(items) else np.zeros_like(listed, np.int64)
    ranked.rows[:, :width] = np.where(listed, found, -1)
    ranked.log_scores[:, :width] = log_scores_of_keys(keys, num_items).numpy()
    ranked.sources[:, :width] = np.where(listed, SOURCES.index(source), -1)
    if ranked.explanations is not None:
        ranked.explanations.terms[source][:, :width] = np.where(listed, ranked.log_scores[:, :width], np.nan)
    return ranked
