"""Evidence for codes: the log of the summed direct scores of the items below each prefix, exact or from a few centroids per prefix.

Exact: L(p) = log sum over items a below p of exp(s q.v_a + b_a), with the scale s, in one scan of the catalog.
From centroids: each prefix's items are split into a few clusters; a cluster of n items stands for
log n + s q.mean(v) + mean(b) + (1/2) Var(s q.v + b), which is exact to second order where v is uncorrelated between its coordinates
(the covariance is kept as its diagonal, that between v and b whole). Clusters of one item are exact.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from cobrarec.model.id_tables import IdTables
from cobrarec.model.score_sums import prefix_log_sums

NUM_ROUNDS = 5
"""Rounds of k-means inside each prefix."""
PLACES_AT_ONCE = 1 << 16


def exact_log_sums(
    tables: IdTables, by_bucket: Float[Tensor, "num_listed dim"], queries: Float[Tensor, "targets dim"], bias: Float[Tensor, " num_items"]
) -> tuple[Float[Tensor, "targets _prefixes"], ...]:
    """The log-sums below all prefixes of level 0 (the whole catalog), 1, ..., num_levels.

    Args:
        tables: the IDs.
        by_bucket: unit vectors in the order of `tables.bucket_rows`.
        queries: direct queries, their scale included.
        bias: item biases in row order.
    """
    parents = tuple(tables.parent(level) for level in reversed(range(tables.num_levels)))
    sums = prefix_log_sums(by_bucket, queries, bias.index_select(0, tables.bucket_rows), tables.id_of_place, parents)
    return tuple(s.t() for s in reversed(sums))


def evidence_logits(
    log_sums: Float[Tensor, "batch prefixes"], child: Int[Tensor, "batch choices"], gain: Float[Tensor, ""]
) -> Float[Tensor, "batch choices"]:
    """gain * log-sum of each child prefix; 0 where there is none: beam search removes what no item has, without renormalizing."""
    return (gain * log_sums.gather(1, child.clamp(min=0))).masked_fill(child < 0, 0.0)


@dataclass(frozen=True)
class Clusters:
    """Moments of clusters of items; empty clusters have log_count -inf."""

    log_count: Float[Tensor, " clusters"]
    mean: Float[Tensor, "clusters dim"]
    """Mean of the vectors plus their covariance with the bias: what multiplies s q."""
    half_variance: Float[Tensor, "clusters dim"]
    """What multiplies (s q)^2."""
    bias: Float[Tensor, " clusters"]
    """Mean of the biases plus half their variance."""


class CentroidEvidence(nn.Module):
    """Clusters below the prefixes of one level, the lowest level that has no more clusters than `max_clusters`."""

    def __init__(self, tables: IdTables, dim: int, num_centroids: int, max_clusters: int) -> None:
        super().__init__()
        self.dim, self.num_centroids, self.max_clusters = dim, num_centroids, max_clusters
        self.level = 0
        self.reset(tables)

    def reset(self, tables: IdTables) -> None:
        """Make room for the prefixes of `tables`. Until `refresh`, every item counts the same, whatever the query."""
        affordable = [n * self.num_centroids <= self.max_clusters for n in tables.num_prefixes]
        self.level = max((level for level, fits in enumerate(affordable) if fits), default=0)
        size = tables.num_prefixes[self.level] * self.num_centroids
        counts = torch.bincount(tables.prefix_of_places(self.level), minlength=tables.num_prefixes[self.level])
        log_count = torch.full((size,), -torch.inf, device=counts.device)
        log_count[:: self.num_centroids] = counts.float().log()
        self.register_buffer("log_count", log_count)
        self.register_buffer("mean", torch.zeros(size, self.dim, device=counts.device))
        self.register_buffer("half_variance", torch.zeros(size, self.dim, device=counts.device))
        self.register_buffer("bias", torch.zeros(size, device=counts.device))

    @torch.no_grad()
    def refresh(self, tables: IdTables, unit: Float[Tensor, "num_items dim"], bias: Float[Tensor, " num_items"]) -> None:
        """Recompute the clusters from the items' unit vectors and biases."""
        places = unit[tables.bucket_rows]
        prefix = tables.prefix_of_places(self.level)
        clusters = cluster_of_places(places, prefix, self.num_centroids)
        moments = cluster_moments(places, bias[tables.bucket_rows], clusters, len(self.get_buffer("log_count")))
        for name in ("log_count", "mean", "half_variance", "bias"):
            self.get_buffer(name).copy_(getattr(moments, name))

    def log_sums(self, tables: IdTables, queries: Float[Tensor, "targets dim"]) -> tuple[Float[Tensor, "targets _prefixes"] | None, ...]:
        """The approximate log-sums below all prefixes of levels 0, 1, ..., num_levels; None below the level of the clusters."""
        features = torch.cat([self.get_buffer("mean"), self.get_buffer("half_variance")], 1)
        prefix = torch.arange(tables.num_prefixes[self.level], device=queries.device).repeat_interleave(self.num_centroids)
        parents = tuple(tables.parent(level) for level in reversed(range(self.level)))
        constant = self.get_buffer("log_count") + self.get_buffer("bias")
        sums = prefix_log_sums(features, torch.cat([queries, queries**2], 1), constant, prefix, parents)
        return tuple(s.t() for s in reversed(sums)) + (None,) * (tables.num_levels - self.level)


