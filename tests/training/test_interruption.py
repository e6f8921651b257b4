"""Ctrl-C waits for the end of the block, and the handler is put back."""

import signal
import threading

import pytest

from cobrarec.training.interruption import Terminated, interruption_deferred, sigterm_interrupts

pytestmark = pytest.mark.usefixtures("ctrl_c_interrupts")


def test_an_interruption_comes_when_the_block_is_over() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), interruption_deferred():  # noqa: PT012
        signal.raise_signal(signal.SIGINT)
        done.append("the rest of the block")
    assert done == ["the rest of the block"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_sigterm_waits_too_and_is_told_apart() -> None:
    done = []
    with sigterm_interrupts():
        with pytest.raises(Terminated):
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Terminated), interruption_deferred():  # noqa: PT012
            signal.raise_signal(signal.SIGTERM)
            done.append("the rest of the block")
    assert done == ["the rest of the block"]
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_nothing_happens_without_one() -> None:
    with interruption_deferred():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_inside_the_block_is_not_hidden() -> None:
    with pytest.raises(ValueError, match="inside"), interruption_deferred():
        raise ValueError("inside")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_handler_is_left_alone() -> None:
    seen: list[int] = []
    mine = signal.signal(signal.SIGINT, lambda number, frame: seen.append(number))
    try:
        with interruption_deferred():
            signal.raise_signal(signal.SIGINT)
            assert seen == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, mine)


def test_other_threads_can_use_it() -> None:
    done: list[bool] = []

    def work() -> None:
        with interruption_deferred():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
