"""Content neighbors: the items whose texts are nearest to those of the history's last items. Items never taken are found too.

profile = sum over the last n items a of the history of embedding(a) / (places of a from the end), embeddings of unit length.
score(b) = (1 + cosine(profile, embedding(b))) / 2.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor

from cobrarec.baselines.choice import best_ranker
from cobrarec.baselines.untrained import UntrainedRanker
from cobrarec.config import RetrievalConfig
from cobrarec.data.interactions import Histories
from cobrarec.data.splits import HeldOut
from cobrarec.evaluation.evaluate import Masking
from cobrarec.progress import Progress
from cobrarec.retrieval.item_index import nearest_in_history
from cobrarec.retrieval.list_engine import Mask, Request
from cobrarec.retrieval.ordering import LOG_SCORE_STEP, tie_ranks_of
from cobrarec.retrieval.popular_items import PopularItems
from cobrarec.retrieval.recommendations import RankedLists
from cobrarec.retrieval.scored_lists import scored_lists
from cobrarec.retrieval.transition_memory import recent_items
from cobrarec.semantic_ids.sif import unit_rows

LAST = (1, 3, 5, 10)

_NUMBERS_PER_CHUNK = 6_000_000  # cosines held at once: about 50 MB with the mask
_MAX_USERS_PER_CHUNK = 256


@dataclass(frozen=True, eq=False, repr=False)
class ContentNeighbors(UntrainedRanker):
    """Unit text embeddings, and popularity for users and items without text."""

    unit: Tensor
    """`[num_items, text_dim]`, float32, each of length 1, or 0 where the text says nothing: such items are no candidates."""
    popular: PopularItems
    tie_ranks: npt.NDArray[np.int64]
    """`[num_items]`, smaller first among equal scores."""
    last: int = 5
    """History items whose texts are read."""
    config: RetrievalConfig = RetrievalConfig()

    score_formula = "(1 + cosine of the item's text embedding with those of the history's last items) / 2"

    @classmethod
    def fit(
        cls, embeddings: npt.NDArray[np.float32], train: Histories, tie_breakers: npt.NDArray[np.uint64], last: int = 5
    ) -> "ContentNeighbors":
        """Nothing is learned but which items are popular.

        Args:
            embeddings: frozen text embeddings `[num_items, text_dim]`.
            train: training histories, for the popular items.
            tie_breakers: `[num_items]`, smaller first among equal scores (`Catalog.tie_breakers`).
            last: history items whose texts are read.
        """
        tie_ranks = tie_ranks_of(tie_breakers)
        popular = PopularItems.of(train.item_counts(len(embeddings)), tie_ranks)
        return cls(torch.from_numpy(unit_rows(embeddings)), popular, tie_ranks, last)

    def __repr__(self) -> str:
        return f"content neighbors, last {self.last}"

    @property
    def unit_vectors(self) -> Tensor:
        """The embeddings."""
        return self.unit

    def with_last(self, last: int) -> "ContentNeighbors":
        """The same embeddings, with another number of last items read."""
        return dataclasses.replace(self, last=last)

    def users_per_chunk(self) -> int:
        """How many users to ask for at once, for about `_NUMBERS_PER_CHUNK` cosines."""
        return max(1, min(_MAX_USERS_PER_CHUNK, _NUMBERS_PER_CHUNK // len(self.unit)))

    def lists(self, histories: Histories, request: Request[Mask]) -> list[RankedLists]:
        """Ranked lists of one chunk of users, once per pair of weights."""
        ranked = scored_lists(self._log_scores(histories, request), request, self.tie_ranks, "content")
        if ranked.explanations is not None:
            listed = ranked.rows >= 0
            ranked.explanations.cosines[listed] = (2 * np.exp(ranked.log_scores) - 1)[listed]
        if self.config.fill:
            self.popular.fill(ranked, histories, request, self.config.include_history)
        return [ranked] * len(request.weights)

    def nearest(self, history: npt.NDArray[np.int64], listed: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """For each listed row the row of the history with the nearest text, the latest of equals."""
        return nearest_in_history(self.unit, history, listed)

    @cached_property
    def _without_text(self) -> Tensor:
        """`[num_items]`: items whose text says nothing."""
        return ~self.unit.any(1)

    def _log_scores(self, histories: Histories, request: Request[Mask]) -> sparse.csr_array:
        """`[num_users, num_items]`: of each user the k candidates of highest score, and all that come close to the last of them."""
        num_users, num_items = histories.num_users, len(self.unit)
        profiles = self._profiles(histories)
        cosines = profiles @ self.unit.T
        struck = self._without_text if request.allowed is None else self._without_text | torch.from_numpy(~request.allowed)
        if struck.any():
            cosines[:, struck] = -torch.inf
        cosines[~profiles.any(1)] = -torch.inf
        if not self.config.include_history:
            cosines[histories.users(), histories.rows[histories.places()]] = -torch.inf
        lowest = torch.topk(cosines, min(request.k, num_items), dim=1).values[:, -1:].clamp(min=-1)
        # log scores within a step of each other are ties, and go by the items' rank
        users, rows = torch.nonzero(cosines >= lowest - 4 * LOG_SCORE_STEP, as_tuple=True)
        scores = ((1 + cosines[users, rows].double()) / 2).clamp(min=1e-12)
        return sparse.csr_array((scores.log().numpy(), (users.numpy(), rows.numpy())), shape=(num_users, num_items))

    def _profiles(self, histories: Histories) -> Tensor:
        """`[num_users, text_dim]`, each of length 1, or 0 where the last items have no text."""
        users, rows, from_end = recent_items(histories, self.last)
        weighted = self.unit[rows] / torch.from_numpy(from_end)[:, None].float()
        sums = torch.zeros(histories.num_users, self.unit.shape[1]).index_add_(0, torch.from_numpy(users), weighted)
        return torch.nn.functional.normalize(sums, dim=1)


def choose_content(
    embeddings: npt.NDArray[np.float32],
    train: Histories,
    valid: HeldOut,
    tie_breakers: npt.NDArray[np.uint64],
    lasts: Sequence[int] = LAST,
    masking: Masking = "masked",
    progress: Progress | None = None,
) -> ContentNeighbors:
    """The number of last items with the best NDCG@10 on `valid`, the first of equals; the rest as in `fit`."""
    fitted = ContentNeighbors.fit(embeddings, train, tie_breakers)
    candidates = (fitted.with_last(last) for last in lasts)
    return best_ranker(candidates, len(lasts), valid, len(embeddings), "content neighbors: settings", masking, progress)
