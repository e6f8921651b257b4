"""How long work tells of itself: a protocol that the command line draws and that libraries may ignore."""

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
