import pytest
import torch
from small_models import semantic_ids

from cobrarec.model import score_sums
from cobrarec.model.score_sums import bucket_log_sums, masked_log_sums, prefix_log_sums


def _case(num_items, num_targets, spread, seed=0):
    g = torch.Generator().manual_seed(seed)
    items, queries = torch.randn(num_items, 5, generator=g), spread * torch.randn(num_targets, 5, generator=g)
    bias = torch.randn(num_items, generator=g)
    return [t.double().requires_grad_() for t in (items, queries, bias)]


def _gradients(value, inputs, seed=3):
    weights = torch.randn(value.shape, generator=torch.Generator().manual_seed(seed)).double()
    return torch.autograd.grad((value * weights).sum(), inputs, retain_graph=True)


@pytest.mark.parametrize("spread", [1.0, 60.0])
@pytest.mark.parametrize("kept", [0, 1 << 20])
@pytest.mark.parametrize("num_levels", [0, 1, 2, 3])
def test_prefix_log_sums_equal_logsumexp_over_the_items_below(monkeypatch, num_levels, kept, spread):
    monkeypatch.setattr(score_sums, "BLOCK_SCORES", 200)
    monkeypatch.setattr(score_sums, "LEAST_QUERIES", 4)
    monkeypatch.setattr(score_sums, "KEPT_SCORES", kept)
    ids = semantic_ids(num_levels)
    items, queries, bias = inputs = _case(ids.num_items, 37, spread)
    prefix = [torch.from_numpy(ids.prefix_of_id(level)[ids.id_of_row[ids.bucket_rows]]) for level in range(num_levels + 1)]
    parents = tuple(torch.from_numpy(ids.parent[level]) for level in reversed(range(num_levels)))
    sums = prefix_log_sums(items, queries, bias, prefix[-1], parents)
    assert len(sums) == num_levels + 1
    scores = items @ queries.t() + bias[:, None]
    for level, found in zip(reversed(range(num_levels + 1)), sums, strict=True):
        slow = torch.stack([scores[prefix[level] == p].logsumexp(0) for p in range(ids.num_prefixes[level])])
        near = slow.detach() > slow.detach().amax(0) - 75  # further below the largest, sums count as exp(-85)
        assert torch.allclose(found[near], slow[near], atol=1e-9)
        for fast, plain in zip(_gradients(found * near, inputs), _gradients(slow * near, inputs), strict=True):
            assert torch.allclose(fast, plain, atol=1e-8)


def test_gradients_of_several_levels_add_up():
    ids = semantic_ids(2)
    inputs = _case(ids.num_items, 5, 1.0)
    parents = tuple(torch.from_numpy(ids.parent[level]) for level in (1, 0))
    prefix = torch.from_numpy(ids.id_of_row[ids.bucket_rows])
    together = _gradients(torch.cat(prefix_log_sums(*inputs, prefix, parents)), inputs)
    scores = inputs[0] @ inputs[1].t() + inputs[2][:, None]
    levels = [torch.from_numpy(ids.prefix_of_id(level)[ids.id_of_row[ids.bucket_rows]]) for level in (2, 1, 0)]
    slow = torch.cat([torch.stack([scores[p == i].logsumexp(0) for i in range(int(p.max()) + 1)]) for p in levels])
    for fast, plain in zip(together, _gradients(slow, inputs), strict=True):
        assert torch.allclose(fast, plain, atol=1e-9)


def test_sums_far_below_the_largest_stay_finite_and_give_no_nan():
    items = torch.tensor([[1.0], [-1.0]], requires_grad=True)
    queries = torch.tensor([[500.0]], requires_grad=True)
    low, root = prefix_log_sums(items, queries, torch.zeros(2), torch.tensor([0, 1]), (torch.tensor([0, 0]),))
    assert torch.isfinite(low).all()
    assert float(root.detach()) == pytest.approx(500)
    (low.sum() + root.sum()).backward()
    assert torch.isfinite(items.grad).all()
    assert torch.isfinite(queries.grad).all()


@pytest.mark.parametrize("block", [40, 1 << 20])
def test_bucket_log_sums_equal_logsumexp_over_the_own_bucket(monkeypatch, block):
    monkeypatch.setattr(score_sums, "BLOCK_SCORES", block)
    ids = semantic_ids(2)
    items, queries, bias = inputs = _case(ids.num_items, 60, 3.0)
    bucket = torch.randint(ids.num_ids, (60,), generator=torch.Generator().manual_seed(5))
    found = bucket_log_sums(items, queries, bias, torch.from_numpy(ids.bucket_offsets), bucket)
    scores = queries @ items.t() + bias
    a, b = ids.bucket_offsets[:-1], ids.bucket_offsets[1:]
    slow = torch.stack([scores[t, a[i] : b[i]].logsumexp(0) for t, i in enumerate(bucket.tolist())])
    assert torch.allclose(found, slow, atol=1e-9)
    for fast, plain in zip(_gradients(found, inputs), _gradients(slow, inputs), strict=True):
        assert torch.allclose(fast, plain, atol=1e-9)


def test_masked_log_sums_equal_those_bucket_by_bucket():
    ids = semantic_ids(2)
    items, queries, bias = inputs = _case(ids.num_items, 60, 3.0)
    bucket = torch.randint(ids.num_ids, (60,), generator=torch.Generator().manual_seed(5))
    offsets = torch.from_numpy(ids.bucket_offsets)
    masked, blocks = masked_log_sums(items, queries, bias, offsets, bucket), bucket_log_sums(items, queries, bias, offsets, bucket)
    assert torch.allclose(masked, blocks, atol=1e-9)
    for one, other in zip(_gradients(masked, inputs), _gradients(blocks, inputs), strict=True):
        assert torch.allclose(one, other, atol=1e-9)


def test_no_targets_give_empty_sums():
    items, queries, bias = _case(6, 0, 1.0)
    assert prefix_log_sums(items, queries, bias, torch.zeros(6, dtype=torch.long), ())[0].shape == (1, 0)
    assert bucket_log_sums(items, queries, bias, torch.tensor([0, 6]), torch.zeros(0, dtype=torch.long)).shape == (0,)
