"""What the rankers without training have in common."""

import numpy as np
import pytest

from cobrarec.baselines.content import ContentNeighbors
from cobrarec.baselines.popularity import Popularity
from cobrarec.baselines.transitions import TransitionCounts
from cobrarec.baselines.untrained import UntrainedRanker
from cobrarec.config import RetrievalConfig
from cobrarec.data.interactions import Histories
from cobrarec.retrieval.list_engine import ListEngine

TRAIN, TIES = Histories.from_lists([[0, 1, 1, 2], [1, 2]]), np.arange(4, dtype=np.uint64)
RANKERS = [
    Popularity.fit(TRAIN, 4, TIES),
    TransitionCounts.fit(TRAIN, 4, TIES),
    ContentNeighbors.fit(np.eye(4, 3, dtype=np.float32), TRAIN, TIES),
]


@pytest.mark.parametrize("ranker", RANKERS, ids=repr)
def test_it_is_an_engine_without_codes(ranker: UntrainedRanker) -> None:
    assert isinstance(ranker, ListEngine)
    assert ranker.codes.shape == (4, 0)
    assert ranker.users_per_chunk() >= 1


@pytest.mark.parametrize("ranker", RANKERS, ids=repr)
def test_lists_hold_each_item_once_and_the_history_where_asked(ranker: UntrainedRanker) -> None:
    histories = Histories.from_lists([[1, 0], []])
    assert [sorted(rows) for rows in ranker.rank(histories, 9).rows.tolist()] == [[-1, -1, 2, 3], [0, 1, 2, 3]]
    for with_history in (ranker.with_settings(include_history=True), ranker.with_config(RetrievalConfig(include_history=True))):
        assert type(with_history) is type(ranker)
        assert [sorted(rows) for rows in with_history.rank(histories, 9).rows.tolist()] == [[0, 1, 2, 3]] * 2
