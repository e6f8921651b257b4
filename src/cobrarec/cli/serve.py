"""`cobrarec serve`: from options to a server."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from cobrarec.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from cobrarec.cli.artifact_commands import Serve
    from cobrarec.cli.screen import Screen

PARTS = ("fastapi", "uvicorn", "prometheus_client", "httpx")


def serve_command(command: "Serve", screen: "Screen") -> None:
    """Serve as `command` says, until SIGTERM or Ctrl-C."""
    missing = [name for name in PARTS if find_spec(name) is None]
    if missing:
        raise MissingExtraError(f"`cobrarec serve` needs {missing[0]}, which is not installed: pip install 'cobrarec[serve]'")
    from cobrarec.serving.server import read_token, serve
    from cobrarec.serving.settings import ServerSettings
    from cobrarec.serving.worker import Address, WorkerPlan

    for name in ("workers", "time_limit", "max_waiting"):
        if getattr(command, name) <= 0:
            raise ConfigError(f"--{name.replace('_', '-')} is {getattr(command, name)}, expected more than 0.")
    settings = ServerSettings(
        token=read_token(command.token_file),
        read_only=command.read_only,
        time_limit=command.time_limit,
        max_waiting=command.max_waiting,
    )
    address = Address(host=command.host, port=command.port)
    plan = WorkerPlan(folder=command.artifact, address=address, settings=settings, device=command.device, num_threads=command.num_threads)
    try:
        serve(plan, command.workers, screen.line)
    except KeyboardInterrupt:
        screen.message("Stopped.")
