"""The data sets of an experiment: one folder each, whole or a drawn share of its users."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cobrarec.config import Config
from cobrarec.data.tables import read_table, require_columns
from cobrarec.errors import DataError
from cobrarec.run_folder import table_hash
from cobrarec.training.schedule import USUAL_EPOCHS

FILES = ("items.parquet", "interactions.parquet")
FEWEST_EPOCHS = 2
"""A scaled training has at least these, where the whole one has as many."""


@dataclass(frozen=True)
class Tables:
    """Both tables of a data set."""

    items: pa.Table
    interactions: pa.Table

    @cached_property
    def content_hash(self) -> str:
        """The first 12 digits of a sha256 of all that both hold."""
        both = f"{table_hash(self.items)} {table_hash(self.interactions)}"
        return hashlib.sha256(both.encode()).hexdigest()[:12]


def load_datasets(data: Path, names: Iterable[str], scale: float | None = None) -> dict[str, Tables]:
    """Read `data/NAME/items.parquet` and `interactions.parquet` of every name, all of them before anything is run.

    Args:
        data: folder of the data sets.
        names: which of them.
        scale: the share of the users to keep; None for all.

    Raises:
        DataError: a file is missing; names it and what is expected.
    """
    names = list(names)
    missing = [str(data / name / file) for name in names for file in FILES if not (data / name / file).is_file()]
    if missing:
        raise DataError(
            f"No file {missing[0]}. Expected under {data} one folder per data set ({', '.join(names)}), each with {' and '.join(FILES)}; "
            "name another folder with --data, or fewer data sets with --datasets."
        )
    loaded = {}
    for name in names:
        items, interactions = (read_table(data / name / file, f"{file.removesuffix('.parquet')} table") for file in FILES)
        tables = Tables(items, interactions)
        loaded[name] = tables if scale is None else scaled_tables(tables, scale)
    return loaded


def scaled_tables(tables: Tables, scale: float) -> Tables:
    """A share of the users, drawn by seed 0, with all of their interactions, and the items that these hold."""
    require_columns(tables.interactions, ["user_id", "item_id"], "interactions table")
    users = pc.unique(tables.interactions["user_id"])
    num_kept = max(1, round(scale * len(users)))
    kept = np.sort(np.random.default_rng(0).choice(len(users), size=num_kept, replace=False))
    interactions = tables.interactions.filter(pc.is_in(tables.interactions["user_id"], value_set=users.take(pa.array(kept))))
    items = tables.items.filter(pc.is_in(tables.items["item_id"], value_set=pc.unique(interactions["item_id"])))
    return Tables(items, interactions)


def scaled_config(config: Config, scale: float) -> Config:
    """The same share of the epochs and of the quantizer's steps; few items may collapse into few IDs, which is no fault here."""
    if config.ranker != "cobra":
        return config
    epochs = config.training.num_epochs or USUAL_EPOCHS
    training = config.training.model_copy(update={"num_epochs": min(epochs, max(FEWEST_EPOCHS, round(scale * epochs)))})
    rqvae = config.semantic_ids.rqvae
    rqvae = rqvae.model_copy(update={"num_steps": max(1, round(scale * rqvae.num_steps))})
    semantic_ids = config.semantic_ids.model_copy(update={"rqvae": rqvae, "allow_collapse": True})
    return config.model_copy(update={"training": training, "semantic_ids": semantic_ids})
