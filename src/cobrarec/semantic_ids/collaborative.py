"""A frozen embedding of what is bought together: SVD of the positive PMI of transitions, training prefixes only.

Levy, Goldberg, Dagan: "Improving Distributional Similarity with Lessons Learned from Word Embeddings" (TACL 2015): context
distribution smoothing (power .75) and symmetric square-root weighting of the singular values.
"""

import itertools

import numpy as np
import numpy.typing as npt
from scipy import sparse

from cobrarec.config import SemanticIdsConfig
from cobrarec.data.interactions import Histories
from cobrarec.semantic_ids.sif import unit_rows

CONTEXT_POWER = 0.75
_PAIRS_PER_PART = 20_000_000  # transitions counted at once: about 500 MB


def transitions(histories: Histories, distance: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """All pairs (item, the item `distance` places later in the same history), as two arrays of rows."""
    lengths = (histories.ends - histories.starts).astype(np.int64)
    num_pairs = np.maximum(lengths - distance, 0)
    within = np.arange(num_pairs.sum()) - np.repeat(np.cumsum(num_pairs) - num_pairs, num_pairs)
    places = np.repeat(histories.starts.astype(np.int64), num_pairs) + within
    return histories.rows[places].astype(np.int64), histories.rows[places + distance].astype(np.int64)


def transition_counts(train: Histories, num_items: int, distance: int) -> sparse.csr_array:
    """How often each item stood `distance` places after each other one, `[num_items, num_items]`."""
    total = sparse.csr_array((num_items, num_items))
    ends = np.cumsum(train.lengths)
    cuts = np.searchsorted(ends, np.arange(_PAIRS_PER_PART, train.num_interactions, _PAIRS_PER_PART))
    edges = np.unique(np.concatenate([[0], cuts, [train.num_users]]))
    for start, stop in itertools.pairwise(edges):
        pairs = transitions(train.select(np.arange(start, stop)), distance)
        total = total + sparse.csr_array((np.ones(len(pairs[0])), pairs), shape=(num_items, num_items))
    return total


def cooccurrences(train: Histories, num_items: int, window: int) -> sparse.csr_array:
    """Symmetric counts `[num_items, num_items]` of two different items at most `window` places apart in a history."""
    counts = sparse.csr_array((num_items, num_items))
    for distance in range(1, window + 1):
        counts = counts + transition_counts(train, num_items, distance)
    counts = counts + counts.T
    counts = sparse.csr_array(counts - sparse.diags_array(counts.diagonal()))
    counts.eliminate_zeros()
    return counts


def positive_pmi(counts: sparse.csr_array) -> sparse.csr_array:
    """`max(0, log(p(i, j) / (p(i) q(j))))` where `counts` is above zero; q(j) is proportional to the context's count to the power .75."""
    totals = np.asarray(counts.sum(axis=1)).ravel()
    contexts = np.asarray(counts.sum(axis=0)).ravel() ** CONTEXT_POWER
    pairs = counts.tocoo()
    expected = totals[pairs.row] * contexts[pairs.col] / contexts.sum() if pairs.nnz else np.ones(0)
    values = np.maximum(np.log(pairs.data / expected), 0)
    result = sparse.csr_array((values, (pairs.row, pairs.col)), shape=counts.shape)
    result.eliminate_zeros()
    return result


def collaborative_embeddings(
    train: Histories, num_items: int, config: SemanticIdsConfig, seed: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Unit-length rows `[num_items, dim]`, and which items have one; the others' rows are zeros.

    dim is `collaborative_dim`, or less where fewer items have transitions.
    """
    from sklearn.utils.extmath import randomized_svd

    matrix = positive_pmi(cooccurrences(train, num_items, config.collaborative_window))
    dim = max(1, min(config.collaborative_dim, int((np.diff(matrix.indptr) > 0).sum())))
    if matrix.nnz == 0:
        return np.zeros((num_items, dim), np.float32), np.zeros(num_items, np.bool_)
    left, values, _ = randomized_svd(matrix, dim, n_iter=7, random_state=seed)
    vectors = left * np.sqrt(values)
    has = np.linalg.norm(vectors, axis=1) > 1e-6 * np.sqrt(values[0])
    return unit_rows(np.where(has[:, None], vectors, 0).astype(np.float32)), has
