import numpy as np
import pytest
import torch
from small_models import semantic_ids

from cobrarec.model.id_tables import IdTables
from cobrarec.model.item_evidence import CentroidEvidence, cluster_moments, cluster_of_places, evidence_logits, exact_log_sums
from cobrarec.semantic_ids.semantic_ids import SemanticIds


def _items(num_items, dim=6, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.nn.functional.normalize(torch.randn(num_items, dim, generator=g), dim=1), 0.3 * torch.randn(num_items, generator=g)


def _queries(num=7, dim=6, scale=14.0):
    return scale * torch.nn.functional.normalize(torch.randn(num, dim, generator=torch.Generator().manual_seed(9)), dim=1)


def _brute_force(ids, unit, queries, bias, level):
    scores = queries @ unit.t() + bias
    prefix = torch.from_numpy(ids.prefix_of_id(level)[ids.id_of_row])
    return torch.stack([scores[:, prefix == p].logsumexp(1) for p in range(ids.num_prefixes[level])], 1)


@pytest.mark.parametrize("num_levels", [1, 2, 3, 4])
def test_exact_evidence_equals_brute_force(num_levels):
    ids = semantic_ids(num_levels)
    unit, bias = _items(ids.num_items)
    for level, sums in enumerate(exact_log_sums(IdTables(ids), unit[ids.bucket_rows], _queries(), bias)):
        assert torch.allclose(sums, _brute_force(ids, unit, _queries(), bias, level), atol=1e-4)


def test_children_without_items_get_no_evidence_and_give_no_gradient():
    sums, gain = torch.tensor([[1.0, 2.0]], requires_grad=True), torch.tensor(0.0, requires_grad=True)
    logits = evidence_logits(sums, torch.tensor([[1, -1, 0]]), gain)
    assert logits.tolist() == [[0.0, 0.0, 0.0]]
    assert evidence_logits(sums, torch.tensor([[1, -1, 0]]), torch.tensor(2.0)).tolist() == [[4.0, 0.0, 2.0]]
    torch.nn.functional.cross_entropy(logits, torch.tensor([0])).backward()
    assert torch.isfinite(sums.grad).all()
    assert torch.isfinite(gain.grad)


@pytest.mark.parametrize("num_levels", [1, 2])
def test_buckets_of_no_more_items_than_centroids_are_exact(num_levels):
    codes = np.random.default_rng(0).permutation(np.repeat(np.arange(16), 3))
    codes = np.stack([codes // 4, codes % 4], 1) if num_levels == 2 else codes[:, None]
    ids = SemanticIds.from_codes(codes.astype(np.int32), 16)
    tables, (unit, bias) = IdTables(ids), _items(48)
    evidence = CentroidEvidence(tables, 6, 3, 1000)
    evidence.refresh(tables, unit, bias)
    for level, sums in enumerate(evidence.log_sums(tables, _queries())):
        assert torch.allclose(sums, _brute_force(ids, unit, _queries(), bias, level), atol=1e-4)


def test_centroids_come_close_to_the_exact_sums_and_closer_the_more_they_are():
    """64 items around the center of each ID in 32 dimensions, scale 14; the error is that of the log-sum, in nats."""
    g = torch.Generator().manual_seed(0)
    ids = SemanticIds.from_codes(np.repeat(np.arange(16), 64).astype(np.int32)[:, None], 16)
    centers = torch.randn(16, 32, generator=g).repeat_interleave(64, 0)
    unit = torch.nn.functional.normalize(centers + 0.5 * torch.randn(1024, 32, generator=g), dim=1)
    tables, bias, queries = IdTables(ids), 0.3 * torch.randn(1024, generator=g), _queries(200, 32)
    exact, errors = _brute_force(ids, unit, queries, bias, 1), []
    for num_centroids in (1, 4, 16, 64):
        evidence = CentroidEvidence(tables, 32, num_centroids, 10_000)
        evidence.refresh(tables, unit, bias)
        errors.append(float((evidence.log_sums(tables, queries)[1] - exact).abs().mean()))
    assert errors == sorted(errors, reverse=True)
    assert errors[0] < 0.1 * float(exact.std())
    assert errors[1] < 0.1
    assert errors[3] < 0.01


def test_before_any_refresh_items_count_the_same():
    ids = semantic_ids(1)
    tables = IdTables(ids)
    sums = CentroidEvidence(tables, 6, 4, 1000).log_sums(tables, _queries())[1]
    assert torch.allclose(sums, torch.from_numpy(np.log(np.diff(ids.bucket_offsets))).float().expand_as(sums), atol=1e-5)


def test_levels_with_too_many_prefixes_have_no_evidence():
    ids = semantic_ids(3)
    tables, (unit, bias) = IdTables(ids), _items(40)
    evidence = CentroidEvidence(tables, 6, 4, max_clusters=4 * ids.num_prefixes[2])
    evidence.refresh(tables, unit, bias)
    sums = evidence.log_sums(tables, _queries())
    assert [s is None for s in sums] == [False, False, False, True]
    assert sums[1].shape == (7, ids.num_prefixes[1])
    tiny = CentroidEvidence(tables, 6, 4, max_clusters=3)
    tiny.refresh(tables, unit, bias)
    assert [s is None for s in tiny.log_sums(tables, _queries())] == [False, True, True, True]


def test_clusters_lie_inside_their_prefix_and_use_all_centroids():
    ids = semantic_ids(1)
    tables, (unit, _) = IdTables(ids), _items(40)
    prefix = tables.prefix_of_places(1)
    clusters = cluster_of_places(unit[tables.bucket_rows], prefix, 3)
    assert torch.equal(clusters // 3, prefix)
    for number in range(ids.num_ids):
        in_prefix = clusters[prefix == number]
        assert len(in_prefix.unique()) == min(3, len(in_prefix)), f"ID {number} leaves centroids unused"
    assert torch.equal(clusters, cluster_of_places(unit[tables.bucket_rows], prefix, 3))


def test_moments_are_those_of_each_cluster():
    unit, bias = _items(20)
    clusters = torch.randint(3, (20,), generator=torch.Generator().manual_seed(0))
    found = cluster_moments(unit, bias, clusters, 4)
    assert found.log_count[3] == -torch.inf
    for k in range(3):
        own, own_bias = unit[clusters == k], bias[clusters == k]
        covariance = ((own - own.mean(0)) * (own_bias - own_bias.mean())[:, None]).mean(0)
        assert torch.allclose(found.mean[k], own.mean(0) + covariance, atol=1e-6)
        assert torch.allclose(found.half_variance[k], own.var(0, correction=0) / 2, atol=1e-6)
        assert torch.allclose(found.bias[k], own_bias.mean() + own_bias.var(correction=0) / 2, atol=1e-6)
        assert float(found.log_count[k].exp()) == pytest.approx(len(own))


def test_the_query_learns_through_the_centroids_and_the_items_do_not():
    ids = semantic_ids(1)
    tables, (unit, bias) = IdTables(ids), _items(40)
    evidence = CentroidEvidence(tables, 6, 2, 1000)
    evidence.refresh(tables, unit.requires_grad_(), bias)
    queries = _queries().requires_grad_()
    evidence.log_sums(tables, queries)[1].sum().backward()
    assert queries.grad.abs().sum() > 0
    assert unit.grad is None
