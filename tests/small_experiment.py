"""An experiment that takes seconds: two rows on the predictable world, a variant, and an ensemble."""

from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from cobrarec.data.sources import DAY, write_source
from cobrarec.experiments.definition import load_definition
from small_run import SMALL, small_world

ONE_EPOCH = {**SMALL, "training": {**SMALL["training"], "num_epochs": 1}}
WITHOUT_DIRECT = {**ONE_EPOCH, "model": {**SMALL["model"], "direct_query": False, "item_evidence": "off"}}
ROWS: dict[str, Any] = {
    "whole": {"settings": ONE_EPOCH, "seeds": 2, "protocols": ["masked", {"unmasked": ["ring"], "masked-shuffled-ties": ["ring"]}]},
    "cascade": {"settings": WITHOUT_DIRECT},
    "sharp": {"of": "whole", "settings": {"retrieval": {"tau": 0.5}}},
    "mixed": {"ensemble": ["whole", "cascade"]},
}


def write_definition(folder: Path, rows: dict[str, Any] = ROWS, name: str = "small", **fields: Any) -> Path:
    path = folder / f"{name}.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump({"datasets": ["ring"], "compared": [next(iter(rows))], "rows": rows, **fields}, sort_keys=False))
    return path


def tied_world(num_users: int = 60, seed: int = 0) -> tuple[pa.Table, pa.Table]:
    """The small world with times known to the week alone, so that users have ties, and a position that orders them."""
    items, interactions = small_world(num_users=num_users, seed=seed)
    weeks = [time - time % (7 * DAY) for time in interactions["timestamp"].to_pylist()]
    columns = {"user_id": interactions["user_id"], "item_id": interactions["item_id"], "position": list(range(len(weeks)))}
    return items, pa.table({**columns, "timestamp": weeks})


def write_data(folder: Path, *names: str) -> Path:
    for seed, name in enumerate(names or ("ring",)):
        write_source(*tied_world(seed=seed), folder / name)
    return folder


@cache
def hash_in_table2(model: str) -> str:
    """What records of the row's present settings bear; something else for a model that is no row."""
    definition = load_definition("table2")[1]
    return definition.hash_of(model) if model in definition.rows else f"hash of {model}"


def record(model: str, ndcg: float, **changes: Any) -> dict[str, Any]:
    """A record whose metrics follow from one number."""
    metrics = {"recall@5": ndcg, "ndcg@5": ndcg, "recall@10": 2 * ndcg, "ndcg@10": ndcg, "coverage@10": 0.5}
    base = {"dataset": "beauty", "model": model, "config": {}, "config_hash": hash_in_table2(model), "seed": 0, "protocol": "masked"}
    facts = {"mean_list_length": 10.0, "users": 40, "epochs": 2, "seconds": 100.0, "cores": 1, "commit": None, "date": "2026-01-01"}
    return {**base, "metrics": metrics, "valid": metrics, **facts, **changes}
