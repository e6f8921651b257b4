"""`cobrarec recommend` for the histories of very many users into a folder of parts: lists per second and memory.

python benchmarks/batch_recommend.py --out /tmp/batch [--users 1000000 --items 20000 --history 10 --model counts --users-per-part 20000]

Fits the model on a small generated set first, unless the folder holds it already. The rows of all users lie mixed in the table.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from _machine import machine

from cobrarec.data.sources import generated_set, write_source

ROWS_AT_ONCE = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the tables, the run and the lists")
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--items", type=int, default=20_000)
    parser.add_argument("--history", type=int, default=10, help="items per history, on average")
    parser.add_argument("--model", default="counts")
    parser.add_argument("--users-per-part", type=int, default=20_000)
    given = parser.parse_args()
    figures = machine()
    items, interactions = write_source(*generated_set(20_000, given.items, 200_000), given.out)
    run = given.out / f"run-{given.model}"
    if not (run / "artifact").exists():
        fit = ["fit", "--items", str(items), "--interactions", str(interactions), "--out", str(run), "--model", given.model]
        small = [] if given.model == "counts" else ["--training.num-epochs", "1"]
        subprocess.run([sys.executable, "-m", "cobrarec", *fit, *small], check=True, stdout=sys.stderr)
    histories = given.out / f"histories-{given.users}.parquet"
    write_histories(histories, pq.read_table(items)["item_id"], given.users, given.users * given.history)
    lists = given.out / f"lists-{given.model}-{given.users}"
    shutil.rmtree(lists, ignore_errors=True)
    words = ["--artifact", str(run / "artifact"), "--histories", str(histories), "--out", str(lists)]
    words += ["--users-per-part", str(given.users_per_part)]
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "cobrarec", "recommend", *words], stderr=subprocess.PIPE, text=True)
    told = [line.rstrip() for line in process.stderr or []]
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - began
    rates = [int(rate.replace(",", "")) for rate in re.findall(r"([\d,]+) lists/s", "".join(told))]
    assert status == 0, told
    figures |= {
        "model": given.model,
        "users": given.users,
        "items": given.items,
        "interactions": given.users * given.history,
        "histories_megabytes": round(histories.stat().st_size / 2**20),
        "users_per_part": given.users_per_part,
        "parts": len(list(lists.glob("part-*.parquet"))),
        "seconds": round(seconds, 1),
        "lists_a_second": round(given.users / seconds),
        "lists_a_second_after_sorting": rates[-1] if rates else None,
        "peak_gigabytes": round(used.ru_maxrss / 2**20, 2),
    }
    print(json.dumps(figures, indent=2))


def write_histories(path: Path, item_ids: pa.ChunkedArray, num_users: int, num_rows: int) -> None:
    """Users and items drawn at random, at ever later times, so that nobody's rows lie together."""
    random = np.random.default_rng(0)
    schema = pa.schema({"user_id": pa.string(), "item_id": item_ids.type, "timestamp": pa.int64()})
    with pq.ParquetWriter(path, schema) as file:
        for start in range(0, num_rows, ROWS_AT_ONCE):
            count = min(ROWS_AT_ONCE, num_rows - start)
            users = random.permutation(np.arange(start, start + count) % num_users)
            columns = {
                "user_id": pa.array([f"user-{number:09d}" for number in users]),
                "item_id": item_ids.take(pa.array(random.integers(0, len(item_ids), count))).combine_chunks(),
                "timestamp": pa.array(1_600_000_000 + np.arange(start, start + count)),
            }
            file.write_table(pa.table(columns, schema=schema))


if __name__ == "__main__":
    main()
