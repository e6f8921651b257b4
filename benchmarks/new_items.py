"""What items without any training interaction get: recall on the users whose next item is one of them, beside content neighbors.

python benchmarks/new_items.py --items I --interactions X --out DIR [--share 0.1] [--offsets 0 1 2] [--seed 0] [--threads 1]

A share of the items is made new: their interactions are taken out of the histories, but for a user's last one, which is the test
target. `cobrarec fit` with defaults then sees their texts alone. Rankings are over the whole catalog, history masked, item level.
`--offsets` are added to the biases of the new items, which training pushes down because they are never targets: what is gained and lost.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from _machine import machine

import cobrarec
from cobrarec.cli.screen import Screen
from cobrarec.evaluation.evaluate import Ranker, evaluate
from cobrarec.model.item_vectors import ItemVectors
from cobrarec.prepared import Prepared, load_prepared
from cobrarec.progress import Silent
from cobrarec.run_baselines import fit_baseline
from cobrarec.run_folder import RunFolder


def without_new_items(interactions: pa.Table, new: npt.NDArray[np.object_]) -> pa.Table:
    """The interactions, those with `new` items left out unless they are their user's last."""
    order = [("user_id", "ascending"), ("position" if "position" in interactions.column_names else "timestamp", "ascending")]
    table = interactions.sort_by(order)
    users = np.unique(table["user_id"].to_numpy(zero_copy_only=False), return_inverse=True)[1]
    is_last = np.append(users[1:] != users[:-1], True)
    is_new = np.isin(table["item_id"].to_numpy(zero_copy_only=False).astype(str), new.astype(str))
    return table.filter(pa.array(is_last | ~is_new))


def with_offset(recommender: cobrarec.Recommender, is_new: npt.NDArray[np.bool_], offset: float) -> cobrarec.Recommender:
    """The recommender with `offset` added to both biases of the new items."""
    items, added = recommender.items, offset * torch.from_numpy(is_new).float()
    items = ItemVectors(items.vectors, items.dense_bias + added, items.direct_bias + added)
    parts = (recommender.catalog, recommender.semantic_ids, recommender.model, items, recommender.config, recommender.info)
    return cobrarec.Recommender.of_network(*parts)


def measure(prepared: Prepared, recommender: cobrarec.Recommender, offsets: Sequence[float]) -> dict[str, dict[str, float | int]]:
    """Recall and NDCG at 10 of each ranker, for the test users whose target is new and for the others."""
    num_items, test = prepared.catalog.num_items, prepared.split.test
    assert test is not None
    is_new_item = prepared.split.train.item_counts(num_items) == 0
    shifted = {f"cobra, offset {offset:g}": with_offset(recommender, is_new_item, offset) for offset in offsets if offset}
    rankers: dict[str, Ranker] = {
        "cobra": recommender,
        **shifted,
        "cobra, cascade alone": recommender.with_settings(direct_weight=0.0),
        **{name: fit_baseline(name, prepared, Silent()) for name in ("content", "popularity")},
    }
    is_new = is_new_item[test.target_rows]
    figures: dict[str, dict[str, float | int]] = {}
    for group, chosen in (("new", is_new), ("known", ~is_new)):
        users = test.select(np.flatnonzero(chosen))
        figures[group] = {"users": users.num_users}
        for name, ranker in rankers.items():
            metrics = evaluate(ranker, users, (10,), num_items)
            figures[group] |= {f"{name}, recall@10": round(metrics["recall@10"], 4), f"{name}, ndcg@10": round(metrics["ndcg@10"], 4)}
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=Path, required=True, help="parquet")
    parser.add_argument("--interactions", type=Path, required=True, help="parquet with `position` or `timestamp`")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--offsets", type=float, nargs="*", default=[0.0, 1.0, 2.0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int)
    given = parser.parse_args()
    figures = machine() | {"share of new items": given.share}
    items, interactions = pq.read_table(given.items), pq.read_table(given.interactions)
    ids = np.sort(items["item_id"].to_numpy(zero_copy_only=False).astype(str))
    new = np.random.default_rng(given.seed).choice(ids, round(given.share * len(ids)), replace=False)
    given.out.mkdir(parents=True, exist_ok=True)
    kept = given.out / "interactions.parquet"
    pq.write_table(without_new_items(interactions, new), kept)
    options = cobrarec.RunOptions(seed=given.seed, num_threads=given.threads, resume=(given.out / "run").exists())
    with Screen() as screen:
        recommender = cobrarec.fit(given.items, kept, given.out / "run", options=options, progress=screen)
    figures |= measure(load_prepared(RunFolder(given.out / "run")), recommender, given.offsets)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
