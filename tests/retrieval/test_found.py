import numpy as np
import torch
from small_world import make_recommender, some_histories

from cobrarec.retrieval.encoded_histories import RemovedItems, encode_histories


def test_bounds_and_users_agree_and_struck_items_are_not_counted():
    search, histories = make_recommender(1, 6, retrieval={"num_beams": 3}).network, some_histories(5)
    removed = RemovedItems.of(histories, search.semantic_ids.is_listed, search.device)
    with torch.no_grad():
        found, _ = search._find(encode_histories(search.model, search.items, histories, removed, False), 3, None, None)
    sizes = np.bincount(found.users.numpy(), minlength=5)
    assert found.bounds.diff().tolist() == sizes.tolist()
    for user in range(5):
        rows = found.candidates.rows[found.bounds[user] : found.bounds[user + 1]].tolist()
        assert found.num_found()[user] == len(set(rows) - set(histories.of(user).tolist()))
