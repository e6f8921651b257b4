import asyncio
import threading
import time
from dataclasses import dataclass

import pytest

from cobrarec.serving import batcher as batcher_module
from cobrarec.serving.batcher import GATHERING, Batcher, BusyError


@dataclass(frozen=True)
class Asked:
    value: int
    key: str = "k"
    size: int = 1


class Doubling:
    """Doubles; holds its first batch until it is let go, so that others wait."""

    def __init__(self, hold: bool = True) -> None:
        self.batches: list[list[int]] = []
        self.begun, self.go = threading.Event(), threading.Event()
        if not hold:
            self.go.set()

    def __call__(self, asked):
        self.batches.append([one.value for one in asked])
        self.begun.set()
        assert self.go.wait(20)
        if any(one.value < 0 for one in asked) and len(asked) > 1:
            return [ValueError("below 0") if one.value < 0 else 2 * one.value for one in asked]
        if asked[0].value == 666:
            raise RuntimeError("all of them")
        return [2 * one.value for one in asked]


async def held(doubling, max_waiting=100, max_batch=100, *asked):
    """A batcher that is busy with one request while all of `asked` come in, in their order; their tasks."""
    batcher = Batcher(doubling, max_waiting, max_batch)
    first = batcher.ask(Asked(0))
    await asyncio.to_thread(doubling.begun.wait, 20)
    tasks = []
    for one in asked:
        tasks.append(batcher.ask(one))
        await asyncio.sleep(0)
    return batcher, [first, *tasks]


def test_what_waits_goes_together_in_its_order():
    async def main():
        doubling = Doubling()
        batcher, tasks = await held(doubling, 100, 100, *(Asked(value) for value in range(1, 6)))
        assert batcher.num_waiting == 5
        doubling.go.set()
        assert await asyncio.gather(*tasks) == [0, 2, 4, 6, 8, 10]
        assert doubling.batches == [[0], [1, 2, 3, 4, 5]]
        assert batcher.num_waiting == 0
        batcher.close()

    asyncio.run(main())


def test_only_requests_of_one_kind_go_together_and_nobody_is_passed_for_ever():
    async def main():
        doubling = Doubling()
        asked = [Asked(1, "a"), Asked(2, "b"), Asked(3, "a"), Asked(4, "c"), Asked(5, "b")]
        batcher, tasks = await held(doubling, 100, 100, *asked)
        doubling.go.set()
        assert await asyncio.gather(*tasks) == [0, 2, 4, 6, 8, 10]
        assert doubling.batches == [[0], [1, 3], [2, 5], [4]]
        batcher.close()

    asyncio.run(main())


def test_a_batch_has_a_bound_but_a_large_request_is_answered_alone():
    async def main():
        doubling = Doubling()
        asked = [Asked(1, size=2), Asked(2, size=2), Asked(3, size=50), Asked(4, size=1)]
        batcher, tasks = await held(doubling, 100, 5, *asked)
        doubling.go.set()
        await asyncio.gather(*tasks)
        assert doubling.batches == [[0], [1, 2, 4], [3]]
        batcher.close()

    asyncio.run(main())


def test_a_full_queue_refuses_at_once():
    async def main():
        doubling = Doubling()
        batcher, tasks = await held(doubling, 3, 100, Asked(1), Asked(2, size=2))
        with pytest.raises(BusyError, match="ask again"):
            await batcher.ask(Asked(3))
        doubling.go.set()
        assert await asyncio.gather(*tasks) == [0, 2, 4]
        assert await batcher.ask(Asked(9, size=1000)) == 18, "a request larger than the queue is taken when nothing waits"
        batcher.close()

    asyncio.run(main())


def test_who_goes_away_is_not_worked_for():
    async def main():
        doubling = Doubling()
        batcher, tasks = await held(doubling, 100, 100, Asked(1), Asked(2))
        tasks[1].cancel()
        await asyncio.sleep(0)
        more = batcher.ask(Asked(7))
        assert batcher.num_waiting == 2, "who has left takes no room"
        doubling.go.set()
        assert await tasks[2] == 4
        assert await more == 14
        assert doubling.batches == [[0], [2, 7]]
        batcher.close()

    asyncio.run(main())


def test_what_goes_wrong_with_one_is_the_trouble_of_that_one():
    async def main():
        doubling = Doubling()
        batcher, tasks = await held(doubling, 100, 100, Asked(1), Asked(-1), Asked(2))
        doubling.go.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [answers[1], answers[3]] == [2, 4]
        assert isinstance(answers[2], ValueError)
        with pytest.raises(RuntimeError, match="all of them"):
            await batcher.ask(Asked(666))
        assert await batcher.ask(Asked(5)) == 10, "the thread goes on"
        batcher.close()

    asyncio.run(main())


def test_closing_answers_what_waits_and_refuses_the_rest():
    async def main():
        doubling = Doubling()
        batcher, tasks = await held(doubling, 100, 100, Asked(1))
        closing = asyncio.ensure_future(asyncio.to_thread(batcher.close))
        await asyncio.sleep(0.05)
        with pytest.raises(BusyError):
            await batcher.ask(Asked(2))
        doubling.go.set()
        assert await asyncio.gather(*tasks) == [0, 2]
        await closing

    asyncio.run(main())


