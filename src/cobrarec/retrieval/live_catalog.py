"""LiveCatalog: a recommender whose items are added, changed and removed without retraining, answered when the change is on disk.

text -> embedding -> codes by the trained quantizer -> vector by the trained encoder -> log -> a new `Recommender` beside the old one,
which goes on answering whoever holds it. An item keeps its row for ever: changed text moves it to its new bucket, an item that was removed
is in no list but still counts in histories.
"""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from cobrarec.config import DataConfig
from cobrarec.data.catalog_changes import changing, conformed, with_items, without_items
from cobrarec.data.tables import Source, read_table
from cobrarec.errors import DataError
from cobrarec.model.item_vectors import ItemVectors
from cobrarec.retrieval.change_log import LogWriter
from cobrarec.retrieval.item_changes import ItemChange
from cobrarec.retrieval.new_items import EncodedItems, NewItemTools
from cobrarec.retrieval.recommender import Recommender
from cobrarec.retrieval.stand_ins import StandIns
from cobrarec.semantic_ids.semantic_ids import SemanticIds


@dataclass(frozen=True)
class ChangeResult:
    """What a change came to: items by what happened to them, and the version of the catalog that holds it."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    catalog_version: int = 0


class LiveCatalog:
    """One writer, any number of readers: `recommender` is replaced as a whole, never changed."""

    def __init__(self, recommender: Recommender, tools: NewItemTools, config: DataConfig, log: LogWriter) -> None:
        """A catalog as it stands.

        Args:
            recommender: one with a network, all changes of `log` made.
            tools: what new items need.
            config: the template of the texts.
            log: where changes go.
        """
        self._recommender, self._tools, self._config, self._log = recommender, tools, config, log
        self._writing = threading.Lock()

    @property
    def recommender(self) -> Recommender:
        """The recommender of the present version."""
        return self._recommender

    def put(self, items: Source) -> ChangeResult:
        """Add items, or replace those whose ids the catalog has; all of them or, on an error, none.

        Args:
            items: a path or a table as `fit` takes it: `item_id` and columns of the catalog.

        Raises:
            DataError: what was given does not fit the catalog.
            MachineError, ArtifactError: it could not be written, and was not made.
        """
        table = conformed(read_table(items, "table of items"), self._recommender.catalog, "table of items")
        with self._writing:
            now = self._recommender
            news = changing(now.catalog, table)
            unchanged = table.num_rows - news.num_rows
            if not news.num_rows:
                return ChangeResult(unchanged=unchanged, catalog_version=now.info.catalog_version)
            edit = with_items(now.catalog, news, self._config)
            keeps = ~edit.is_new & ~edit.is_reworded
            popularity = np.pad(now.info.popularity, (0, int(edit.is_new.sum())))
            trained_rows = np.where(popularity[edit.rows] > 0, edit.rows, -1)
            encoded = self._tools.encode(now.model, edit.texts, trained_rows)
            kept = _kept(encoded, now, edit.rows, keeps)
            if now.network.memory is not None:
                stand_ins = StandIns.nearest(kept.items.vectors, trained_rows < 0, now.items, now.info.popularity > 0)
                kept = replace(kept, stand_ins=stand_ins)
            self._make(ItemChange(news, kept))
            added = int(edit.is_new.sum())
            return ChangeResult(added, len(edit.rows) - added, unchanged, catalog_version=self._recommender.info.catalog_version)

    def remove(self, item_ids: Iterable[Any]) -> ChangeResult:
        """Remove items: no list will hold them, histories may. All of them or, on an error, none.

        Raises:
            DataError: an id that the catalog lacks or that is removed already, or no item would be left.
            MachineError, ArtifactError: it could not be written, and was not made.
        """
        if isinstance(item_ids, str | bytes):
            raise DataError(f"The items to remove are {item_ids!r}, expected a list of ids. Give `[{item_ids!r}]` for one item.")
        ids = list(item_ids)
        with self._writing:
            now = self._recommender
            rows = now.catalog.rows(ids, "skip")
            if unknown := [item for item in ids if item not in now.catalog]:
                raise DataError(f"The catalog lacks {len(unknown):,} of the items to remove, such as {unknown[0]!r}; nothing was removed.")
            gone = now.catalog.item_ids[rows[~now.catalog.is_listed[rows]]].tolist()
            if gone:
                raise DataError(f"{len(gone):,} of the items to remove are removed already, such as {gone[0]!r}; nothing was removed.")
            rows = np.unique(rows)
            if not len(rows):
                raise DataError("No item to remove was given.")
            without_items(now.catalog, rows)
            self._make(ItemChange(now.catalog.table.select(["item_id"]).take(pa.array(rows))))
            return ChangeResult(removed=len(rows), catalog_version=self._recommender.info.catalog_version)

    def warm_up(self) -> None:
        """Load what the first new item would wait for."""
        self._tools.embedder.encode(["a first text"])

    def close(self) -> None:
        """Let go of the log, once a change that is under way is made; the recommender stays usable."""
        with self._writing:
            self._log.close()

    def is_of(self, changes: Path) -> bool:
        """Whether this writes what lies in the folder `changes` of an artifact now, and can."""
        return self._log.is_of(changes)

    def _make(self, change: ItemChange) -> None:
        """Make the change in memory beside what is there, write it, and only then show it."""
        changed = apply_changes(self._recommender, [change], self._config)
        self._log.append(change.to_bytes())
        self._recommender = changed


def apply_changes(recommender: Recommender, changes: Sequence[ItemChange], config: DataConfig) -> Recommender:
    """The recommender after all of `changes`, which are put together first, so that many cost little more than one."""
    if not changes:
        return recommender
    put, removed = merged(changes)
    catalog, codes, items = recommender.catalog, recommender.semantic_ids.codes, recommender.items
    if put is not None and put.encoded is not None:
        edit = with_items(catalog, put.table, config)
        catalog = edit.catalog
        codes = _written(codes, edit.rows, put.encoded.codes)
        items = items.with_items(torch.from_numpy(edit.rows), put.encoded.items)
    if removed:
        catalog = without_items(catalog, catalog.rows(removed))
    semantic_ids = SemanticIds.from_codes(codes, recommender.semantic_ids.codebook_size, catalog.is_listed)
    model = recommender.model.with_semantic_ids(semantic_ids)
    model.refresh_evidence(items)
    info = replace(
        recommender.info,
        popularity=np.pad(recommender.info.popularity, (0, catalog.num_items - recommender.catalog.num_items)),
        catalog_version=recommender.info.catalog_version + len(changes),
    )
    memory = recommender.network.memory
    memory = None if memory is None else memory.with_num_items(catalog.num_items)
    if memory is not None and put is not None and put.encoded is not None and put.encoded.stand_ins is not None:
        memory = memory.with_stand_ins(edit.rows, put.encoded.stand_ins)
    return Recommender.of_network(catalog, semantic_ids, model, items, recommender.config, info, memory)


def merged(changes: Sequence[ItemChange]) -> tuple[ItemChange | None, list[Any]]:
    """What many changes come to: the last state of each item that was put, in the order of first appearance, and the ids left removed."""
    latest: dict[Any, tuple[int, int]] = {}
    removed: dict[Any, None] = {}
    for number, change in enumerate(changes):
        for place, item in enumerate(change.table.column("item_id").to_pylist()):
            if change.encoded is None:
                removed[item] = None
            else:
                latest[item] = number, place
                removed.pop(item, None)
    puts = [number for number, change in enumerate(changes) if change.encoded is not None]
    if not puts:
        return None, list(removed)
    starts = dict(zip(puts, np.cumsum([0, *(changes[number].table.num_rows for number in puts)]).tolist(), strict=False))
    order = np.array([starts[number] + place for number, place in latest.values()], np.int64)
    table = pa.concat_tables([changes[number].table for number in puts]).take(pa.array(order)).combine_chunks()
    encoded = [part for number in puts if (part := changes[number].encoded) is not None]
    items = {
        name: torch.cat([part.items.arrays()[name] for part in encoded])[torch.from_numpy(order)] for name in encoded[0].items.arrays()
    }
    embeddings = np.concatenate([part.embeddings for part in encoded])[order]
    codes = np.concatenate([part.codes for part in encoded])[order]
    stand_ins = StandIns.joined([(len(part.codes), part.stand_ins) for part in encoded], order)
    put = EncodedItems(embeddings, codes, ItemVectors.from_arrays(items), stand_ins)
    return ItemChange(table, put), list(removed)


def _kept(encoded: EncodedItems, now: Recommender, rows: npt.NDArray[np.int64], keeps: npt.NDArray[np.bool_]) -> EncodedItems:
    """`encoded`, but the present codes and vectors where an item says what it said before."""
    if not keeps.any():
        return encoded
    codes = encoded.codes.copy()
    codes[keeps] = now.semantic_ids.codes[rows[keeps]]
    place = torch.from_numpy(np.flatnonzero(keeps))
    arrays = {}
    for name, new in encoded.items.arrays().items():
        own = now.items.arrays()[name].cpu()[torch.from_numpy(rows[keeps])]
        arrays[name] = new.index_copy(0, place, own)
    return EncodedItems(encoded.embeddings, codes, ItemVectors.from_arrays(arrays))


def _written(old: npt.NDArray[Any], rows: npt.NDArray[np.int64], new: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A copy of `old` `[num_items, ...]`, grown as far as `rows` reach, with `new` at `rows`."""
    grown = np.concatenate([old, np.zeros((max(0, int(rows.max()) + 1 - len(old)), *old.shape[1:]), old.dtype)])
    grown[rows] = new
    return grown
