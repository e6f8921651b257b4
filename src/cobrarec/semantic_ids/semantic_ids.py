"""SemanticIds: codes per row, prefix tables and the rows of an ID. The one place that knows that codes and items are not one-to-one.

Words: a *prefix* at level l is the first l codes of an ID that some item bears; level 0 has the one empty prefix (the root), the last level
has the IDs themselves. Prefixes of a level are numbered in lexicographic order of their codes, so all items below any prefix lie
contiguously in `bucket_rows`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cobrarec.errors import ArtifactError

FORMAT = 1
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SemanticIds:
    """The IDs of a catalog and the tables that decoding and search read.

    Attributes:
        codes: `[num_items, num_levels]` int32.
        codebook_size: codes per level, the same for all levels.
        child: per level l `[num_prefixes[l], codebook_size]`: prefix at level l + 1, or -1 where no item has it.
        parent: per level l `[num_prefixes[l + 1]]`: the prefix at level l that it continues.
        last_code: per level l `[num_prefixes[l + 1]]`: the code by which it does.
        id_of_row: `[num_items]`: the item's ID, an index below `num_ids`; -1 for a delisted item, which has codes but is in no bucket.
        bucket_offsets: `[num_ids + 1]`; bucket_rows: `[num_listed]`: the rows of ID i are
            `bucket_rows[bucket_offsets[i]:bucket_offsets[i + 1]]`, ascending.
    """

    codes: npt.NDArray[np.int32]
    codebook_size: int
    child: tuple[npt.NDArray[np.int32], ...]
    parent: tuple[Ints, ...]
    last_code: tuple[Ints, ...]
    id_of_row: Ints
    bucket_offsets: Ints
    bucket_rows: Ints

    @classmethod
    def from_codes(cls, codes: npt.NDArray[np.int32], codebook_size: int, is_listed: npt.NDArray[np.bool_] | None = None) -> "SemanticIds":
        """Build all tables from `codes` `[num_items, num_levels]`; with no level every item bears the one empty ID.

        `is_listed` `[num_items]` is False for items that histories may hold but no list does; None: all are listed.

        Raises:
            ValueError: codes outside 0..codebook_size - 1, or no listed item.
        """
        listed = np.arange(len(codes)) if is_listed is None else np.flatnonzero(is_listed)
        if codes.ndim != 2 or not len(listed):
            raise ValueError(
                f"codes have the shape {codes.shape}, {len(listed)} listed; expected [num_items, num_levels], at least 1 listed"
            )
        if codes.size and not 0 <= int(codes.min()) <= int(codes.max()) < codebook_size:
            raise ValueError(f"codes lie in {int(codes.min())}..{int(codes.max())}, expected 0..{codebook_size - 1}")
        child, parent, last_code = [], [], []
        prefix, num_prefixes = np.zeros(len(listed), np.int64), 1
        for level in range(codes.shape[1]):
            keys, prefix = np.unique(prefix * codebook_size + codes[listed, level], return_inverse=True)
            table = np.full(num_prefixes * codebook_size, -1, np.int32)  # by far the largest of all tables
            table[keys] = np.arange(len(keys), dtype=np.int32)
            child.append(table.reshape(num_prefixes, codebook_size))
            parent.append(keys // codebook_size)
            last_code.append(keys % codebook_size)
            num_prefixes = len(keys)
        offsets = np.zeros(num_prefixes + 1, np.int64)
        np.cumsum(np.bincount(prefix, minlength=num_prefixes), out=offsets[1:])
        rows = listed[np.argsort(prefix, kind="stable")].astype(np.int64)
        id_of_row = np.full(len(codes), -1, np.int64)
        id_of_row[listed] = prefix
        tables = (tuple(child), tuple(parent), tuple(last_code))
        return cls(codes.astype(np.int32), codebook_size, *tables, id_of_row, offsets, rows)

    @property
    def num_items(self) -> int:
        """Rows of the catalog."""
        return len(self.codes)

    @property
    def num_listed(self) -> int:
        """Items that lists may hold."""
        return len(self.bucket_rows)

    @property
    def is_listed(self) -> npt.NDArray[np.bool_]:
        """`[num_items]`: whether lists may hold the item."""
        return self.id_of_row >= 0

    @property
    def num_levels(self) -> int:
        """Codes per ID."""
        return self.codes.shape[1]

    @property
    def num_ids(self) -> int:
        """IDs that at least one item bears."""
        return len(self.bucket_offsets) - 1

    @property
    def num_prefixes(self) -> tuple[int, ...]:
        """Prefixes at each level 0..num_levels: 1 first, `num_ids` last."""
        return (1, *(len(parent) for parent in self.parent))

    @cached_property
    def id_codes(self) -> npt.NDArray[np.int32]:
        """Codes of each ID, `[num_ids, num_levels]`."""
        return self.codes[self.bucket_rows[self.bucket_offsets[:-1]]]

    @cached_property
    def _prefixes_of_ids(self) -> tuple[Ints, ...]:
        prefixes = [np.arange(self.num_ids)]
        for parent in reversed(self.parent):
            prefixes.append(parent[prefixes[-1]])
        return tuple(reversed(prefixes))

    def prefix_of_id(self, level: int) -> Ints:
        """Prefix at `level` (0..num_levels) of each ID, `[num_ids]`, ascending."""
        return self._prefixes_of_ids[level]

    def item_ranges(self, level: int) -> Ints:
        """`[num_prefixes[level] + 1]`: the items below prefix p are `bucket_rows[item_ranges[p]:item_ranges[p + 1]]`."""
        first_id = np.searchsorted(self.prefix_of_id(level), np.arange(self.num_prefixes[level] + 1))
        return self.bucket_offsets[first_id]

    def bucket(self, semantic_id: int) -> Ints:
        """Rows of the items that bear the ID with this index, ascending."""
        return self.bucket_rows[self.bucket_offsets[semantic_id] : self.bucket_offsets[semantic_id + 1]]

    def find(self, id_codes: Sequence[int]) -> int:
        """Index of the ID with these codes, or -1 where no item bears it."""
        prefix = 0
        for table, code in zip(self.child, id_codes, strict=True):
            prefix = int(table[prefix, code]) if 0 <= code < self.codebook_size else -1
            if prefix < 0:
                return -1
        return prefix

    def save(self, folder: Path) -> None:
        """Write `codes.npy` and `semantic_ids.json`; the tables follow from them."""
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / "codes.npy", self.codes)
        description = {"format": FORMAT, "codebook_size": self.codebook_size, "num_levels": self.num_levels, "num_items": self.num_items}
        (folder / "semantic_ids.json").write_text(json.dumps(description), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, is_listed: npt.NDArray[np.bool_] | None = None) -> "SemanticIds":
        """Read what `save` wrote; `is_listed` as in `from_codes`.

        Raises:
            ArtifactError: a file is missing, damaged or of another version.
        """
        try:
            description = json.loads((folder / "semantic_ids.json").read_text(encoding="utf-8"))
            codes = np.load(folder / "codes.npy", allow_pickle=False)
            if description["format"] != FORMAT:
                raise ArtifactError(f"{folder} holds semantic IDs of format {description['format']}, expected {FORMAT}.")
            if codes.dtype != np.int32 or codes.shape != (description["num_items"], description["num_levels"]):
                raise ValueError(f"codes are {codes.dtype} {codes.shape}")
            return cls.from_codes(codes, description["codebook_size"], is_listed)
        except (OSError, ValueError, KeyError, TypeError, EOFError) as error:
            raise ArtifactError(f"The semantic IDs in {folder} are damaged: {' '.join(str(error).split())}") from None
