"""A run that takes seconds: the predictable world, few and small parts."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import torch

from cobrarec.config import Config, parse_config
from cobrarec.data.sources import predictable_world

SMALL: dict[str, Any] = {
    "text": {"engines": ["lsa"], "lsa_dim": 16},
    "semantic_ids": {"codebook_size": 8, "collaborative_dim": 8},
    "model": {"dim": 16, "decoder": {"num_layers": 1, "num_heads": 2, "feedforward_dim": 32, "max_history": 12, "dropout": 0.0}},
    "training": {"num_epochs": 2, "targets_per_batch": 256, "ema_decay": 0.9},
    "retrieval": {"num_beams": 5},
}


def small_config(**sections: dict[str, Any]) -> Config:
    values = {name: {**SMALL.get(name, {}), **sections.get(name, {})} for name in {*SMALL, *sections}}
    return parse_config(values)


def small_world(num_users: int = 60, num_items: int = 48, seed: int = 0) -> tuple[pa.Table, pa.Table]:
    return predictable_world(num_users=num_users, num_items=num_items, seed=seed)


def with_short_ids(table: pa.Table) -> pa.Table:
    """The table with ids such as B001, as the documents have them."""
    place = table.schema.names.index("item_id")
    return table.set_column(place, "item_id", pc.replace_substring(table["item_id"], "item-000", "B"))


def artifact_contents(run: Path, name: str = "artifact") -> dict[str, bytes]:
    """What each file of a run's artifact holds, but for the manifest."""
    files = (path for path in (run / name).rglob("*") if path.is_file() and path.name != "manifest.json")
    return {str(path.relative_to(run / name)): path.read_bytes() for path in files}


def differing(first: Path, second: Path, name: str = "artifact") -> set[str]:
    """Names of the artifact's files that two runs do not have in common; `chosen` is the artifact before the refit."""
    one, other = artifact_contents(first, name), artifact_contents(second, name)
    return {name for name in {*one, *other} if one.get(name) != other.get(name)}


def write_small(folder: Path) -> list[str]:
    """Both tables and the settings as files; the words that hand them to the command line."""
    import pyarrow.parquet as pq

    from cobrarec.config import dump_config

    items, interactions = small_world()
    pq.write_table(items, folder / "items.parquet")
    pq.write_table(interactions, folder / "interactions.parquet")
    (folder / "small.yaml").write_text(dump_config(small_config()))
    tables = ["--items", str(folder / "items.parquet"), "--interactions", str(folder / "interactions.parquet")]
    return [*tables, "--config", str(folder / "small.yaml")]


class Told:
    """A progress that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def track(self, items, label, total=None):
        yield from items

    def message(self, text: str) -> None:
        self.lines.append(text)

    def update(self, label, done, total, note="") -> None:
        pass


class ThreadsSeen(Told):
    """Keeps with how many threads of torch work was reported."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[int] = set()

    def track(self, items, label, total=None):
        self.threads.add(torch.get_num_threads())
        yield from items

    def update(self, label, done, total, note="") -> None:
        self.threads.add(torch.get_num_threads())
