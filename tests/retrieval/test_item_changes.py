import numpy as np
import pyarrow as pa
import pytest
import torch

from cobrarec.errors import ArtifactError
from cobrarec.model.item_vectors import ItemVectors
from cobrarec.retrieval.item_changes import ItemChange
from cobrarec.retrieval.new_items import EncodedItems

TABLE = pa.table({"item_id": ["a", "b"], "tags": [["x"], None], "price": [1.5, None]})


def encoded():
    random = np.random.default_rng(0)
    items = ItemVectors(torch.randn(2, 4), torch.randn(2), torch.randn(2))
    return EncodedItems(random.normal(size=(2, 6)).astype(np.float32), random.integers(0, 9, (2, 3)).astype(np.int32), items)


def test_a_put_comes_back_as_it_was():
    before = ItemChange(TABLE, encoded())
    after = ItemChange.from_bytes(before.to_bytes())
    assert after.table.equals(TABLE)
    assert (after.encoded.embeddings == before.encoded.embeddings).all()
    assert (after.encoded.codes == before.encoded.codes).all()
    for name, array in before.encoded.items.arrays().items():
        assert torch.equal(after.encoded.items.arrays()[name], array)


def test_codes_of_no_level_come_back_too():
    parts = encoded()
    change = ItemChange(TABLE, EncodedItems(parts.embeddings, np.zeros((2, 0), np.int32), parts.items))
    assert ItemChange.from_bytes(change.to_bytes()).encoded.codes.shape == (2, 0)


def test_a_removal_comes_back_as_one():
    after = ItemChange.from_bytes(ItemChange(TABLE.select(["item_id"])).to_bytes())
    assert after.encoded is None
    assert after.table["item_id"].to_pylist() == ["a", "b"]


def test_a_slice_of_a_table_holds_no_more_than_itself():
    large = pa.table({"item_id": [f"item {row}" for row in range(10_000)]})
    assert len(ItemChange(large.slice(5, 1)).to_bytes()) < 2_000


@pytest.mark.parametrize("data", [b"", b"not a record", ItemChange(TABLE).to_bytes()[:-9]])
def test_what_is_no_record_is_refused(data):
    with pytest.raises(ArtifactError, match="A record of the changes cannot be read"):
        ItemChange.from_bytes(data)
