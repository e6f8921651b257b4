"""How long work tells of itself: a protocol that the command line draws and that libraries may ignore."""

import time
from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar, runtime_checkable

T = TypeVar("T")


@runtime_checkable
class Progress(Protocol):
    """What long work is given to report through. Every method returns at once and never raises."""

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        """Yield `items` one by one while showing how far it is. `total` is their number where `len` cannot tell."""
        ...

    def message(self, text: str) -> None:
        """Show one line."""
        ...

    def update(self, label: str, done: int | float, total: int | float, note: str = "") -> None:
        """Show that `done` of `total` is reached; `note` holds rates, losses or the time left."""
        ...


class Silent:
    """The default: says nothing."""

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        """Yield `items` unchanged."""
        yield from items

    def message(self, text: str) -> None:
        """Drop the line."""

    def update(self, label: str, done: int | float, total: int | float, note: str = "") -> None:
        """Drop the report."""


class Pace:
    """A Progress for one part of the users after the other, which tells of all of them: users done, lists per second, time left."""

    def __init__(self, progress: Progress, num_users: int, num_todo: int) -> None:
        """`num_todo` of the users are still to be done, the others were done before."""
        self._progress, self._num_users, self._num_todo = progress, num_users, num_todo
        self._done, self._part, self._began = 0, 0, time.monotonic()

    def begin_part(self, num_users: int) -> None:
        """The next part has so many users; the one before is done."""
        self._done, self._part = self._done + self._part, num_users

    def track(self, items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
        """Yield chunks of the part's users."""
        for number, item in enumerate(items):
            yield item
            self._tell(self._done + self._part * (number + 1) / (total or 1))

    def message(self, text: str) -> None:
        """Hand the line on."""
        self._progress.message(text)

    def update(self, label: str, done: int | float, total: int | float, note: str = "") -> None:
        """Drop the report: chunks tell all there is to tell."""

    def _tell(self, done: float) -> None:
        rate = done / max(time.monotonic() - self._began, 1e-9)
        left = (self._num_todo - done) / max(rate, 1e-9)
        reached = self._num_users - self._num_todo + done
        span = f"{left / 60:,.0f} min" if left >= 120 else f"{left:.0f} s"
        note = f"{reached:,.0f} of {self._num_users:,} users, {rate:,.0f} lists/s, {span} left"
        self._progress.update("lists", reached, self._num_users, note)
