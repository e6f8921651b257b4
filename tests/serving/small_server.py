"""A server over a tiny artifact, in process and over loopback."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

from starlette.testclient import TestClient

from cobrarec import pipeline
from cobrarec.config import RunOptions
from cobrarec.serving.app import create_app
from cobrarec.serving.server_settings import ServerSettings
from cobrarec.serving.service import Service
from small_run import small_config, small_world

TOKEN = "0123456789abcdef-token"


@cache
def fitted_run() -> Path:
    """A run of the predictable world, fitted once a session."""
    folder = Path(mkdtemp(prefix="cobrarec-serving-")) / "run"
    items, interactions = small_world()
    pipeline.fit(items, interactions, folder, small_config(), RunOptions(seed=3))
    return folder


def artifact_in(folder: Path, name: str = "artifact") -> Path:
    """A copy of the artifact to change."""
    return Path(shutil.copytree(fitted_run() / "artifact", folder / name))


@contextlib.contextmanager
def in_process(folder: Path, is_loopback: bool = True, **settings):
    """A test client of the application over `folder`, and its service."""
    service = Service(folder, ServerSettings(**settings))
    app = create_app(service, is_loopback)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        yield client, service


def item_ids(count: int = 48) -> list[str]:
    """Ids of the predictable world."""
    return small_world()[0]["item_id"].to_pylist()[:count]


def free_port() -> int:
    """A port of loopback that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def over_loopback(folder: Path, *options: str, **environment: str):
    """`cobrarec serve` as a process of its own: its address and the process, which is stopped in the end.

    Without the page, which takes seconds to load.
    """
    port = free_port()
    words = [sys.executable, "-m", "cobrarec", "serve", "--artifact", str(folder), "--port", str(port), "--num-threads", "1", *options]
    words.append("--no-page")
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **environment})
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until_ready(url, process)
        yield url, process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def wait_until_ready(url: str, process: subprocess.Popen[str], seconds: float = 120) -> None:
    """Return when the server answers; fail with its words where it ends before."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise AssertionError(f"The server ended with {process.returncode}: {process.communicate()[0]}")
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/ready", timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise AssertionError("The server is not ready")
