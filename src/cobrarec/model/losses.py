"""The losses: sparse (eq. 7), dense (eq. 8), direct, and their weighted sum (eq. 9). Each is a mean over targets.

Padding never counts, because `CobraOutput` holds targets and nothing else. Copies of a target are never its negatives, because
every item is encoded once and the target's own column is set apart.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from cobrarec.config import LossConfig
from cobrarec.model.batch import Batch
from cobrarec.model.cobra_output import CobraOutput
from cobrarec.model.score_sums import GPU_BLOCK_SCORES, bucket_log_sums, masked_log_sums, prefix_log_sums


def cobra_loss(
    output: CobraOutput, batch: Batch, config: LossConfig, item_share: Float[Tensor, " num_items"] | None = None
) -> dict[str, Float[Tensor, ""]]:
    """All losses of a step: `loss` (eq. 9 and the direct one), `sparse`, `dense`, `direct`; without those the model has no part for.

    Args:
        output: what the model predicts for the targets of `batch`.
        batch: the batch that `output` was made from.
        config: weights and negatives.
        item_share: each item's share of the training interactions; needed for `logq_correction`, and to correct sums over a catalog that
            is not encoded as a whole.
    """
    losses = {}
    if output.sparse_logits:
        losses["sparse"] = sparse_loss(output)
    if output.dense_query is not None:
        losses["dense"] = dense_loss(output, batch, config, item_share)
    if output.direct_query is not None:
        losses["direct"] = direct_loss(output, batch, config, item_share)
    weights = {"sparse": config.sparse_weight, "dense": config.dense_weight, "direct": config.direct_weight}
    total = output.encoded.new_zeros(())
    for name, value in losses.items():
        total = total + weights[name] * value
    return {"loss": total, **losses}


def sparse_loss(output: CobraOutput) -> Float[Tensor, ""]:
    """Cross-entropy of the target's codes, summed over levels (eq. 7)."""
    codes = output.tables.codes[output.target_rows]
    total = output.encoded.new_zeros(())
    for level, logits in enumerate(output.sparse_logits):
        total = total + F.cross_entropy(logits, codes[:, level])
    return total


def dense_loss(
    output: CobraOutput, batch: Batch, config: LossConfig, item_share: Float[Tensor, " num_items"] | None = None
) -> Float[Tensor, ""]:
    """Softmax loss of the dense query (eq. 8), with temperature and biases, over the negatives that `config` names.

    `bucket`: the items of the target's ID; those of them that are encoded, where the catalog is not, corrected for how often that is.
    """
    assert output.dense_query is not None
    query = output.dense_query * output.dense_scale
    positive = positive_logits(output, query, output.dense_bias)
    kind = config.dense_negatives
    if kind == "bucket" and _is_whole(output):
        return (_bucket_log_sum(output, query) - positive).mean()
    if kind == "catalog":
        return (catalog_log_sum(output, query, output.dense_bias) - positive).mean()
    if kind == "bucket":
        ids, places = output.tables.id_of_row, torch.arange(len(output.encoded_rows), device=query.device)
        allowed = ids[output.target_rows][:, None] == ids[output.encoded_rows]
        log_expected = _log_expected(output, batch, places, item_share, len(batch.drawn), config.num_sampled)
        return subset_loss(output, query, output.dense_bias, places, allowed, log_expected)
    places, correction = _candidates(output, batch, kind == "sampled", config.logq_correction, item_share)
    return subset_loss(output, query, output.dense_bias, places, None, correction)


def direct_loss(
    output: CobraOutput, batch: Batch, config: LossConfig, item_share: Float[Tensor, " num_items"] | None = None
) -> Float[Tensor, ""]:
    """Softmax loss of the direct query over the negatives that `config` names.

    `auto` is a softmax over the catalog, estimated from the items that are encoded, where it is not all of it.
    """
    assert output.direct_query is not None
    query = output.direct_query * output.direct_scale
    kind = config.direct_negatives
    if kind == "catalog" or (kind == "auto" and _is_whole(output)):
        log_sum = output.direct_log_sum
        log_sum = catalog_log_sum(output, query, output.direct_bias) if log_sum is None else log_sum
        return (log_sum - positive_logits(output, query, output.direct_bias)).mean()
    places, correction = _candidates(output, batch, kind != "batch", kind == "auto" or config.logq_correction, item_share)
    return subset_loss(output, query, output.direct_bias, places, None, correction)


