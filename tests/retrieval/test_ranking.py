import numpy as np
from small_world import NUM_ITEMS, make_recommender, some_histories

from cobrarec.baselines.popularity import Popularity
from cobrarec.data.interactions import Histories
from cobrarec.retrieval.list_engine import FusionWeights, Request
from cobrarec.retrieval.popular_items import PopularItems
from cobrarec.retrieval.ranking import rank_all
from cobrarec.retrieval.recommendations import POPULAR

POPULAR_ITEMS = PopularItems.of(np.arange(NUM_ITEMS), np.arange(NUM_ITEMS))


class Recorder(Popularity):
    """Popularity that notes which users it is asked for at once."""

    asked: list[list[int]] = []  # noqa: RUF012
    max_history = 3

    def users_per_chunk(self):
        return 2

    def lists(self, histories, request):
        self.asked.append(histories.lengths.tolist())
        return super().lists(histories, request)


def test_the_engine_is_asked_chunk_by_chunk_for_users_of_similar_length_and_never_for_empty_histories():
    Recorder.asked.clear()
    histories = Histories.from_lists([[1] * 9, [], [1], [1] * 4, [1, 2], []])
    ranked = rank_all(Recorder(POPULAR_ITEMS), POPULAR_ITEMS, histories, Request(2, (FusionWeights(), FusionWeights(1.0))))
    assert Recorder.asked == [[1, 2], [9, 4]]
    assert len(ranked) == 2
    assert ranked[0].rows.tolist() == ranked[1].rows.tolist() == [[59, 58]] * 6
    assert (ranked[0].sources == POPULAR).all()


def test_lists_come_in_the_order_of_the_input():
    recommender, histories = make_recommender(), some_histories(12)
    whole = rank_all(recommender.engine, POPULAR_ITEMS, histories, Request(5, (FusionWeights(0.3),)))[0]
    for user in range(12):
        alone = rank_all(recommender.engine, POPULAR_ITEMS, histories.select(np.array([user])), Request(5, (FusionWeights(0.3),)))[0]
        assert alone.rows[0].tolist() == whole.rows[user].tolist()