def test_the_sizes_of_batches_are_told():
    async def main():
        doubling, sizes = Doubling(), []
        batcher, tasks = await held(doubling, 100, 100, Asked(1, size=3), Asked(2))
        batcher.batch_sizes = sizes.append
        doubling.go.set()
        await asyncio.gather(*tasks)
        batcher.close()
        assert sizes == [4]

    asyncio.run(main())


@pytest.mark.parametrize("answer", [lambda asked: [StopIteration()] * len(asked), lambda asked: [1], lambda asked: next(iter([]))])
def test_whatever_goes_wrong_nobody_waits_for_ever_and_the_thread_goes_on(answer):
    async def main():
        is_wrong = [True]
        batcher = Batcher(lambda asked: answer(asked) if is_wrong[0] else [2 * one.value for one in asked], 100, 100)
        asked = [batcher.ask(Asked(0)), batcher.ask(Asked(1)), batcher.ask(Asked(2))]
        await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 20)
        is_wrong[0] = False
        assert await asyncio.wait_for(batcher.ask(Asked(4)), 20) == 8
        batcher.close()

    asyncio.run(main())


def slow(seconds):
    """What answers after a while, and the sizes of its batches."""
    sizes = []

    def answer(asked):
        sizes.append(len(asked))
        time.sleep(seconds)
        return [2 * one.value for one in asked]

    return answer, sizes


def waits_for_others(monkeypatch, lull, share, gathering):
    """How long the batcher waits, in place of the little that it does."""
    for name, value in (("LULL", lull), ("LULL_SHARE", share), ("GATHERING", gathering)):
        monkeypatch.setattr(batcher_module, name, value)


def test_clients_who_ask_again_at_once_go_together(monkeypatch):
    waits_for_others(monkeypatch, lull=0.1, share=1, gathering=1)

    async def main():
        answer, sizes = slow(0.2)
        batcher = Batcher(answer, 100, 100)

        async def client(value):
            for _ in range(5):
                assert await batcher.ask(Asked(value)) == 2 * value
                await asyncio.sleep(0.01 * (value % 2))

        await asyncio.gather(*(client(value) for value in range(20)))
        assert len(sizes) <= 6
        assert set(sizes[1:-1]) == {20}
        batcher.close()

    asyncio.run(main())


def test_who_asks_alone_and_those_who_ask_for_different_things_do_not_wait(monkeypatch):
    waits_for_others(monkeypatch, lull=1, share=100, gathering=1)

    async def main():
        answer, sizes = slow(0.02)
        batcher = Batcher(answer, 100, 100)
        start = time.monotonic()
        for value in range(5):
            await batcher.ask(Asked(value))
        for _ in range(5):
            await asyncio.gather(*(batcher.ask(Asked(value, f"{value}")) for value in range(5)))
        assert sizes == [1] * 30
        assert time.monotonic() - start < 30 * 0.02 + 1
        batcher.close()

    asyncio.run(main())


def test_one_who_comes_long_after_a_batch_of_many_does_not_wait(monkeypatch):
    waits_for_others(monkeypatch, lull=5, share=100, gathering=GATHERING)

    async def main():
        answer, sizes = slow(0.06)
        batcher = Batcher(answer, 100, 100)
        first = batcher.ask(Asked(0))
        await asyncio.sleep(0.01)
        monkeypatch.setattr(batcher_module, "LULL", 0)
        await asyncio.gather(first, batcher.ask(Asked(1)), batcher.ask(Asked(2)))
        assert sizes == [1, 2]
        monkeypatch.setattr(batcher_module, "LULL", 5)
        await asyncio.sleep(2 * GATHERING)
        start = time.monotonic()
        await batcher.ask(Asked(3))
        assert time.monotonic() - start < 2
        batcher.close()

    asyncio.run(main())


def test_requests_that_come_without_end_are_not_gathered_without_end():
    async def main():
        answer, sizes = slow(GATHERING)
        batcher = Batcher(answer, 10**6, 10**6)
        until, asked = time.monotonic() + 20 * GATHERING, []
        while time.monotonic() < until:
            asked.append(batcher.ask(Asked(1)))
            await asyncio.sleep(0.001)
        await asyncio.gather(*asked)
        assert len(sizes) >= 3
        batcher.close()

    asyncio.run(main())


def test_the_thread_goes_on_when_all_that_were_gathered_have_left(monkeypatch):
    waits_for_others(monkeypatch, lull=0.3, share=10, gathering=1)

    async def main():
        answer, sizes = slow(0.05)
        batcher = Batcher(answer, 100, 100)
        await asyncio.gather(*(batcher.ask(Asked(value)) for value in range(3)))
        leaving = batcher.ask(Asked(3))
        await asyncio.sleep(0.02)  # others are waited for
        leaving.cancel()
        await asyncio.sleep(0.02)
        assert await batcher.ask(Asked(4)) == 8
        assert sum(sizes) == 4
        batcher.close()

    asyncio.run(main())
