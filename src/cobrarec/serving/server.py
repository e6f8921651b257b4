"""The server as a process: one worker that also writes, or several that share the files of the artifact and only read."""

import asyncio
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType

import uvicorn

from cobrarec.artifact_manifest import verify_files
from cobrarec.errors import CobraRecError, ConfigError, MachineError
from cobrarec.serving.app import create_app
from cobrarec.serving.service import Service
from cobrarec.serving.settings import LOOPBACK, TOKEN_VARIABLE, ServerSettings, check_address
from cobrarec.training.job import torch_threads

logger = logging.getLogger("cobrarec.serving")
GRACE = 30
"""Seconds in which requests that are under way are finished when the server stops."""
RESTART_PAUSE = 1.0
"""Seconds before a worker that died is started again."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a server listens."""

    host: str = "127.0.0.1"
    port: int = 8000


@dataclass(frozen=True, kw_only=True)
class WorkerPlan:
    """All that a worker is told; it crosses to other processes."""

    folder: Path
    address: Address
    settings: ServerSettings
    device: str = "cpu"
    num_threads: int | None = None


def read_token(token_file: Path | None) -> str | None:
    """The token of a file, else of the environment variable `COBRAREC_TOKEN`, else None.

    Raises:
        ConfigError: the file cannot be read or is empty.
    """
    if token_file is None:
        return os.environ.get(TOKEN_VARIABLE) or None
    try:
        token = token_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"--token-file {token_file} cannot be read ({type(error).__name__}); give a text file with the token.") from None
    if not token:
        raise ConfigError(f"--token-file {token_file} is empty; write a token into it, such as `openssl rand -hex 32` makes.")
    return token


def serve(plan: WorkerPlan, num_workers: int = 1, told: Callable[[str], None] = print) -> None:
    """Serve until SIGTERM or Ctrl-C; SIGHUP takes what lies in the artifact's place then.

    Args:
        plan: what to serve, and how.
        num_workers: with more than one, each is a process of its own and none of them changes items.
        told: told where it listens.

    Raises:
        ConfigError: an address that needs a token, or that is taken.
        ArtifactError: the artifact is refused.
    """
    check_address(plan.address.host, plan.settings)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    listening = listen(plan.address)
    bound = listening.getsockname()[1]
    with listening:
        if num_workers == 1:
            _work(plan, listening, lambda: told(_where(plan.address, bound)))
            return
        verify_files(plan.folder)
        told(_where(plan.address, bound))
        _supervise(replace(plan, settings=replace(plan.settings, read_only=True)), num_workers, listening)


def listen(address: Address) -> socket.socket:
    """A listening socket; raises ConfigError where the address cannot be had."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((address.host, address.port))
        listening.listen(2048)
    except (OSError, OverflowError) as error:
        listening.close()
        told = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"Cannot listen on {address.host} port {address.port}: {told}; give another --host or --port.") from None
    listening.set_inheritable(True)
    return listening


def _where(address: Address, port: int) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"Serving on http://{host}:{port} (documentation at /docs)"


class _Server(uvicorn.Server):
    """uvicorn, which says when it is ready and reloads on SIGHUP."""

    def __init__(self, config: uvicorn.Config, service: Service, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._service, self._ready = service, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to answer."""
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, lambda: threading.Thread(target=_reload, args=(self._service,), daemon=True).start())
        self._ready()


def _reload(service: Service) -> None:
    """Reload as SIGHUP asks for; what is wrong goes to the log, the old artifact stays."""
    try:
        if not service.reload():
            logger.info("reload: nothing new")
    except (CobraRecError, OSError) as error:
        logger.error("reload refused, the old artifact stays: %s", error)


def _work(plan: WorkerPlan, listening: socket.socket, ready: Callable[[], None]) -> None:
    """One worker: load, listen, answer, until it is told to stop."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    with torch_threads(plan.num_threads):
        service = Service(plan.folder, plan.settings, plan.device)
        app = create_app(service, is_loopback=plan.address.host in LOOPBACK)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE,
            timeout_keep_alive=30,
            lifespan="on",
        )
        _Server(config, service, ready).run(sockets=[listening])


def _work_apart(plan: WorkerPlan, listening: socket.socket) -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(process)d %(message)s")
    try:
        _work(plan, listening, lambda: logger.info("worker is ready"))
    except (CobraRecError, MachineError) as error:
        logger.error("%s", error)
        sys.exit(2)


def _supervise(plan: WorkerPlan, num_workers: int, listening: socket.socket) -> None:
    """Start workers, start those again that die, hand signals on, end with the last one."""
    context = multiprocessing.get_context("spawn")
    came: set[int] = set()
    asked = threading.Event()

    def note(number: int, _: FrameType | None) -> None:
        came.add(number)
        asked.set()

    previous = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}

    def start() -> multiprocessing.process.BaseProcess:
        worker = context.Process(target=_work_apart, args=(plan, listening), name="cobrarec-worker")
        worker.start()
        return worker

    workers = [start() for _ in range(num_workers)]
    try:
        while not came & {signal.SIGTERM, signal.SIGINT}:
            asked.wait(RESTART_PAUSE)
            asked.clear()
            if signal.SIGHUP in came:
                came.remove(signal.SIGHUP)
                _hand_on_reload(plan.folder, workers)
            if not came & {signal.SIGTERM, signal.SIGINT}:
                workers = [worker if worker.is_alive() else _again(worker, start) for worker in workers]
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        for worker in workers:
            worker.terminate()
        deadline = time.monotonic() + GRACE + 5
        for worker in workers:
            worker.join(max(0.1, deadline - time.monotonic()))
            if worker.is_alive():
                worker.kill()


def _hand_on_reload(folder: Path, workers: "list[multiprocessing.process.BaseProcess]") -> None:
    """SIGHUP to every worker, if what lies there is whole."""
    try:
        verify_files(folder)
    except (CobraRecError, OSError) as error:
        logger.error("reload refused, the old artifact stays: %s", error)
        return
    for worker in workers:
        if worker.pid is not None and worker.is_alive():
            os.kill(worker.pid, signal.SIGHUP)


def _again(
    dead: "multiprocessing.process.BaseProcess", start: "Callable[[], multiprocessing.process.BaseProcess]"
) -> "multiprocessing.process.BaseProcess":
    if dead.exitcode == 2:
        raise ConfigError("A worker could not load the artifact; the log says why.")
    logger.error("worker %s ended with %s; starting another one", dead.pid, dead.exitcode)
    return start()
