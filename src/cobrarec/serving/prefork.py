"""Several workers: forked from a process that has loaded the artifact, so that they share its memory; none of them changes items.

A reload loads the other artifact in the first process, forks new workers, and stops the old ones when the new ones answer: there are always
workers on the socket, and the old ones finish what they hold.
"""

import logging
import os
import select
import signal
import socket
import threading
import time
from contextlib import suppress
from dataclasses import replace
from types import FrameType

from cobrarec.artifact import catalog_hash
from cobrarec.errors import MachineError
from cobrarec.serving.service import Served, load_to_read, settle
from cobrarec.serving.worker import GRACE, WorkerPlan, work
from cobrarec.training.job import torch_threads

logger = logging.getLogger("cobrarec.serving")
LOOK_EVERY = 0.5
"""Seconds between looks after the workers."""
RESTART_PAUSE = 2.0
"""Seconds between starts of workers in the place of those that died."""
READY_WITHIN = 120.0
"""Seconds that a new worker may take to answer."""
STOPPED = (signal.SIGTERM, signal.SIGINT)


class Supervisor:
    """The first process: starts workers, starts those again that die, hands signals on."""

    def __init__(self, plan: WorkerPlan, num_workers: int, listening: socket.socket) -> None:
        self._plan = replace(plan, settings=replace(plan.settings, read_only=True))
        self._num_workers, self._listening = num_workers, listening
        self._came: set[int] = set()
        self._woken, self._wake = os.pipe()  # no Event: a handler that sets one waits for ever for a lock that its own thread holds
        for end in (self._woken, self._wake):
            os.set_blocking(end, False)
        self._workers: set[int] = set()
        self._leaving: set[int] = set()
        self._not_before = 0.0
        self._loaded, self._hash = self._load()

    def run(self) -> None:
        """Until SIGTERM or Ctrl-C."""
        signals = (*STOPPED, signal.SIGHUP, signal.SIGCHLD)
        previous = {number: signal.signal(number, self._note) for number in signals}
        try:
            self._workers = self._started()
            while not self._came.intersection(STOPPED):
                if select.select([self._woken], [], [], LOOK_EVERY)[0]:
                    os.read(self._woken, 4096)
                if signal.SIGHUP in self._came:
                    self._came.discard(signal.SIGHUP)
                    self._reload()
                self._replace_dead()
        finally:
            self._stop(self._workers)
            self._wait(time.monotonic() + GRACE + 5)
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        self._came.add(number)
        with suppress(BlockingIOError):  # full: it wakes anyway
            os.write(self._wake, b"!")

    def _load(self) -> tuple[Served, str]:
        """The artifact, with one thread: a pool of threads would not be there in a forked process."""
        named = catalog_hash(self._plan.folder)
        with torch_threads(1):
            loaded = load_to_read(self._plan.folder, self._plan.device)
        settle()
        return loaded, named

    def _started(self) -> set[int]:
        """New workers that answer; raises MachineError, having stopped them all, where one of them does not."""
        begun: list[tuple[int, int]] = []
        try:
            for _ in range(self._num_workers):
                begun.append(self._fork())
            until = time.monotonic() + READY_WITHIN
            failed = [worker for worker, ready in begun if not _answers(ready, until)]
            if failed:
                told = ", ".join(_ended(set(failed)).values()) or f"no answer within {READY_WITHIN:g} s"
                raise MachineError(f"{len(failed)} of {len(begun)} workers did not start ({told}).")
        except BaseException:
            self._stop({worker for worker, _ in begun})
            raise
        finally:
            for _, ready in begun:
                os.close(ready)
        return {worker for worker, _ in begun}

    def _fork(self) -> tuple[int, int]:
        """A worker's process, and the end of a pipe on which it says that it answers."""
        reading, writing = os.pipe()
        first = os.getpid()
        try:
            worker = os.fork()
        except OSError:
            os.close(reading)
            os.close(writing)
            raise
        if worker == 0:  # never comes back
            try:
                os.close(reading)
                for number in (signal.SIGCHLD, *STOPPED):
                    signal.signal(number, signal.SIG_DFL)
                self._work(writing, first)
                os._exit(0)
            except BaseException:
                logger.exception("a worker ended")
                os._exit(1)
        os.close(writing)
        return worker, reading

    def _work(self, writing: int, first: int) -> None:
        threading.Thread(target=_end_with, args=(first,), daemon=True).start()

        def ready() -> None:
            """Tell the first process, if it listens."""
            with suppress(OSError):
                os.write(writing, b"!")
            os.close(writing)

        work(self._plan, self._listening, ready, loaded=self._loaded, ask_reload=lambda: os.kill(first, signal.SIGHUP))

    def _reload(self) -> None:
        """Take what lies in the artifact's place now; on any trouble the old one stays."""
        try:
            if catalog_hash(self._plan.folder) == self._hash:
                logger.info("reload: nothing new")
                return
            old = self._loaded, self._hash
            self._loaded, self._hash = self._load()
            try:
                started = self._started()
            except BaseException:
                self._loaded, self._hash = old
                raise
            logger.info("reloaded: artifact %s", self._hash[:12])
            self._workers, leaving = started, self._workers
            self._stop(leaving)
        except Exception as error:  # nothing that is wrong with the new one may stop the old one
            logger.error("reload refused, the old artifact stays: %s", error)

    def _replace_dead(self) -> None:
        for worker, how in _ended(self._workers | self._leaving).items():
            self._leaving.discard(worker)
            if worker in self._workers:
                self._workers.discard(worker)
                logger.error("worker %d ended (%s); another one takes its place", worker, how)
        missing = self._num_workers - len(self._workers)
        if missing <= 0 or time.monotonic() < self._not_before:
            return
        self._not_before = time.monotonic() + RESTART_PAUSE
        try:
            for _ in range(missing):
                fresh, ready = self._fork()
                os.close(ready)  # nothing waits for it
                self._workers.add(fresh)
        except OSError as error:
            logger.error("no worker could be started: %s", error)

    def _stop(self, workers: set[int]) -> None:
        """Tell workers to finish what they hold and end."""
        for worker in workers:
            try:
                os.kill(worker, signal.SIGTERM)
            except ProcessLookupError:
                continue
        self._leaving |= workers
        self._workers -= workers

    def _wait(self, until: float) -> None:
        """Until all have ended; those that do not are killed."""
        while self._leaving and time.monotonic() < until:
            self._leaving -= _ended(self._leaving).keys()
            time.sleep(0.05)
        for worker in self._leaving:
            os.kill(worker, signal.SIGKILL)
            os.waitpid(worker, 0)


def _end_with(first: int) -> None:
    """Stop this worker once the first process is gone, which could not say so."""
    while os.getppid() == first:
        time.sleep(LOOK_EVERY)
    os.kill(os.getpid(), signal.SIGTERM)


def _answers(ready: int, until: float) -> bool:
    """Whether a worker says in time that it answers."""
    os.set_blocking(ready, False)
    while time.monotonic() < until:
        try:
            return os.read(ready, 1) == b"!"
        except BlockingIOError:
            time.sleep(0.02)
    return False


def _ended(workers: set[int]) -> dict[int, str]:
    """Those that have ended, and how."""
    ended = {}
    for worker in workers:
        try:
            found, status = os.waitpid(worker, os.WNOHANG)
        except ChildProcessError:
            found, status = worker, 0
        if found:
            code = os.waitstatus_to_exitcode(status)
            ended[worker] = f"exit code {code}" if code >= 0 else f"killed by signal {-code}"
    return ended
