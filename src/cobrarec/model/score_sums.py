"""Log of summed exponentials of scores `item . query + bias`, over many items, without keeping more scores than fit.

A step of 1,024 targets over 60,000 items has 61 million scores, 245 MB, several times over in a plain implementation. Here the
scores of few targets at a time, as many as stay in the processor's cache, are computed and summed. Their exponentials are kept for
the way back where they are few, else they are computed again: d log(sum_i exp s_i) / d s_i = exp(s_i) / sum.
"""

from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

BLOCK_SCORES = 1 << 20
"""Scores computed at a time on a CPU, about what its cache holds."""
GPU_BLOCK_SCORES = 1 << 28
"""Scores computed at a time on a GPU, where a block is a few launches whatever its size: 1 GB."""
LEAST_QUERIES = 64
"""Queries per block at least, however many the items: matrix products of fewer columns are slow."""
KEPT_SCORES = 1 << 26
"""Exponentials kept for the way back, if there are no more: 256 MB."""
SAFE_RANGE = 80.0
"""exp(-80) is far from the smallest float: scores that lie closer together need no maximum per target."""
SMALLEST = 1e-37
"""Sums smaller than this, beside the largest term of the same target, count as this: their log is 85 below."""


def prefix_log_sums(
    items: Float[Tensor, "places dim"],
    queries: Float[Tensor, "targets dim"],
    bias: Float[Tensor, " places"],
    prefix_of_place: Int[Tensor, " places"],
    parents: tuple[Int[Tensor, " _prefixes"], ...],
) -> tuple[Float[Tensor, "_prefixes targets"], ...]:
    """Log-sum-exp of the scores of the items below every prefix of every level, in one scan.

    Args:
        items: vectors, in the order of `prefix_of_place`.
        queries: queries, their scale included.
        bias: added to each item's scores.
        prefix_of_place: lowest prefix above each item; every prefix has at least one.
        parents: for each level, from the lowest up, the prefix above each prefix; the last one's parents are all 0 (the root).

    Returns: one array a level, from the lowest up to the root (one row).
    """
    tables = (prefix_of_place, *parents)
    return _PrefixLogSums.apply(items, queries, bias, tables)  # type: ignore[no-untyped-call]


def bucket_log_sums(
    items: Float[Tensor, "places dim"],
    queries: Float[Tensor, "targets dim"],
    bias: Float[Tensor, " places"],
    offsets: Int[Tensor, " ids_and_one"],
    bucket: Int[Tensor, " targets"],
) -> Float[Tensor, " targets"]:
    """Log-sum-exp of each query's scores over the items of its own bucket.

    Args:
        items: vectors, bucket after bucket.
        queries: queries, their scale included.
        bias: added to each item's scores.
        offsets: bucket b is `items[offsets[b]:offsets[b + 1]]`.
        bucket: the bucket of each query.
    """
    order = torch.argsort(bucket, stable=True)
    present, counts = torch.unique_consecutive(bucket[order], return_counts=True)
    query_ends = torch.cumsum(counts, 0).tolist()
    blocks = zip(offsets[present].tolist(), offsets[present + 1].tolist(), [0, *query_ends][: len(query_ends)], query_ends, strict=True)
    cut = [piece for block in blocks for piece in _cut(*block)]
    sums = _BucketLogSums.apply(items, queries[order], bias, cut)  # type: ignore[no-untyped-call]
    return torch.empty_like(sums).index_copy(0, order, sums)


def masked_log_sums(
    items: Float[Tensor, "places dim"],
    queries: Float[Tensor, "targets dim"],
    bias: Float[Tensor, " places"],
    offsets: Int[Tensor, " ids_and_one"],
    bucket: Int[Tensor, " targets"],
) -> Float[Tensor, " targets"]:
    """`bucket_log_sums` by scoring all items and hiding those of other buckets.

    Many times the arithmetic and the memory, but in a handful of launches instead of some for each bucket, which is what a step on a GPU
    waits for; for at most `GPU_BLOCK_SCORES` scores.
    """
    place = torch.arange(len(items), device=items.device)[:, None]
    hidden = (place < offsets[bucket]) | (place >= offsets[bucket + 1])
    return _scores(items, queries, bias).masked_fill(hidden, -torch.inf).logsumexp(0)


