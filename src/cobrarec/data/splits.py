"""What is trained on, what chooses, what is read once at the end.

A split is made of views of the same histories: what is held out of `train` cannot be seen through it.
"""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cobrarec.data.interactions import Histories
from cobrarec.data.timestamps import UNKNOWN_TIME
from cobrarec.errors import ConfigError, DataError

MIN_INTERACTIONS = 3


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Users to evaluate on: what may be read of each and what is to be found.

    Attributes:
        histories: the input, per user.
        target_offsets: [num_users + 1]; user u's targets are `target_rows[target_offsets[u]:target_offsets[u + 1]]`.
        target_rows: catalog rows, at least one per user.
    """

    histories: Histories
    target_offsets: npt.NDArray[np.int64]
    target_rows: npt.NDArray[np.int32]

    @property
    def num_users(self) -> int:
        """Number of users."""
        return self.histories.num_users

    def targets_of(self, user: int) -> npt.NDArray[np.int32]:
        """Target rows of user number `user`."""
        return self.target_rows[self.target_offsets[user] : self.target_offsets[user + 1]]

    def select(self, users: npt.NDArray[Any]) -> "HeldOut":
        """Some users, by number (or a mask), in that order."""
        targets = Histories(self.histories.user_ids, self.target_offsets[:-1], self.target_offsets[1:], self.target_rows)
        chosen = targets.select(users)
        offsets = np.concatenate([[0], np.cumsum(chosen.lengths)]).astype(np.int64)
        return HeldOut(self.histories.select(users), offsets, self.target_rows[chosen.places()])


@dataclass(frozen=True, eq=False)
class Split:
    """Training histories and the users held out.

    Attributes:
        name: as given: `last-two`, `time:0.95`, `none`.
        train: all that may be fitted on while validation chooses.
        valid: chooses the epoch and the fusion weights; None for `none`.
        test: read once; None for `none`.
        num_train_only_users: users who are evaluated neither in `valid` nor in `test`.
        num_users: all users.
        before_test: all that may be fitted on once everything is chosen, `train` and the validation interactions; None for `none`.
        cut_times: for `time:...`, the seconds at which validation and test begin.
    """

    name: str
    train: Histories
    valid: HeldOut | None
    test: HeldOut | None
    num_train_only_users: int
    num_users: int
    before_test: Histories | None = None
    cut_times: tuple[int, int] | None = None


def split_histories(histories: Histories, name: str) -> Split:
    """Split histories.

    `last-two`: of a user with at least 3 interactions the last is the test target, the one before it the validation
    target, the rest is trained on; users with fewer only train. `time:F`: test begins at quantile F of all timestamps,
    validation at quantile 1 - 2 (1 - F), what is before is trained on; input is all before, targets are the user's
    distinct later items (for validation: before the test begins) that are not in it; users without input or without
    target are not evaluated. `none`: all is trained on.

    Raises:
        DataError: no user has 3 interactions; `time:F` without usable times or with nobody left to evaluate.
        ConfigError: an unknown name or an F that leaves nothing to train on.
    """
    if not (histories.lengths >= MIN_INTERACTIONS).any():
        lengths = f"{histories.num_users:,} users have {histories.lengths.max(initial=0)} at most"
        raise DataError(
            f"No user has {MIN_INTERACTIONS} interactions with known items ({lengths}); expected at least one that does. Where the table "
            "holds more, check that item_id and user_id mean the same throughout."
        )
    if name == "last-two":
        return _last_two(histories)
    if name == "none":
        return Split(name, histories, None, None, histories.num_users, histories.num_users)
    if re.fullmatch(r"time:0\.\d+", name):
        return _by_time(histories, name)
    raise ConfigError(f"Unknown split {name!r}; expected last-two, time:FRACTION (such as time:0.95) or none.")


def _last_two(histories: Histories) -> Split:
    is_held_out = histories.lengths >= MIN_INTERACTIONS
    train = _with_ends(histories, histories.ends - 2 * is_held_out)
    chosen = histories.select(is_held_out)
    valid = _one_target(chosen, chosen.ends - 2)
    test = _one_target(chosen, chosen.ends - 1)
    before_test = _with_ends(histories, histories.ends - is_held_out)
    return Split("last-two", train, valid, test, int((~is_held_out).sum()), histories.num_users, before_test)


def _with_ends(histories: Histories, ends: npt.NDArray[np.int64]) -> Histories:
    return Histories(histories.user_ids, histories.starts, ends, histories.rows, histories.timestamps)


def _one_target(histories: Histories, places: npt.NDArray[np.int64]) -> HeldOut:
    offsets = np.arange(histories.num_users + 1, dtype=np.int64)
    return HeldOut(_with_ends(histories, places), offsets, histories.rows[places])


def _by_time(histories: Histories, name: str) -> Split:
    fraction = float(name.removeprefix("time:"))
    train_fraction = 1 - 2 * (1 - fraction)
    if train_fraction <= 0:
        raise ConfigError(
            f"Split {name}: validation takes as much time as test, {fraction} leaves nothing to train on; give more than 0.5."
        )
    histories = histories.compact()
    times = histories.timestamps
    if times is None:
        raise DataError(f"Split {name} needs a column timestamp in the interactions table; there is none. Add it or take last-two.")
    if num_unknown := int((times == UNKNOWN_TIME).sum()):
        raise DataError(
            f"Split {name} needs the time of every interaction; {num_unknown:,} timestamps are null. Fill them in or take last-two."
        )
    is_same_user = histories.users()[1:] == histories.users()[:-1]
    if (is_same_user & (times[1:] < times[:-1])).any():
        raise DataError(f"Split {name}: the column position orders some history against its timestamps. Remove position or take last-two.")
    cuts = np.quantile(times, [train_fraction, fraction], method="higher")
    valid_start, test_start = int(cuts[0]), int(cuts[1])
    valid_places, test_places = _first_places_at(histories, valid_start), _first_places_at(histories, test_start)
    valid = _later_targets(_with_ends(histories, test_places), valid_places)
    test = _later_targets(histories, test_places)
    train, before_test = (_some(_with_ends(histories, places)) for places in (valid_places, test_places))
    if not (train.num_users and valid[1].any() and test[1].any()):
        raise DataError(f"Split {name} leaves no user to train, validate or test on. Take another fraction or last-two.")
    num_train_only = int((~(valid[1] | test[1])).sum())
    return Split(name, train, valid[0], test[0], num_train_only, histories.num_users, before_test, (valid_start, test_start))


def _some(histories: Histories) -> Histories:
    return histories.select(histories.lengths > 0)


def _first_places_at(histories: Histories, start: int) -> npt.NDArray[np.int64]:
    """[num_users] place of each user's first interaction at or after the second `start`."""
    assert histories.timestamps is not None
    num_before = np.bincount(histories.users()[histories.timestamps < start], minlength=histories.num_users)
    return histories.starts + num_before


def _later_targets(histories: Histories, cuts: npt.NDArray[np.int64]) -> tuple[HeldOut, npt.NDArray[np.bool_]]:
    """Evaluate on what comes at place `cuts[u]` and later; also a mask of the users who have input and target."""
    users, places = histories.users(), histories.places()
    pairs = users * (int(histories.rows.max()) + 1) + histories.rows[places]
    first = np.sort(np.unique(pairs, return_index=True)[1])
    targets = first[places[first] >= cuts[users[first]]]
    num_targets = np.bincount(users[targets], minlength=histories.num_users)
    is_evaluated = (num_targets > 0) & (cuts > histories.starts)
    rows = histories.rows[places[targets[is_evaluated[users[targets]]]]]
    offsets = np.concatenate([[0], np.cumsum(num_targets[is_evaluated])]).astype(np.int64)
    return HeldOut(_with_ends(histories, cuts).select(is_evaluated), offsets, rows), is_evaluated


def refuse_nothing_to_learn(train: Histories) -> None:
    """Raise DataError where no training history has an item to predict from another."""
    if train.lengths.max(initial=0) < 2:
        raise DataError("No user has two training interactions: there is nothing to learn from. Give longer histories or another split.")
