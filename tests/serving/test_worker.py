import pytest

from cobrarec.errors import ConfigError
from cobrarec.serving.worker import Address, listen


def test_an_address_that_is_taken_is_told():
    with listen(Address(port=0)) as first, pytest.raises(ConfigError, match="Cannot listen on 127.0.0.1 port"):
        listen(Address(port=first.getsockname()[1]))
    with pytest.raises(ConfigError, match="Cannot listen"):
        listen(Address(port=123456))
