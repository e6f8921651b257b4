import torch

from cobrarec.model.item_vectors import ItemVectors


def _items():
    g = torch.Generator().manual_seed(0)
    return ItemVectors(torch.randn(7, 3, generator=g), torch.randn(7, generator=g), torch.randn(7, generator=g))


def test_unit_vectors_have_length_one():
    assert torch.allclose(_items().unit.norm(dim=1), torch.ones(7))


def test_logits_are_products_plus_biases_for_all_or_for_some_rows():
    items, query = _items(), torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(1))
    whole = items.logits(query, items.dense_bias, None)
    assert torch.allclose(whole[1, 2], items.unit @ query[1, 2] + items.dense_bias, atol=1e-6)
    rows = torch.randint(7, (2, 4, 5), generator=torch.Generator().manual_seed(2))
    assert torch.allclose(items.logits(query, items.dense_bias, rows), whole.gather(2, rows), atol=1e-6)


def test_arrays_hold_everything():
    items = _items()
    again = ItemVectors.from_arrays(items.arrays()).to("cpu")
    assert all(torch.equal(a, again.arrays()[name]) for name, a in items.arrays().items())
