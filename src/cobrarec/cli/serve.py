"""`cobrarec serve`: from options to a server."""

from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING

from cobrarec.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from cobrarec.cli.artifact_commands import Serve
    from cobrarec.cli.screen import Screen

PARTS = ("fastapi", "fastapi_offline", "uvicorn", "httptools", "prometheus_client", "httpx")


def serve_command(command: "Serve", screen: "Screen") -> None:
    """Serve as `command` says, until SIGTERM or Ctrl-C."""
    missing = [name for name in PARTS if find_spec(name) is None]
    if missing:
        raise MissingExtraError(f"`cobrarec serve` needs {missing[0]}, which is not installed: pip install 'cobrarec[serve]'")
    from cobrarec.serving.server import read_token, serve
    from cobrarec.serving.server_settings import ServerSettings
    from cobrarec.serving.worker import Address, WorkerPlan

    for name in ("workers", "time_limit", "max_waiting"):
        if getattr(command, name) <= 0:
            raise ConfigError(f"--{name.replace('_', '-')} is {getattr(command, name)}, expected more than 0.")
    if command.workers > 1 and command.device != "cpu":
        raise ConfigError("Several workers are forked from one process, which a GPU does not survive; give --workers 1 or --device cpu.")
    settings = ServerSettings(
        token=read_token(command.token_file),
        read_only=command.read_only,
        time_limit=command.time_limit,
        max_waiting=command.max_waiting,
    )
    address = Address(host=command.host, port=command.port)
    plan = WorkerPlan(
        folder=command.artifact,
        address=address,
        settings=settings,
        device=command.device,
        num_threads=command.num_threads,
        page=_wants_page(command, screen),
        interactions=command.interactions,
    )
    with suppress(KeyboardInterrupt):
        serve(plan, command.workers, screen.line)
    screen.message("Stopped.")


def _wants_page(command: "Serve", screen: "Screen") -> bool:
    """Whether there is a page; says how to get it where gradio is missing.

    Raises:
        ConfigError, MissingExtraError: users were given for a page that there is not.
    """
    if command.no_page:
        if command.interactions is not None:
            raise ConfigError("--interactions is for the page, and --no-page leaves it away; give one of them.")
        return False
    if find_spec("gradio") is not None:
        return True
    if command.interactions is not None:
        raise MissingExtraError("--interactions is for the page, which needs gradio: pip install 'cobrarec[ui]'")
    screen.message("There is no page at /ui, which needs gradio: pip install 'cobrarec[ui]'")
    return False
