"""What a server allows and how it behaves; none of it changes a list."""

import hmac
from dataclasses import dataclass, field

from cobrarec.errors import ConfigError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
TOKEN_VARIABLE = "COBRAREC_TOKEN"


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Limits of a server. Requests beyond them are refused in one sentence, none is cut silently."""

    token: str | None = field(default=None, repr=False)
    """Bearer token that guards writes, reload and metrics; None leaves them open, on loopback alone."""
    read_only: bool = False
    """Refuse changes of items."""
    max_body_bytes: int = 8 << 20
    """Largest request body."""
    max_waiting: int = 2000
    """Histories that may wait for the model; beyond, requests are answered with 503 and `Retry-After`."""
    max_batch: int = 256
    """Histories that go through the model at once."""
    time_limit: float = 10.0
    """Seconds that a request for lists may take, waiting included; then it is answered with 503."""

    def is_token(self, given: bytes) -> bool:
        """Whether that is the token, compared in constant time; anything is where there is none."""
        return self.token is None or hmac.compare_digest(given.strip(), self.token.encode())

    def __post_init__(self) -> None:
        if self.token is not None and len(self.token) < 16:
            raise ConfigError("The token has fewer than 16 characters; make one with `openssl rand -hex 32`, for example.")


def check_address(host: str, settings: ServerSettings) -> None:
    """Refuse to listen where others can reach it without a token.

    Raises:
        ConfigError: another address than loopback, and no token.
    """
    if host not in LOOPBACK and settings.token is None:
        raise ConfigError(
            f"--host {host} can be reached by others, and there is no token to guard writes, reload and metrics; give --token-file FILE, "
            f"or set {TOKEN_VARIABLE}, or listen on 127.0.0.1 behind a proxy that checks who asks."
        )
