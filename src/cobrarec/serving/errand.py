"""An errand: work with the recommender that is no request for lists, in its turn among them."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from cobrarec.retrieval.recommender import Recommender


@dataclass(frozen=True, eq=False)
class Errand:
    """What one caller wants of the recommender. The batcher runs it alone, in its one thread, so that it never computes beside a list."""

    run: Callable[[Recommender], Any]
    size: int = 1

    @property
    def key(self) -> Hashable:
        """Equal to no other's."""
        return self
