import pytest

from cobrarec.errors import ConfigError
from cobrarec.serving.server_settings import ServerSettings, check_address


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_needs_no_token(host):
    check_address(host, ServerSettings())


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "example.com", ""])
def test_any_other_address_needs_one(host):
    with pytest.raises(ConfigError, match="no token to guard"):
        check_address(host, ServerSettings())
    check_address(host, ServerSettings(token="0123456789abcdef"))


def test_a_short_token_is_refused():
    with pytest.raises(ConfigError, match="fewer than 16 characters"):
        ServerSettings(token="secret")
