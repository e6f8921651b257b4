import pyarrow as pa
import pytest
import torch
from small_world import NUM_ITEMS, make_recommender

from cobrarec.config import DataConfig
from cobrarec.errors import ConfigError, DataError
from cobrarec.retrieval.item_changes import ItemChange
from cobrarec.retrieval.live_catalog import apply_changes


def test_the_nearest_items_come_first_and_the_item_itself_not_at_all():
    recommender = make_recommender(2, 5)
    found = recommender.similar("B007", 12)
    vectors = torch.nn.functional.normalize(recommender.items.vectors, dim=1)
    cosines = {f"B{row:03d}": float(vectors[row] @ vectors[7]) for row in range(NUM_ITEMS) if row != 7}
    assert [item.item_id for item in found] == sorted(cosines, key=lambda item: -cosines[item])[:12]
    assert [item.rank for item in found] == list(range(1, 13))
    assert found[0].similarity == pytest.approx(cosines[found[0].item_id], abs=1e-6)
    assert found[0].semantic_id == tuple(recommender.semantic_ids.codes[int(found[0].item_id[1:])].tolist())
    assert len(recommender.similar("B007", 1000)) == NUM_ITEMS - 1


def test_delisted_items_are_like_nothing_but_others_may_be_like_them():
    recommender = make_recommender()
    removed = recommender.catalog.table.select(["item_id"]).take(pa.array([3, 7]))
    less = apply_changes(recommender, [ItemChange(removed)], DataConfig())
    assert {"B003", "B007"}.isdisjoint(item.item_id for item in less.similar("B005", 100))
    assert len(less.similar("B007", 100)) == NUM_ITEMS - 2


@pytest.mark.parametrize(("item", "k"), [("nobody", 3), (7, 3), ("B007", 0)])
def test_what_cannot_be_asked_is_refused(item, k):
    with pytest.raises(DataError):
        make_recommender().similar(item, k)


def test_engines_without_vectors_say_so(monkeypatch):
    recommender = make_recommender()
    monkeypatch.setattr(type(recommender.engine), "unit_vectors", None)
    with pytest.raises(ConfigError, match="know no vectors"):
        recommender.similar("B007", 3)