def _bucket_log_sum(output: CobraOutput, query: Float[Tensor, "targets dim"]) -> Float[Tensor, " targets"]:
    """Log-sum-exp of each dense query's logits over the items of its target's ID."""
    tables, items = output.tables, output.encoded_by_bucket
    assert items is not None, "sums over whole buckets need the whole catalog"
    bucket = tables.id_of_row[output.target_rows]
    if items.is_cuda and len(items) * len(query) <= GPU_BLOCK_SCORES:
        return masked_log_sums(items, query, output.dense_bias.index_select(0, tables.bucket_rows), tables.bucket_offsets, bucket)
    # a target alone in its bucket needs no scan: fine IDs have thousands of such buckets
    alone = (tables.bucket_offsets[bucket + 1] - tables.bucket_offsets[bucket] == 1).nonzero().squeeze(1)
    others = (tables.bucket_offsets[bucket + 1] - tables.bucket_offsets[bucket] > 1).nonzero().squeeze(1)
    bias = output.dense_bias.index_select(0, tables.bucket_rows)
    scanned = bucket_log_sums(items, query.index_select(0, others), bias, tables.bucket_offsets, bucket[others])
    place = tables.bucket_offsets[bucket[alone]]
    own = (query.index_select(0, alone) * items.index_select(0, place)).sum(1) + bias.index_select(0, place)
    return torch.cat([scanned, own]).index_select(0, torch.argsort(torch.cat([others, alone])))


def positive_logits(
    output: CobraOutput, query: Float[Tensor, "targets dim"], bias: Float[Tensor, " num_encoded"]
) -> Float[Tensor, " targets"]:
    """Each query's logit with its own target; `query` includes its scale."""
    return (query * output.target_vectors).sum(1) + bias.index_select(0, output.target_index)


def catalog_log_sum(
    output: CobraOutput, query: Float[Tensor, "targets dim"], bias: Float[Tensor, " num_encoded"]
) -> Float[Tensor, " targets"]:
    """Log-sum-exp of each query's logits over the whole catalog."""
    root = torch.zeros(len(output.encoded), dtype=torch.int64, device=query.device)
    return prefix_log_sums(output.encoded, query, bias, root, ())[0].squeeze(0)


def subset_loss(
    output: CobraOutput,
    query: Float[Tensor, "targets dim"],
    bias: Float[Tensor, " num_encoded"],
    places: Int[Tensor, " candidates"],
    allowed: Bool[Tensor, "targets candidates"] | None,
    correction: Float[Tensor, " candidates"] | None,
) -> Float[Tensor, ""]:
    """Softmax loss over the target and the `candidates` that are `allowed` (None: all) and are not the target itself.

    Args:
        output: where the vectors are.
        query: queries, their scale included.
        bias: item biases.
        places: distinct places in `encoded_rows`.
        allowed: which candidates may be which target's negatives.
        correction: subtracted from the candidates' logits.
    """
    logits = torch.addmm(bias.index_select(0, places), query, output.encoded.index_select(0, places).t())
    if correction is not None:
        logits = logits - correction
    hidden = places == output.target_index[:, None]
    hidden = hidden if allowed is None else hidden | ~allowed
    positive = positive_logits(output, query, bias)
    everything = torch.cat([positive[:, None], logits.masked_fill(hidden, -torch.inf)], 1)
    return (everything.logsumexp(1) - positive).mean()


def _is_whole(output: CobraOutput) -> bool:
    return output.encoded_by_bucket is not None


def _candidates(
    output: CobraOutput, batch: Batch, with_drawn: bool, logq: bool, item_share: Tensor | None
) -> tuple[Int[Tensor, " candidates"], Float[Tensor, " candidates"] | None]:
    """Places of the batch's items (and of those drawn from the catalog), and the log of how often they are expected to be there."""
    real = batch.index[batch.mask]
    places = torch.unique(torch.cat([real, batch.drawn]) if with_drawn else real)
    if not logq:
        return places, None
    return places, _log_expected(output, batch, places, item_share, len(batch.drawn) if with_drawn else 0)


def _log_expected(
    output: CobraOutput,
    batch: Batch,
    places: Int[Tensor, " candidates"],
    item_share: Float[Tensor, " num_items"] | None,
    num_uniform: int,
    num_in_bucket: int = 0,
) -> Float[Tensor, " candidates"]:
    """Log of how often a batch is expected to hold each item, at most once: its own, drawn from the catalog, or from a target's bucket."""
    if item_share is None:
        raise ValueError("Sampled negatives are corrected by item_share, the items' shares of the training interactions; give them.")
    rows, tables = output.encoded_rows[places], output.tables
    expected = item_share[rows] * int(batch.mask.sum()) + num_uniform / tables.num_items
    if num_in_bucket:
        share = torch.zeros(tables.num_ids, device=rows.device).index_add_(0, tables.id_of_row, item_share)
        expected = expected + num_in_bucket * (share / tables.bucket_offsets.diff())[tables.id_of_row[rows]]
    return expected.clamp(1e-9, 1.0).log()
