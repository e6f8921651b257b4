"""A server under load, with writes and reloads meanwhile: what it answers, how fast, and whether every list is the library's.

python benchmarks/serving_load.py --artifact A --histories X.parquet [--clients 64] [--seconds 60] [--k 10] [--quiet-only]

The server runs on the first core with one thread, the clients on the second. In six rounds, since a shared machine is now faster and now
slower, first the library answers the same histories in batches on the first core, then every client asks for one list at a time, over and
over. After a third of the rounds items are added, changed and removed twice a second, and in the middle of each round another artifact
takes the place of the served one and SIGHUP or /reload takes it up. Every list is then compared with what the library gives for the same
history from the same artifact at the same catalog version.
"""

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _machine import machine, milliseconds

from cobrarec.artifact import load_artifact
from cobrarec.data.interactions import read_histories
from cobrarec.data.tables import read_table
from cobrarec.retrieval.recommender import Recommender

CLOSE = 3e-5
"""Log scores nearer than this may swap their places: two roundings to 1e-5 of numbers that differ by float32 noise."""
CHANGES_PER_SECOND = 2
LIBRARY_SECONDS = 5
"""In each round."""
ROUNDS, QUIET_ROUNDS = 6, 2


@dataclass
class Seen:
    """What the clients saw."""

    status: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    lists: list[tuple[str, int, int, list[Any], list[float]]] = field(default_factory=list)
    changes: Counter[int] = field(default_factory=Counter)
    num_changes: int = 0
    reloads: int = 0


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """One request over an open connection: status and body."""
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    length = next(int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:"))
    return int(lines[0].split()[1]), await reader.readexactly(length)


async def client(port: int, histories: Sequence[list[Any]], k: int, until: float, seen: Seen, seed: int) -> None:
    """Ask for one list after the other."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    chosen = random.Random(seed)
    while time.monotonic() < until:
        user = chosen.randrange(len(histories))
        start = time.perf_counter()
        status, body = await ask(reader, writer, "POST", "/recommend", json.dumps({"histories": [histories[user]], "k": k}).encode())
        seen.seconds.append(time.perf_counter() - start)
        seen.status[status] += 1
        if status == 200:
            answer = json.loads(body)
            items = answer["lists"][0]
            found = [item["item_id"] for item in items], [item["score"] for item in items]
            seen.lists.append((answer["artifact"], answer["catalog_version"], user, *found))
        elif status == 503:
            await asyncio.sleep(1)
    writer.close()


async def change_items(port: int, item: dict[str, Any], until: float, seen: Seen) -> None:
    """Add, change and remove items."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.monotonic() < until:
        await asyncio.sleep(1 / CHANGES_PER_SECOND)
        name, seen.num_changes = f"load-{seen.num_changes // 3}", seen.num_changes + 1
        number = seen.num_changes
        if number % 3 == 0:
            status, _ = await ask(reader, writer, "DELETE", f"/items/{name}")
        else:
            put = {**item, "item_id": name, **({"title": f"{item.get('title')} again"} if number % 3 == 2 and "title" in item else {})}
            status, _ = await ask(reader, writer, "PUT", "/items", json.dumps({"items": [put]}).encode())
        seen.changes[status] += 1
    writer.close()


async def reload(port: int, process: int, link: Path, folders: Sequence[Path], until: float, seen: Seen) -> None:
    """Put another artifact into the served place and have it taken up, by turns over HTTP and by a signal."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.sleep((until - time.monotonic()) / 2)
    seen.reloads += 1
    point(link, folders[seen.reloads % len(folders)])
    if seen.reloads % 2:
        status, body = await ask(reader, writer, "POST", "/reload")
        assert status == 200, body
    else:
        os.kill(process, signal.SIGHUP)
    writer.close()


def point(link: Path, folder: Path) -> None:
    """Let `link` name `folder`, at once."""
    beside = link.with_name("next")
    beside.symlink_to(folder)
    os.replace(beside, link)


async def load(
    given: argparse.Namespace, number: int, process: int, place: tuple[Path, list[Path]], data: tuple[Any, Any], seen: Seen
) -> None:
    """One round: all clients at once, and, unless it is a quiet one, those that change something."""
    histories, item = data
    until = time.monotonic() + given.seconds / ROUNDS
    tasks = [client(given.port, histories, given.k, until, seen, number * given.clients + seed) for seed in range(given.clients)]
    if number >= QUIET_ROUNDS and not given.quiet_only:
        tasks += [change_items(given.port, item, until, seen), reload(given.port, process, *place, until, seen)]
    await asyncio.gather(*tasks)


def library_speed(recommender: Recommender, histories: Sequence[list[Any]], k: int) -> float:
    """Lists a second that the library gives in batches of 256, with the ids and scores of their items read, over `LIBRARY_SECONDS`."""
    start, part, rows = time.perf_counter(), 0, []
    while time.perf_counter() - start < LIBRARY_SECONDS:
        chosen = [histories[(part * 256 + place) % len(histories)] for place in range(256)]
        rows = [[(item.item_id, item.score) for item in items] for items in recommender.recommend(chosen, k)]
        part += 1
    assert len(rows) == 256
    return part * 256 / (time.perf_counter() - start)


def wrong_lists(seen: Seen, folders: Sequence[Path], histories: Sequence[list[Any]], k: int) -> dict[str, int]:
    """How many lists were compared, and how many are others than the library's."""
    by_version: dict[tuple[str, int], list[tuple[int, list[Any], list[float]]]] = {}
    for artifact, version, *rest in seen.lists:
        by_version.setdefault((artifact, version), []).append(tuple(rest))  # type: ignore[arg-type]
    folder_of = {load_artifact(folder, catalog_version=0).info.artifact: folder for folder in folders}
    counts = {"lists compared": 0, "catalog versions": len(by_version), "equally good swaps": 0, "wrong": 0}
    for (artifact, version), lists in by_version.items():
        recommender = load_artifact(folder_of[artifact], catalog_version=version)
        users = sorted({user for user, _, _ in lists})
        expected = dict(zip(users, recommender.recommend([histories[user] for user in users], k), strict=True))
        for user, items, scores in lists:
            counts["lists compared"] += 1
            ours = [item.item_id for item in expected[user]]
            own = np.log([item.score for item in expected[user]])
            if len(own) != len(scores) or np.abs(np.log(scores) - own).max(initial=0) > CLOSE:
                counts["wrong"] += 1
            elif items != ours:
                counts["equally good swaps"] += 1
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifact", type=Path, required=True)
    parser.add_argument("--histories", type=Path, required=True, help="table with user_id, item_id and position or timestamp")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--k", type=int, default=10)
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--quiet-only", action="store_true", help="no writes and no reloads")
    given = parser.parse_args()
    torch.set_num_threads(1)
    cores = sorted(os.sched_getaffinity(0))
    recommender = load_artifact(given.artifact, catalog_version=0)
    views, _ = read_histories(read_table(given.histories, "histories table"), recommender.catalog, "skip")
    chosen = np.random.default_rng(0).choice(views.num_users, min(2000, views.num_users), replace=False)
    histories = [recommender.catalog.item_ids[views.of(int(user))].tolist() for user in chosen]
    item = recommender.catalog.table.slice(0, 1).to_pylist()[0]
    figures: dict[str, Any] = machine() | {"items": recommender.catalog.num_items, "clients": given.clients, "seconds": given.seconds}
    with tempfile.TemporaryDirectory() as scratch:
        folders = [Path(shutil.copytree(given.artifact, Path(scratch) / name, ignore=shutil.ignore_patterns("changes"))) for name in "ab"]
        config = (folders[1] / "config.yaml").read_text()
        make_another(folders[1], config)
        link = Path(scratch) / "served"
        point(link, folders[0])
        words = [sys.executable, "-m", "cobrarec", "serve", "--artifact", str(link), "--port", str(given.port), "--num-threads", "1"]
        log = (Path(scratch) / "log").open("w")
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        server = subprocess.Popen(["taskset", "-c", str(cores[0]), *words], stdout=subprocess.PIPE, stderr=log, text=True, env=environment)
        assert server.stdout is not None
        assert server.stdout.readline().startswith("Serving"), (Path(scratch) / "log").read_text()
        seen = Seen()
        try:
            speeds, lists = [], []
            library_speed(recommender, histories, given.k)  # the first ones are slower
            for number in range(ROUNDS):
                os.sched_setaffinity(0, {cores[0]})
                speeds.append(library_speed(recommender, histories, given.k))
                os.sched_setaffinity(0, {cores[-1]})
                before, start = seen.status[200], time.perf_counter()
                asyncio.run(load(given, number, server.pid, (link, folders), (histories, item), seen))
                lists.append((seen.status[200] - before) / (time.perf_counter() - start))
            memory = next(line for line in Path(f"/proc/{server.pid}/status").read_text().splitlines() if line.startswith("VmHWM"))
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()
        figures |= {
            "answers by status": dict(seen.status),
            "changes by status": dict(seen.changes),
            "reloads": seen.reloads,
            "lists a second by round": {
                "library, in batches of 256": [round(speed, 1) for speed in speeds],
                "server": [round(speed, 1) for speed in lists],
            },
            "server / library, mean of the rounds": round(float(np.mean(np.array(lists) / np.array(speeds))), 2),
            "milliseconds": milliseconds(seen.seconds) | {"99 %": round(1000 * float(np.quantile(seen.seconds, 0.99)), 2)},
            "peak memory": " ".join(memory.split()[1:]),
        }
        figures |= wrong_lists(seen, folders, histories, given.k)
    print(json.dumps(figures, indent=2))


def make_another(folder: Path, config: str) -> None:
    """Let an artifact differ from the one it was copied from, in a setting of retrieval that costs nothing."""
    from cobrarec.artifact_manifest import read_manifest, write_manifest

    manifest = read_manifest(folder)
    assert "\n  tau: 1.0\n" in config, "the artifact must have the default `tau`"
    (folder / "config.yaml").write_text(config.replace("\n  tau: 1.0\n", "\n  tau: 0.9\n"))
    write_manifest(folder, manifest["split"], manifest["ranker"], manifest["model"])


if __name__ == "__main__":
    main()
