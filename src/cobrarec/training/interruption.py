"""Ctrl-C and SIGTERM between steps only: what must not be done by halves is shielded."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn


class Terminated(KeyboardInterrupt):
    """SIGTERM, which schedulers send some time before they kill."""


def terminated(number: int, frame: FrameType | None) -> NoReturn:
    """A handler for SIGTERM that is treated as Ctrl-C is."""
    raise Terminated


@contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """SIGTERM inside the block raises `Terminated`, unless somebody else handles it."""
    is_ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if is_ours:
        signal.signal(signal.SIGTERM, terminated)
    try:
        yield
    finally:
        if is_ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


class _Remembered:
    """A signal handler that only notes that the signal came."""

    came = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.came = True


@contextmanager
def interruption_deferred() -> Iterator[None]:
    """A signal inside the block raises its KeyboardInterrupt when the block is over.

    Outside the main thread, and for signals that somebody else handles, nothing is changed.
    """
    usual: dict[signal.Signals, Any] = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: terminated}
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    remembered = {number: _Remembered() for number, handler in usual.items() if signal.getsignal(number) is handler}
    for number, note in remembered.items():
        signal.signal(number, note)
    try:
        yield
    finally:
        for number in remembered:
            signal.signal(number, usual[number])
    for number, note in remembered.items():
        if note.came:
            usual[number](number, None)
