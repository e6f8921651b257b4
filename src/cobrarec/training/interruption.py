"""Ctrl-C between steps only: what must not be done by halves is shielded."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class _Remembered:
    """A signal handler that only notes that the signal came."""

    came = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.came = True


@contextmanager
def interruption_deferred() -> Iterator[None]:
    """A Ctrl-C inside the block raises KeyboardInterrupt when the block is over.

    Outside the main thread, and where somebody else handles the signal, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    remembered = _Remembered()
    signal.signal(signal.SIGINT, remembered)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if remembered.came:
        raise KeyboardInterrupt
