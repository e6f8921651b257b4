"""`fit --from` on newer tables beside a fresh fit, and beside the old model to which the new items were added alone: quality and time.

python benchmarks/going_on.py --items I --interactions X --out DIR [--share 0.8] [--seed 0] [--threads 1]

The old tables hold the first share of the interactions by time, and the items that had been taken by then or never are. Test: each
user's last interaction of the whole table, which none of the models has learned; whole catalog, history masked, item level. A stopped
benchmark goes on where it was.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from _machine import machine

import cobrarec
from cobrarec.cli.screen import Screen
from cobrarec.evaluation.evaluate import evaluate
from cobrarec.prepared import load_prepared
from cobrarec.run_folder import RunFolder


def older(items: pa.Table, interactions: pa.Table, share: float) -> tuple[pa.Table, pa.Table]:
    """Both tables as they were when that share of the interactions had come."""
    times = interactions["timestamp"]
    cut = pc.quantile(times, q=share)[0]
    is_later = pc.fill_null(pc.greater(times, cut), False)  # what bears no time is old
    before, later = interactions.filter(pc.invert(is_later)), interactions.filter(is_later)
    is_new = pc.and_(
        pc.is_in(items["item_id"], pc.unique(later["item_id"])), pc.invert(pc.is_in(items["item_id"], pc.unique(before["item_id"])))
    )
    return items.filter(pc.invert(is_new)), before


def fitted(tables: tuple[Any, Any], out: Path, options: dict[str, Any], screen: Screen) -> float:
    """Fit into `out`, unless it is done; minutes."""
    if (out / "minutes.json").exists():
        return float(json.loads((out / "minutes.json").read_text()))
    start = time.perf_counter()
    cobrarec.fit(*tables, out, options=cobrarec.RunOptions(**options, resume=out.exists()), progress=screen)
    minutes = (time.perf_counter() - start) / 60
    (out / "minutes.json").write_text(json.dumps(minutes))
    return minutes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=Path, required=True, help="parquet")
    parser.add_argument("--interactions", type=Path, required=True, help="parquet with `timestamp`")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--share", type=float, default=0.8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    items, interactions = pq.read_table(given.items), pq.read_table(given.interactions)
    old_tables, options = older(items, interactions, given.share), {"seed": given.seed, "num_threads": given.threads}
    figures: dict[str, Any] = machine() | {"old interactions": old_tables[1].num_rows, "new interactions": interactions.num_rows}
    figures |= {"old items": old_tables[0].num_rows, "new items": items.num_rows - old_tables[0].num_rows}
    given.out.mkdir(parents=True, exist_ok=True)
    with Screen() as screen:
        minutes = {"old": fitted(old_tables, given.out / "old", options, screen)}
        origin = given.out / "old" / "artifact"
        minutes["gone on"] = fitted((items, interactions), given.out / "gone-on", {**options, "from_artifact": origin}, screen)
        minutes["fresh"] = fitted((items, interactions), given.out / "fresh", options, screen)
    figures["minutes"] = {name: round(value, 1) for name, value in minutes.items()}
    prepared = load_prepared(RunFolder(given.out / "fresh"))
    test, num_items = prepared.split.test, prepared.catalog.num_items
    assert test is not None
    live = cobrarec.open_live_catalog(origin, "a benchmark")
    live.put(items)
    live.close()
    is_new = pc.invert(pc.is_in(prepared.catalog.table["item_id"], old_tables[0]["item_id"].cast(pa.large_string()))).to_numpy()
    groups = {"all users": np.arange(test.num_users), "new targets": np.flatnonzero(is_new[test.target_rows])}
    recommenders = {"gone on": cobrarec.load(given.out / "gone-on" / "artifact"), "fresh": cobrarec.load(given.out / "fresh" / "artifact")}
    for name, recommender in recommenders.items():
        assert np.array_equal(recommender.catalog.item_ids, prepared.catalog.item_ids), name
    for group, users in groups.items():
        figures[group] = {"users": len(users)}
        for name, recommender in recommenders.items():
            metrics = evaluate(recommender, test.select(users), (10,), num_items)
            figures[group][name] = {key: round(metrics[key], 4) for key in ("recall@10", "ndcg@10")}
        figures[group]["old with the items added"] = with_old_rows(live.recommender, prepared, test, users)
    print(json.dumps(figures, indent=2))


def with_old_rows(recommender: cobrarec.Recommender, prepared: Any, test: Any, users: Any) -> dict[str, float]:
    """Recall and NDCG at 10 of a recommender whose rows are others than those of the test."""
    held_out = test.select(users)
    ids, hits, gains = prepared.catalog.item_ids, 0, 0.0
    for start in range(0, held_out.num_users, 512):
        part = range(start, min(start + 512, held_out.num_users))
        lists = recommender.recommend([ids[held_out.histories.of(user)].tolist() for user in part], 10)
        for user, items in zip(part, lists, strict=True):
            target = ids[held_out.target_rows[user]]
            rank = next((item.rank for item in items if item.item_id == target), 0)
            hits += rank > 0
            gains += 1 / np.log2(rank + 1) if rank else 0.0
    return {"recall@10": round(hits / held_out.num_users, 4), "ndcg@10": round(gains / held_out.num_users, 4)}


if __name__ == "__main__":
    main()
