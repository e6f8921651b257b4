"""For people who look around: items by words, one item, and what lies below a prefix of semantic IDs."""

import math
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from cobrarec.errors import DataError
from cobrarec.retrieval.recommender import Recommender
from cobrarec.semantic_ids.typical_words import TypicalWords
from cobrarec.serving.schemas import SHOWN

MAX_WORDS = 10
"""Words of a search that are read."""


def search_items(recommender: Recommender, query: str, limit: int) -> tuple[int, list[dict[str, Any]]]:
    """How many listed items hold all words of `query` in their text or id, and the first of them: titles first, then the popular ones."""
    catalog = recommender.catalog
    words = query.encode("utf-8", "replace").decode().lower().split()[:MAX_WORDS]  # half a surrogate pair is in no text
    if not words:
        raise DataError("The search has no words; give some, such as `rose water`.")
    texts, titles = pa.array(catalog.texts, pa.large_string()), pa.array(catalog.titles, pa.large_string())
    names = catalog.table.column("item_id").cast(pa.large_string()).combine_chunks()
    found, in_title = catalog.is_listed.copy(), np.ones(catalog.num_items, np.bool_)
    for word in words:
        here = _holds(titles, word)
        found &= here | _holds(texts, word) | _holds(names, word)
        in_title &= here
    rows = np.flatnonzero(found)
    order = np.lexsort((rows, -recommender.info.popularity[rows], ~in_title[rows]))
    return len(rows), [item_record(recommender, int(row)) for row in rows[order][:limit]]


def item_record(recommender: Recommender, row: int) -> dict[str, Any]:
    """What a list of items shows of one."""
    catalog = recommender.catalog
    item_id = catalog.item_ids[row]
    return {"item_id": plain(item_id), "title": catalog.titles[row], "semantic_id": recommender.engine.codes[row].tolist()}


def item_card(recommender: Recommender, item_id: Any) -> dict[str, Any]:
    """All that is known of one item; raises DataError where the catalog lacks it."""
    catalog = recommender.catalog
    row = int(catalog.rows([item_id])[0])
    attributes = {name: plain(value) for name, value in catalog.table.slice(row, 1).to_pylist()[0].items() if name != "item_id"}
    return {
        **item_record(recommender, row),
        "attributes": attributes,
        "text": catalog.texts[row],
        "is_listed": bool(catalog.is_listed[row]),
        "num_interactions": int(recommender.info.popularity[row]),
    }


def plain(value: Any) -> Any:
    """A value of a table as JSON can hold it; what JSON lacks, such as NaN, is null."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, date | datetime):
        return value.isoformat()
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _holds(values: pa.Array, word: str) -> Any:
    return np.asarray(pc.match_substring(values, word, ignore_case=True))


class IdBrowser:
    """The tree of semantic IDs; its words come from the artifact as it was loaded, since one new item renames no branch."""

    def __init__(self, words: TypicalWords) -> None:
        self.words = words

    def branch(self, recommender: Recommender, prefix: Sequence[int]) -> dict[str, Any] | None:
        """A prefix, what continues it, and its most popular items; None where no listed item bears it."""
        ids, place = recommender.semantic_ids, 0
        for level, code in enumerate(prefix):
            if level >= ids.num_levels or not 0 <= code < ids.codebook_size:
                return None
            place = int(ids.child[level][place, code])
            if place < 0:
                return None
        level = len(prefix)
        children: list[dict[str, Any]] = []
        if level < ids.num_levels:
            codes = np.flatnonzero(ids.child[level][place] >= 0)
            ranges = ids.item_ranges(level + 1)
            sizes = np.diff(ranges)[ids.child[level][place, codes]]
            order = np.argsort(-sizes, kind="stable")
            children = [self._named([*prefix, code], int(size)) for code, size in zip(codes[order].tolist(), sizes[order], strict=True)]
        ranges = ids.item_ranges(level)
        rows = ids.bucket_rows[ranges[place] : ranges[place + 1]]
        best = rows[np.argsort(-recommender.info.popularity[rows], kind="stable")[:SHOWN]]
        own = self._named(list(prefix), len(rows))
        return {**own, "children": children, "items": [item_record(recommender, int(row)) for row in best]}

    def _named(self, prefix: list[int], num_items: int) -> dict[str, Any]:
        path = self.words.path(prefix)
        words = path[-1] if len(path) == len(prefix) and path else ()
        return {"prefix": prefix, "num_items": num_items, "words": list(words)}


def parse_prefix(text: str) -> list[int]:
    """`12-7` as codes; "" is the root. Raises DataError for anything else."""
    parts = text.split("-") if text else []
    if len(parts) > 32 or not all(part.isascii() and part.isdigit() and len(part) < 10 for part in parts):
        raise DataError(f"The prefix is {text[:80]!r}, expected codes with a hyphen between, such as 12-7.")
    return [int(part) for part in parts]
