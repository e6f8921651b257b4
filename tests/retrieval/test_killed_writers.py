"""A writer that is killed with -9 while it writes: every change it was told of is there, and none is half there."""

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pyarrow as pa
import pytest

from cobrarec import pipeline
from cobrarec.artifact import load_artifact, open_live_catalog
from cobrarec.config import RunOptions
from small_run import small_config, small_world

PART = 3
"""Items per change: all of them are there or none."""


def write_until_killed(folder: Path, told: int, round_number: int) -> None:
    """In a process of its own: change items and tell each change that was acknowledged."""
    live = open_live_catalog(folder, "a writer that is killed")
    os.write(told, b"open\n")
    schema = live.recommender.catalog.table.schema
    for number in range(10_000):
        name = f"{round_number}-{number}"
        rows = [{"item_id": f"{name}-{place}", "title": f"thing {place} of {name}"} for place in range(PART)]
        version = live.put(pa.Table.from_pylist(rows, schema=schema)).catalog_version
        os.write(told, f"put {name} {version}\n".encode())
        if number % 3 == 2:
            version = live.remove([f"{name}-{place}" for place in range(PART)]).catalog_version
            os.write(told, f"removed {name} {version}\n".encode())


def killed_after(folder: Path, seconds: float, round_number: int) -> list[list[str]]:
    """Start a writer, kill it so long after it has begun, and return what it told."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # never comes back
        try:
            write_until_killed(folder, writing, round_number)
        finally:
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as told:
        assert told.readline() == "open\n"
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return [line.split() for line in told.read().splitlines()]


def kill_writers(folder: Path, times: int) -> int:
    """Kill a writer so many times and look what is there each time; the number of changes that were acknowledged."""
    chosen, acknowledged = random.Random(0), 0
    for round_number in range(times):
        lines = killed_after(folder, chosen.uniform(0, 0.15), round_number)
        acknowledged += len(lines)
        catalog = load_artifact(folder).catalog
        state = {name: kind for kind, name, _ in lines}
        last = max((int(name.split("-")[1]) for name in state), default=-1)
        for number in range(last + 2):  # one more may be on disk without having been told
            name = f"{round_number}-{number}"
            there = [f"{name}-{place}" in catalog for place in range(PART)]
            listed = [bool(catalog.is_listed[catalog.find(f"{name}-{place}")]) for place in range(PART) if there[place]]
            assert len(set(there)) == 1, f"{name} is half there"
            assert len(set(listed)) <= 1, f"{name} is half removed"
            assert name not in state or all(there), f"{name} was acknowledged and is gone"
            assert state.get(name) != "removed" or not any(listed), f"{name} was removed and is back"
    return acknowledged


@pytest.fixture
def folder(tmp_path):
    pipeline.fit(*small_world(), tmp_path / "run", small_config(), RunOptions(num_threads=1))
    return Path(shutil.move(tmp_path / "run" / "artifact", tmp_path / "artifact"))


def test_a_killed_writer_leaves_all_it_acknowledged(folder):
    assert kill_writers(folder, 3) > 0


@pytest.mark.slow
def test_two_hundred_killed_writers_leave_all_they_acknowledged(folder):
    assert kill_writers(folder, 200) > 200
