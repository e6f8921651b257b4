"""One worker: a process that answers on a listening socket until it is told to stop."""

import asyncio
import logging
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from cobrarec.errors import CobraRecError, ConfigError
from cobrarec.serving.app import create_app
from cobrarec.serving.bounded_http import BoundedHttp
from cobrarec.serving.server_settings import LOOPBACK, ServerSettings
from cobrarec.serving.service import Served, Service
from cobrarec.training.job import torch_threads

logger = logging.getLogger("cobrarec.serving")
LEAVING = 1.0
"""Seconds in which a worker that stops still answers on the connections it has, each with `connection: close`."""
GRACE = 30
"""Seconds in which requests that are under way are finished when a worker stops."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a server listens."""

    host: str = "127.0.0.1"
    port: int = 8000


@dataclass(frozen=True, kw_only=True)
class WorkerPlan:
    """All that a worker is told."""

    folder: Path
    address: Address
    settings: ServerSettings
    device: str = "cpu"
    num_threads: int | None = None
    page: bool = False
    """Mount the page at /ui."""
    interactions: Path | None = None
    """Table of the users whose histories the page can take."""


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
        told = (getattr(error, "strerror", None) or str(error)).rstrip(".")
        raise ConfigError(f"Cannot listen on {address.host} port {address.port}: {told}; give another --host or --port.") from None
    return listening


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

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no new connections, tell those that ask on to open another one, then finish what is under way and end."""
        self._service.is_leaving = True
        for server in self.servers:
            server.close()
        if self.server_state.connections:
            await asyncio.sleep(LEAVING)
        await super().shutdown(sockets)


def _reload(service: Service) -> None:
    """Reload as SIGHUP asks for; what is wrong goes to the log, the old artifact stays."""
    try:
        if not service.reload(waits=True).is_new:
            logger.info("reload: nothing new")
    except (CobraRecError, OSError) as error:
        logger.error("reload refused, the old artifact stays: %s", error)


def work(
    plan: WorkerPlan,
    listening: socket.socket,
    ready: Callable[[], None],
    loaded: Served | None = None,
    ask_reload: Callable[[], None] | None = None,
) -> None:
    """Load, answer on `listening`, until told to stop.

    Args:
        plan: what to serve, and how.
        listening: where requests come from; other workers may hold it too.
        ready: called when requests are answered.
        loaded: the artifact as another process has loaded it, to be read only.
        ask_reload: asks that process for what lies in the artifact's place now.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload
    with torch_threads(plan.num_threads):
        service = Service(plan.folder, plan.settings, plan.device, loaded=loaded, ask_reload=ask_reload)
        app = create_app(service, is_loopback=plan.address.host in LOOPBACK)
        if plan.page:
            from cobrarec.serving.page.mount import mount_page

            mount_page(app, plan.interactions)
        config = uvicorn.Config(
            app,
            http=BoundedHttp,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE,
            timeout_keep_alive=30,
            lifespan="on",
        )
        _Server(config, service, ready).run(sockets=[listening])
