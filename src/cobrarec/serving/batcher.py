"""Batcher: a bounded queue of requests and one thread that takes all that waits, since a batch costs little more than one history.

Requests for lists of the same length under the same settings and filters go through the model together. While several clients ask for such,
those whose lists have just come ask again at once: the thread waits until they have, as long as one comes hard on the other. A client that
asks alone does not wait. A list does not depend on who
else is in its batch (`docs/decisions/0007`), so that batching changes waiting times alone.
"""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar, runtime_checkable

from cobrarec.errors import CobraRecError

A = TypeVar("A", bound="Waiting")
R = TypeVar("R")

LULL, LULL_SHARE = 0.002, 1 / 8
"""Seconds, and share of what the last batch took, without a new request after which no more are waited for: the smaller of the two."""
GATHERING = 0.05
"""Seconds after its coming in which a request may be held back for others to go with it, if the last batch did not take less."""


@runtime_checkable
class Waiting(Protocol):
    """A request that can wait: how much it asks for, and with whom it can be answered."""

    @property
    def size(self) -> int:
        """Histories."""
        ...

    @property
    def key(self) -> Hashable:
        """Requests with equal keys go through the model together."""
        ...


class BusyError(CobraRecError):
    """So much waits already that this request is refused."""


@dataclass(eq=False)
class _Place(Generic[A, R]):
    asked: A
    loop: asyncio.AbstractEventLoop
    answer: "asyncio.Future[R]"
    came: float = field(default_factory=time.monotonic)
    is_waiting: bool = True


@dataclass(frozen=True)
class _Batch:
    """Requests that were answered together, and when; at first none, long ago."""

    size: int = 0
    begun: float = -math.inf
    ended: float = -math.inf


class Batcher(Generic[A, R]):
    """Answers requests in batches, in one thread of its own."""

    def __init__(self, answer: Callable[[Sequence[A]], Sequence[R | Exception]], max_waiting: int, max_batch: int) -> None:
        """Start the thread.

        Args:
            answer: answers requests of one key; an exception in place of an answer is that request's own.
            max_waiting: histories that may wait.
            max_batch: histories that are answered at once; a larger request is answered alone.
        """
        self._answer, self._max_waiting, self._max_batch = answer, max_waiting, max_batch
        self._places: deque[_Place[A, R]] = deque()
        self._num_waiting = self._num_asked = 0
        self._last = _Batch()
        self._is_closed = False
        self._changed = threading.Condition()
        self.batch_sizes: Callable[[int], None] = lambda size: None
        self._thread = threading.Thread(target=self._work, name="cobrarec-batcher", daemon=True)
        self._thread.start()

    @property
    def num_waiting(self) -> int:
        """Histories that wait."""
        return self._num_waiting

    def ask(self, asked: A) -> "asyncio.Future[R]":
        """The answer, when it is there, or what went wrong with this request. To cancel it is to leave the queue.

        Raises:
            BusyError: too much waits, or the batcher is closed.
        """
        loop = asyncio.get_running_loop()
        place: _Place[A, R] = _Place(asked, loop, loop.create_future())
        with self._changed:
            if self._is_closed or (self._num_waiting and self._num_waiting + asked.size > self._max_waiting):
                raise BusyError("Too many requests wait; ask again in a second.")
            self._places.append(place)
            self._num_waiting += asked.size
            self._num_asked += 1
            self._changed.notify()
        place.answer.add_done_callback(lambda _: self._leave(place))
        return place.answer

    def _leave(self, place: _Place[A, R]) -> None:
        """Take no more room, where it still waits: the caller has cancelled it."""
        if not place.is_waiting:
            return
        with self._changed:
            if place.is_waiting:
                place.is_waiting = False
                self._places.remove(place)
                self._num_waiting -= place.asked.size

    def close(self) -> None:
        """Answer all that waits, then end the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            here = [place for place in batch if not place.answer.done()]  # the others have left
            if not here:
                continue
            begun = time.monotonic()
            try:
                self.batch_sizes(sum(place.asked.size for place in here))
                answers = self._answer([place.asked for place in here])
                if len(answers) != len(here):
                    raise RuntimeError(f"{len(answers)} answers to {len(here)} requests")
            except Exception as error:  # whatever it is, somebody waits for it
                answers = [error] * len(here)
            self._last = _Batch(len(here), begun, time.monotonic())
            for loop in {place.loop for place in here}:
                of_loop = [(place.answer, answer) for place, answer in zip(here, answers, strict=True) if place.loop is loop]
                if not loop.is_closed():
                    loop.call_soon_threadsafe(_deliver, of_loop)

    def _next_batch(self) -> list[_Place[A, R]] | None:
        """All that waits with the key of the first, in the order of arrival, as far as the size goes.

        Empty where all have left; None where the batcher is closed and all is answered.
        """
        with self._changed:
            has_company = self._last.size > 1 or bool(self._places)
            while not self._places and not self._is_closed:
                self._changed.wait()
            if has_company and self._places and self._places[0].came < self._last.ended + GATHERING:
                self._gather()
            if not self._places:
                return None if self._is_closed else []
            key, size = self._places[0].asked.key, 0
            batch: list[_Place[A, R]] = []
            others: deque[_Place[A, R]] = deque()
            for place in self._places:
                if place.asked.key == key and (not batch or size + place.asked.size <= self._max_batch):
                    place.is_waiting = False
                    batch.append(place)
                    size += place.asked.size
                else:
                    others.append(place)
            self._places = others
            self._num_waiting -= size
            return batch

    def _gather(self) -> None:
        """Wait, with the lock given up, for requests that come hard on those that wait, as long as all of them can go together."""
        first, seconds = self._places[0], self._last.ended - self._last.begun
        until, seen = first.came + min(GATHERING, seconds), -1
        while self._num_asked != seen and self._num_waiting < self._max_batch and not self._is_closed and time.monotonic() < until:
            if any(place.asked.key != first.asked.key for place in self._places):
                return
            seen = self._num_asked
            self._changed.release()
            try:
                time.sleep(min(LULL, LULL_SHARE * seconds))
            finally:
                self._changed.acquire()


def _deliver(answers: "Sequence[tuple[asyncio.Future[R], R | Exception]]") -> None:
    for future, answer in answers:
        if future.done():
            continue
        if isinstance(answer, Exception):
            stops = isinstance(answer, StopIteration)  # which no future takes
            future.set_exception(RuntimeError(repr(answer)) if stops else answer)
        else:
            future.set_result(answer)
