import numpy as np
import pytest
import torch
from small_models import semantic_ids

from cobrarec.model.id_tables import IdTables


@pytest.mark.parametrize("num_levels", [0, 1, 2, 3, 4])
def test_tables_say_what_the_semantic_ids_say(num_levels):
    ids = semantic_ids(num_levels)
    tables = IdTables(ids)
    assert tables.num_prefixes == ids.num_prefixes
    assert np.array_equal(tables.codes.numpy(), ids.codes)
    for row in range(ids.num_items):
        prefix = 0
        for level in range(num_levels):
            assert tables.prefix_of_rows(level, tables.bucket_rows[row : row + 1]) == tables.prefix_of_places(level)[row]
            assert int(tables.prefix_of_rows(level, tables.bucket_rows.new_tensor([row]))) == prefix
            below = int(tables.children_of(level, torch.tensor(prefix))[ids.codes[row, level]])
            assert int(tables.parent(level)[below]) == prefix
            assert int(tables.last_code(level)[below]) == ids.codes[row, level]
            prefix = below
        assert prefix == ids.id_of_row[row]


def test_sizes_count_the_kept_items_below_each_prefix():
    ids, kept = semantic_ids(2), np.arange(semantic_ids(2).num_items) % 3 > 0
    tables = IdTables(ids)
    for sizes, rows in ((tables.sizes, np.ones_like(kept)), (tables.sizes_of(torch.from_numpy(kept)), kept)):
        for level in range(2):
            prefixes = ids.prefix_of_id(level + 1)[ids.id_of_row[rows]]
            assert np.array_equal(sizes[level].numpy(), np.bincount(prefixes, minlength=ids.num_prefixes[level + 1]))


def test_nothing_of_the_tables_is_saved():
    assert IdTables(semantic_ids(2)).state_dict() == {}
