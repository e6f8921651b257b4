"""Shapes in signatures are checked while the tests run: importing cobrarec goes through beartype's hook.

The tests run on the CPU, where the same training gives the same weights bit for bit, unless CUDA_VISIBLE_DEVICES names a GPU.
"""

import os
import signal

import pytest
from jaxtyping import install_import_hook

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
install_import_hook("cobrarec", "beartype.beartype")


@pytest.fixture
def ctrl_c_interrupts():
    """Python's own answer to Ctrl-C, which a process that was started in the background does not have."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
