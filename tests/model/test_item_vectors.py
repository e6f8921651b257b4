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


def test_a_level_is_added_to_both_biases_of_some_items_and_nothing_is_copied():
    items, some = _items(), torch.tensor([True, False, False, True, False, False, False])
    raised = items.with_level(some, 2.5)
    assert raised.vectors is items.vectors
    assert raised.unit is items.unit
    for name in ("dense_bias", "direct_bias"):
        added = getattr(raised, name) - getattr(items, name)
        assert torch.allclose(added, torch.where(some, 2.5, 0.0))
        assert torch.equal(getattr(raised, name)[~some], getattr(items, name)[~some])


def test_vectors_in_order_are_kept_once_for_all_biases():
    items, rows = _items(), torch.tensor([3, 1, 2])
    raised = items.with_level(torch.ones(7, dtype=torch.bool), 1.0)
    masked = raised.listed_only(torch.tensor([True, False, True, True, True, True, True]))
    assert masked.direct_bias.tolist()[1] == -torch.inf
    assert raised.unit_in_order(rows) is items.unit_in_order(rows) is masked.unit_in_order(rows)


def test_arrays_hold_everything():
    items = _items()
    again = ItemVectors.from_arrays(items.arrays()).to("cpu")
    assert all(torch.equal(a, again.arrays()[name]) for name, a in items.arrays().items())


def test_items_that_are_put_in_have_what_they_bring_and_the_others_what_they_had():
    items, g = _items(), torch.Generator().manual_seed(3)
    for rows in ([2], [7], [9, 0, 8, 7], list(range(7))):
        news = ItemVectors(torch.randn(len(rows), 3, generator=g), torch.randn(len(rows), generator=g), torch.randn(len(rows), generator=g))
        changed = items.with_items(torch.tensor(rows), news)
        assert len(changed.vectors) == max(7, max(rows) + 1)
        for name, array in changed.arrays().items():
            assert torch.equal(array[rows], news.arrays()[name])
            rest = [row for row in range(7) if row not in rows]
            assert torch.equal(array[rest], items.arrays()[name][rest])
        assert torch.equal(changed.unit, ItemVectors(**changed.arrays()).unit), "bit for bit"


def test_unit_vectors_are_the_same_bit_for_bit_however_many_are_made_at_once():
    vectors = torch.randn(3000, 128, generator=torch.Generator().manual_seed(4))
    whole = ItemVectors(vectors, torch.zeros(3000), torch.zeros(3000)).unit
    for step in (1, 7, 1000):
        parts = [ItemVectors(part, torch.zeros(len(part)), torch.zeros(len(part))).unit for part in vectors.split(step)]
        assert torch.equal(torch.cat(parts), whole)
