"""`SemanticIds` as tensors that follow the model from device to device."""

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from cobrarec.semantic_ids.semantic_ids import SemanticIds


class IdTables(nn.Module):
    """Codes, prefixes and buckets. Nothing is trained and nothing is saved: the artifact holds the semantic IDs themselves."""

    codes: Int[Tensor, "num_items num_levels"]
    id_of_row: Int[Tensor, " num_items"]
    """-1 where the item is delisted."""
    bucket_rows: Int[Tensor, " num_listed"]
    """Rows in the order of their IDs, the order in which item vectors are summed."""
    bucket_offsets: Int[Tensor, " num_ids_and_one"]
    id_of_place: Int[Tensor, " num_listed"]
    """ID of each place in `bucket_rows`."""

    def __init__(self, semantic_ids: SemanticIds) -> None:
        super().__init__()
        self.num_items, self.num_ids = semantic_ids.num_items, semantic_ids.num_ids
        self.num_levels, self.codebook_size = semantic_ids.num_levels, semantic_ids.codebook_size
        self._keep("codes", semantic_ids.codes)
        self._keep("id_of_row", semantic_ids.id_of_row)
        self._keep("bucket_rows", semantic_ids.bucket_rows)
        self._keep("bucket_offsets", semantic_ids.bucket_offsets)
        self._keep("id_of_place", semantic_ids.id_of_row[semantic_ids.bucket_rows])
        for level in range(self.num_levels):
            self._keep(f"child_{level}", semantic_ids.child[level], torch.int32)
            self._keep(f"parent_{level}", semantic_ids.parent[level])
            self._keep(f"last_code_{level}", semantic_ids.last_code[level])
        for level in range(self.num_levels + 1):
            self._keep(f"prefix_of_id_{level}", semantic_ids.prefix_of_id(level))
        self.num_prefixes = tuple(len(semantic_ids.child[level]) for level in range(self.num_levels)) + (self.num_ids,)
        for level, sizes in enumerate(self.sizes_of(self.id_of_row >= 0)):
            self._keep(f"size_{level}", sizes)

    def _keep(self, name: str, array: object, dtype: torch.dtype = torch.int64) -> None:
        self.register_buffer(name, torch.as_tensor(array, dtype=dtype), persistent=False)

    def children_of(self, level: int, prefixes: Int[Tensor, "*some"]) -> Int[Tensor, "*some codes"]:
        """Prefix of `level` + 1 that each of `prefixes` makes with each code, or -1."""
        return self.get_buffer(f"child_{level}")[prefixes].long()

    def parent(self, level: int) -> Int[Tensor, " prefixes"]:
        """Prefix of `level` above each prefix of `level` + 1."""
        return self.get_buffer(f"parent_{level}")

    def last_code(self, level: int) -> Int[Tensor, " prefixes"]:
        """Last code of each prefix of `level` + 1."""
        return self.get_buffer(f"last_code_{level}")

    @property
    def sizes(self) -> list[Int[Tensor, " prefixes"]]:
        """Items below each prefix of `level` + 1, per level."""
        return [self.get_buffer(f"size_{level}") for level in range(self.num_levels)]

    def sizes_of(self, kept: Bool[Tensor, " num_items"]) -> list[Int[Tensor, " prefixes"]]:
        """`sizes`, where only the kept items count, of those that are listed."""
        rows = (kept & (self.id_of_row >= 0)).nonzero().squeeze(1)
        return [
            torch.bincount(self.prefix_of_rows(level + 1, rows), minlength=self.num_prefixes[level + 1]) for level in range(self.num_levels)
        ]

    def prefix_of_rows(self, level: int, rows: Int[Tensor, " n"]) -> Int[Tensor, " n"]:
        """Prefix of `level` that the items `rows`, none of them delisted, lie below."""
        return self.get_buffer(f"prefix_of_id_{level}")[self.id_of_row[rows]]

    def prefix_of_places(self, level: int) -> Int[Tensor, " num_listed"]:
        """Prefix of `level` of each place in `bucket_rows`; ascending."""
        return self.get_buffer(f"prefix_of_id_{level}")[self.id_of_place]
