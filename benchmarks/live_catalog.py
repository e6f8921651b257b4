"""What changing an item costs, and what a list and a search cost, in catalogs of several sizes.

python benchmarks/live_catalog.py --artifact A [--sizes 0 100000]

A copy of the artifact gets so many items more, each with the attributes of a random one, and then single items are added and removed. Its
model stays the one that was trained on the items before, so that the time of a list says what such a model costs in a larger catalog, not
what one costs that was fitted on it.
"""

import argparse
import json
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from _machine import machine, milliseconds

from cobrarec.artifact import open_live_catalog
from cobrarec.retrieval.live_catalog import LiveCatalog
from cobrarec.serving.browse import search_items

REPEATS = 15


def made_items(live: LiveCatalog, first: int, count: int) -> pa.Table:
    """New items with the attributes of random ones."""
    table = live.recommender.catalog.table
    rows = np.random.default_rng(first).integers(0, table.num_rows, count)
    ids = range(10**12 + first, 10**12 + first + count) if pa.types.is_integer(table.schema.field("item_id").type) else None
    names = pa.array(ids or [f"made-{first + place}" for place in range(count)], table.schema.field("item_id").type)
    return table.take(pa.array(rows)).set_column(0, table.schema.field("item_id"), names)


def timed(work: Callable[[int], Any], repeats: int = REPEATS) -> dict[str, float]:
    """Milliseconds of `work(0)`, `work(1)`, ..., the first not counted."""
    seconds = []
    for number in range(repeats + 1):
        start = time.perf_counter()
        work(number)
        seconds.append(time.perf_counter() - start)
    return milliseconds(seconds[1:])


def figures(live: LiveCatalog, first: int) -> dict[str, Any]:
    """All of it, for the catalog as it stands; items are made from number `first` on."""
    items = live.recommender.catalog.item_ids[:3].tolist()
    found = {
        "items": live.recommender.catalog.num_items,
        "one list": timed(lambda _: live.recommender.recommend([items], 10)),
        "one search": timed(lambda _: search_items(live.recommender, "blue", 20)),
        "put of one item": timed(lambda number: live.put(made_items(live, first + number, 1))),
        "put of 1,000 items": timed(lambda number: live.put(made_items(live, first + 1000 * (number + 1), 1000)), 3),
        "removal of one item": timed(lambda number: live.remove(live.recommender.catalog.item_ids[-1 - number : -2 - number : -1])),
    }
    return found | {"most memory, GB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--artifact", type=Path, required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[0, 100_000], help="items added before each measurement, ascending")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(shutil.copytree(given.artifact, Path(scratch) / "a", ignore=shutil.ignore_patterns("changes")))
        live, added = open_live_catalog(folder, "benchmark"), 0
        measured = []
        for place, size in enumerate(given.sizes):
            if size > added:
                live.put(made_items(live, added, size - added))
                added = size
            measured.append(figures(live, 10**9 * (place + 1)))
        live.close()
    print(json.dumps(machine() | {"milliseconds": measured}, indent=2))


if __name__ == "__main__":
    main()