def _cut(first: int, last: int, query_first: int, query_last: int) -> list[tuple[int, int, int, int]]:
    """One bucket's block, cut along its queries into blocks of at most BLOCK_SCORES scores."""
    step = max(16, BLOCK_SCORES // max(1, last - first))
    edges = [*range(query_first, query_last, step), query_last]
    return [(first, last, a, b) for a, b in pairwise(edges)]


def _scores(items: Tensor, queries: Tensor, bias: Tensor) -> Tensor:
    return torch.addmm(bias[:, None], items, queries.t())


class _PrefixLogSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, items: Tensor, queries: Tensor, bias: Tensor, tables: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The log-sums of every level; `tables`: above each item its lowest prefix, above each prefix the next one."""
        ctx.set_materialize_grads(False)
        sizes = [len(parents) for parents in tables[1:]] + [1]
        sums = [items.new_empty(size, len(queries)) for size in sizes]
        shift, bound = items.new_empty(len(queries)), _bound(items, queries, bias)
        ctx.kept = {}
        for a, b in _blocks(items, len(queries)):
            part = _scores(items, queries[a:b], bias if bound is None else bias - bound)
            shift[a:b] = part.amax(0) if bound is None else bound
            part = (part.sub_(shift[a:b]) if bound is None else part).exp_()
            if len(items) * len(queries) <= KEPT_SCORES and any(ctx.needs_input_grad):
                ctx.kept[a] = part
            for level, table in enumerate(tables):
                part = part.new_zeros(sizes[level], b - a).index_add_(0, table, part)
                sums[level][:, a:b] = part
        sums = [s.clamp_min_(SMALLEST) for s in sums]
        ctx.tables = tables
        ctx.save_for_backward(items, queries, bias, shift, *sums)
        return tuple(s.log().add_(shift) for s in sums)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of items, queries and biases; each item weighs by its share of every sum above it."""
        items, queries, bias, shift, *sums = ctx.saved_tensors
        item_grad, query_grad, bias_grad = torch.zeros_like(items), torch.empty_like(queries), torch.zeros_like(bias)
        for a, b in _blocks(items, len(queries)):
            weight = items.new_zeros(1, b - a)
            for level in reversed(range(len(sums))):
                if level + 1 < len(sums):
                    weight = weight.index_select(0, ctx.tables[level + 1])
                gradient = gradients[level]
                if gradient is not None:
                    weight = weight.addcdiv(gradient[:, a:b], sums[level][:, a:b])
            part = ctx.kept.pop(a, None)
            part = _scores(items, queries[a:b], bias).sub_(shift[a:b]).exp_() if part is None else part
            part.mul_(weight.index_select(0, ctx.tables[0]))
            if ctx.needs_input_grad[0]:
                item_grad.addmm_(part, queries[a:b])
            bias_grad.add_(part.sum(1))
            torch.mm(part.t(), items, out=query_grad[a:b])
        return item_grad, query_grad, bias_grad, None


def _bound(items: Tensor, queries: Tensor, bias: Tensor) -> Tensor | None:
    """No score lies above this, and none below it by more than SAFE_RANGE; None where that cannot be said."""
    if items.is_cuda:  # to know would be to wait for the GPU
        return None
    finite = bias[bias.isfinite()]
    if not len(queries) or not len(finite):
        return None
    largest = items.norm(dim=1).max() * queries.norm(dim=1).max()  # of |item . query| (Cauchy and Schwarz)
    bound = largest + finite.max()
    return bound if bool(bound + largest - finite.min() < SAFE_RANGE) else None


def _blocks(items: Tensor, num_queries: int) -> list[tuple[int, int]]:
    scores = GPU_BLOCK_SCORES if items.is_cuda else BLOCK_SCORES
    step = max(LEAST_QUERIES, scores // max(1, len(items)))
    return list(pairwise([*range(0, num_queries, step), num_queries]))


class _BucketLogSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, items: Tensor, queries: Tensor, bias: Tensor, blocks: list[tuple[int, int, int, int]]) -> Tensor:
        """One log-sum per query; `blocks`: first and last item, first and last query."""
        sums = items.new_empty(len(queries))
        for first, last, a, b in blocks:
            sums[a:b] = _scores(items[first:last], queries[a:b], bias[first:last]).logsumexp(0)
        ctx.blocks = blocks
        ctx.save_for_backward(items, queries, bias, sums)
        return sums

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of items, queries and biases."""
        items, queries, bias, sums = ctx.saved_tensors
        item_grad, query_grad, bias_grad = torch.zeros_like(items), torch.empty_like(queries), torch.zeros_like(bias)
        for first, last, a, b in ctx.blocks:
            part = _scores(items[first:last], queries[a:b], bias[first:last]).sub_(sums[a:b]).exp_().mul_(gradient[a:b])
            item_grad[first:last].addmm_(part, queries[a:b])
            bias_grad[first:last].add_(part.sum(1))
            torch.mm(part.t(), items[first:last], out=query_grad[a:b])
        return item_grad, query_grad, bias_grad, None
