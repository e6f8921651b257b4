"""The largest buckets in words, as a run keeps them for its report."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cobrarec.semantic_ids.typical_words import TypicalWords

NUM_BUCKETS = 128
NUM_TITLES = 4


def named_buckets(
    named: TypicalWords, titles: Sequence[str], popularity: npt.NDArray[np.int64], num_buckets: int = NUM_BUCKETS
) -> list[dict[str, Any]]:
    """`[{"semantic_id", "words", "num_items", "titles"}]`, the largest buckets first, of equals the lower ID; none without levels.

    `words` holds those of each code, `titles` some of the most typical items, each title once. `titles` and `popularity` are by row.
    """
    ids = named.semantic_ids
    if not ids.num_levels:
        return []
    sizes = np.diff(ids.bucket_offsets)
    records = []
    for bucket in np.argsort(-sizes, kind="stable")[:num_buckets].tolist():
        codes = ids.id_codes[bucket].tolist()
        rows = named.typical_rows(ids.num_levels, bucket, 4 * NUM_TITLES, popularity)
        shown = list(dict.fromkeys(titles[row] for row in rows.tolist()))[:NUM_TITLES]
        records.append({"semantic_id": codes, "words": named.path(codes), "num_items": int(sizes[bucket]), "titles": shown})
    return records
