"""ShownList: the list under the dials beside that under the artifact's settings, and how different its items are from each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cobrarec.data.catalog import ItemId
from cobrarec.report.markup import Number
from cobrarec.retrieval.recommendations import Recommendation
from cobrarec.retrieval.recommender import Recommender
from cobrarec.serving.page.taken import Taken

LENGTH = 10
TAUS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0)
"""Where the curve over tau is drawn."""


@dataclass(frozen=True)
class Diversity:
    """How different the items of a list are; None where the ranker knows no IDs, no vectors, or there are fewer than two items."""

    num_ids: int | None
    distance: float | None
    """Mean over pairs of 1 - cosine of the item vectors."""


@dataclass(frozen=True)
class ShownList:
    """A list and what the dials did to it: `before[item]` is its place under the artifact's settings, `gone` has lost its place."""

    items: list[Recommendation]
    before: dict[ItemId, int]
    gone: list[ItemId]
    diversity: Diversity
    diversity_before: Diversity
    is_turned: bool
    recommender: Recommender
    """Under the dials."""

    def move(self, item: Recommendation) -> str:
        """`new`, `up N`, `down N`, or nothing where it stands where it stood."""
        if not self.is_turned:
            return ""
        before = self.before.get(item.item_id)
        if before is None:
            return "new"
        steps = before - item.rank
        return "" if not steps else f"up {steps}" if steps > 0 else f"down {-steps}"


def shown_list(recommender: Recommender, taken: Taken, settings: Mapping[str, Number]) -> ShownList:
    """The list of ten for a history under changed settings; the model runs twice where any is changed, else once."""
    histories = taken.histories(recommender.catalog)
    standing = recommender.recommend_to(histories, LENGTH, explain=True)[0]
    changed = recommender.with_settings(**settings) if settings else recommender
    items = changed.recommend_to(histories, LENGTH, explain=True)[0] if settings else standing
    now = {item.item_id for item in items}
    return ShownList(
        items=items,
        before={item.item_id: item.rank for item in standing},
        gone=[item.item_id for item in standing if item.item_id not in now],
        diversity=diversity(recommender, items),
        diversity_before=diversity(recommender, standing),
        is_turned=bool(settings),
        recommender=changed,
    )


def diversity(recommender: Recommender, items: Sequence[Recommendation]) -> Diversity:
    """How different the items are."""
    has_ids = bool(items) and bool(items[0].semantic_id)
    num_ids = len({item.semantic_id for item in items}) if has_ids else None
    unit = recommender.engine.unit_vectors
    if unit is None or len(items) < 2:
        return Diversity(num_ids, None)
    rows = recommender.catalog.rows([item.item_id for item in items])
    vectors: npt.NDArray[np.float64] = unit[rows.tolist()].double().cpu().numpy()
    cosines = vectors @ vectors.T
    pairs = np.triu_indices(len(items), 1)
    return Diversity(num_ids, float(np.mean(1 - cosines[pairs])))
