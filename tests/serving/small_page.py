"""The desk of the page over a tiny artifact, without gradio."""

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pyarrow.parquet as pq
from small_server import artifact_in, free_port, wait_until_ready

from cobrarec import pipeline
from cobrarec.config import RunOptions
from cobrarec.serving.page.desk import Desk
from cobrarec.serving.page.known_users import KnownUsers
from cobrarec.serving.server_settings import ServerSettings
from cobrarec.serving.service import Service
from small_run import small_config, small_world


@cache
def deep_run() -> Path:
    """A run with two levels of codes, fitted once a session."""
    folder = Path(mkdtemp(prefix="cobrarec-page-")) / "run"
    pipeline.fit(*small_world(), folder, small_config(semantic_ids={"num_levels": 2, "codebook_size": 4}), RunOptions(seed=3))
    return folder


@cache
def popularity_run() -> Path:
    """A run without a network, fitted once a session."""
    folder = Path(mkdtemp(prefix="cobrarec-page-")) / "run"
    pipeline.fit(*small_world(), folder, {"ranker": "popularity"}, RunOptions(seed=3))
    return folder


def deep_artifact(folder: Path) -> Path:
    """The whole run, copied, to serve and change; its artifact."""
    return Path(shutil.copytree(deep_run(), folder / "run")) / "artifact"


def interactions_in(folder: Path) -> Path:
    """The interactions that the runs were fitted with."""
    pq.write_table(small_world()[1], folder / "interactions.parquet")
    return folder / "interactions.parquet"


@contextlib.contextmanager
def page_over_loopback(folder: Path, *options: str, **environment: str):
    """`cobrarec serve` with the page, as a process of its own: its address and the process.

    Its log goes to a file: a page asks for so many files that it would fill a pipe which nobody reads.
    """
    port = free_port()
    known = ["--interactions", str(interactions_in(folder.parent))]
    words = [
        sys.executable,
        "-m",
        "cobrarec",
        "serve",
        "--artifact",
        str(folder),
        "--port",
        str(port),
        "--num-threads",
        "1",
        *known,
        *options,
    ]
    with (folder.parent / "log").open("w") as log:
        process = subprocess.Popen(words, stdout=log, stderr=subprocess.STDOUT, text=True, env={**os.environ, **environment})
        try:
            wait_until_ready(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}", process
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextlib.contextmanager
def desk_over(folder: Path, users: bool = False, **settings):
    """A desk over an artifact in `folder`, deep where it has the name of one."""
    artifact = folder if (folder / "manifest.json").exists() else artifact_in(folder)
    service = Service(artifact, ServerSettings(**settings))
    known = KnownUsers.read(interactions_in(folder.parent), service.recommender.catalog) if users else None
    try:
        yield Desk(service, known)
    finally:
        service.close()


def answer(work):
    """What a coroutine of the desk brings."""
    return asyncio.run(work)


def words_of(markup: str) -> str:
    """The text of HTML, as a person reads it."""
    return " ".join(re.sub(r"<[^>]*>", " ", markup).split())


def still(desk: Desk) -> list[float]:
    """The dials as they stand."""
    return [dial.default for dial in desk.dials]


def turned_to(desk: Desk, **values: float) -> list[float]:
    """The dials as they stand, but for some."""
    return [values.get(dial.name, dial.default) for dial in desk.dials]