def cluster_of_places(
    places: Float[Tensor, "num_items dim"], prefix: Int[Tensor, " num_items"], num_centroids: int
) -> Int[Tensor, " num_items"]:
    """K-means inside each prefix, all prefixes at once: cluster prefix * num_centroids + k of each item.

    Starts from equal shares along the first coordinate that varies most over the catalog; the same input gives the same clusters.

    Args:
        places: vectors, prefix after prefix.
        prefix: ascending.
        num_centroids: clusters per prefix; prefixes with fewer items leave some empty.
    """
    axis = int(places.var(0, correction=0).argmax())
    order = torch.argsort(places[:, axis], stable=True)
    order = order[torch.argsort(prefix[order], stable=True)]
    counts = torch.bincount(prefix)
    first = counts.cumsum(0) - counts
    rank = torch.empty_like(prefix).index_copy(0, order, torch.arange(len(prefix), device=prefix.device) - first[prefix])
    clusters = prefix * num_centroids + rank * num_centroids // counts[prefix]
    own = prefix[:, None] * num_centroids + torch.arange(num_centroids, device=prefix.device)
    for _ in range(NUM_ROUNDS):
        size = torch.bincount(clusters, minlength=len(counts) * num_centroids)
        mean = places.new_zeros(len(size), places.shape[1]).index_add_(0, clusters, places) / size[:, None].clamp(min=1)
        penalty = (mean**2).sum(1).masked_fill(size == 0, torch.inf)
        parts = []
        for a, b in pairwise([*range(0, len(places), PLACES_AT_ONCE), len(places)]):
            distance = penalty[own[a:b]] - 2 * (mean[own[a:b]] @ places[a:b, :, None]).squeeze(-1)
            parts.append(own[a:b].gather(1, distance.argmin(1, keepdim=True)).squeeze(1))
        clusters = torch.cat(parts)
    return clusters


def cluster_moments(
    places: Float[Tensor, "num_items dim"], bias: Float[Tensor, " num_items"], clusters: Int[Tensor, " num_items"], num_clusters: int
) -> Clusters:
    """Count, mean and (co)variances of the items of each cluster."""
    count = torch.bincount(clusters, minlength=num_clusters).to(places.dtype)
    per_item = 1 / count[clusters]

    def mean_of(values: Tensor) -> Tensor:
        total = values.new_zeros(num_clusters, *values.shape[1:])
        return total.index_add_(0, clusters, values * per_item.reshape(-1, *[1] * (values.dim() - 1)))

    mean, mean_bias = mean_of(places), mean_of(bias)
    apart, apart_bias = places - mean[clusters], bias - mean_bias[clusters]
    covariance = mean_of(apart * apart_bias[:, None])
    return Clusters(count.log(), mean + covariance, mean_of(apart**2) / 2, mean_bias + mean_of(apart_bias**2) / 2)
