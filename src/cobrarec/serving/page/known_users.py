"""KnownUsers: the users of an interactions table, any of whom the page can take the history of."""

import random
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from cobrarec.data.catalog import Catalog, ItemId
from cobrarec.data.interactions import Histories, read_histories
from cobrarec.data.tables import read_table
from cobrarec.data.timestamps import UNKNOWN_TIME
from cobrarec.errors import DataError
from cobrarec.serving.page.taken import Taken


@dataclass(frozen=True, eq=False)
class KnownUsers:
    """Histories, and the catalog whose rows they hold."""

    histories: Histories
    catalog: Catalog

    @classmethod
    def read(cls, path: Path, catalog: Catalog) -> "KnownUsers":
        """Read a table as `fit` takes it; items that the catalog lacks are left out, and users without any.

        Raises:
            DataError: the table cannot be read, or no user of it has an item of the catalog.
        """
        histories, _ = read_histories(read_table(path, "interactions table"), catalog)
        histories = histories.select(histories.lengths > 0)
        if not histories.num_users:
            raise DataError(f"No user of {path} has an item of this catalog; give the interactions that the model was fitted with.")
        return cls(histories, catalog)

    @property
    def num_users(self) -> int:
        """How many there are."""
        return self.histories.num_users

    def take(self, user_id: str, hold_back: bool) -> Taken:
        """The history of a user, without the last item where it is held back.

        Raises:
            DataError: there is no such user.
        """
        user = self._numbers.get(user_id.strip())
        if user is None:
            raise DataError(f"There is no user {user_id.strip()!r} in the interactions; one is {self.histories.user_ids[0]}.")
        rows, times = self.histories.of(user), self.histories.times_of(user)
        items = [self.catalog.item_ids[row] for row in rows.tolist()]
        ids: list[ItemId] = [item.item() if isinstance(item, np.generic) else item for item in items]
        seconds = [None] * len(ids) if times is None else [None if time == UNKNOWN_TIME else time for time in times.tolist()]
        held_back = ids[-1] if hold_back and len(ids) > 1 else None
        end = len(ids) - (held_back is not None)
        return Taken(tuple(zip(ids[:end], seconds[:end], strict=True)), user_id.strip(), held_back)

    def any_id(self) -> str:
        """The id of some user, as text."""
        return str(self.histories.user_ids[random.randrange(self.num_users)])

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {str(user): number for number, user in enumerate(self.histories.user_ids.tolist())}
