"""The server: one process that also writes, or several that share its memory and only read."""

import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from cobrarec.errors import ConfigError
from cobrarec.serving.prefork import Supervisor
from cobrarec.serving.server_settings import TOKEN_VARIABLE, check_address
from cobrarec.serving.worker import WorkerPlan, listen, work


def read_token(token_file: Path | None) -> str | None:
    """The token of a file, else of the environment variable `COBRAREC_TOKEN`, else None.

    Raises:
        ConfigError: the file cannot be read or is empty.
    """
    if token_file is None:
        return os.environ.get(TOKEN_VARIABLE, "").strip() or None
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
        num_workers: with more than one, each is a process of its own and none of them changes items; see `prefork`.
        told: told where it listens.

    Raises:
        ConfigError: an address that needs a token, or that is taken.
        ArtifactError: the artifact is refused.
    """
    check_address(plan.address.host, plan.settings)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    listening = listen(plan.address)
    where = _where(plan, listening.getsockname()[1])
    with listening:
        if num_workers == 1:
            work(plan, listening, lambda: told(where))
            return
        supervisor = Supervisor(plan, num_workers, listening)
        told(where)
        supervisor.run()


def _where(plan: WorkerPlan, port: int) -> str:
    host = f"[{plan.address.host}]" if ":" in plan.address.host else plan.address.host
    return f"Serving on http://{host}:{port} (documentation at /docs{', page at /ui' if plan.page else ''})"
