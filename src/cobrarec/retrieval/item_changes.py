"""ItemChange: one change of the catalog as the log holds it, with all that was computed for it, so that a replay computes nothing.

A change is items put (added or replaced) or items removed. Bytes: a safetensors file, the items' attributes as an arrow stream in it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from safetensors import SafetensorError
from safetensors.numpy import load, save

from cobrarec.errors import ArtifactError
from cobrarec.model.item_vectors import ItemVectors
from cobrarec.retrieval.new_items import EncodedItems
from cobrarec.retrieval.stand_ins import StandIns


@dataclass(frozen=True, eq=False)
class ItemChange:
    """Items of `table` put with their `encoded` parts, or, where that is None, the ids of `table` removed."""

    table: pa.Table
    encoded: EncodedItems | None = None

    def to_bytes(self) -> bytes:
        """What the log holds."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self.table.schema) as stream:
            stream.write_table(self.table.combine_chunks())
        arrays: dict[str, npt.NDArray[Any]] = {"table": np.frombuffer(sink.getvalue(), np.uint8)}
        if self.encoded is not None:
            arrays |= {"embeddings": self.encoded.embeddings, "codes": self.encoded.codes}
            arrays |= {name: array.numpy() for name, array in self.encoded.items.arrays().items()}
            if (stand_ins := self.encoded.stand_ins) is not None:
                arrays |= {"neighbors": stand_ins.neighbors, "neighbor_weights": stand_ins.weights}
        return save({name: np.ascontiguousarray(array) for name, array in arrays.items()})

    @classmethod
    def from_bytes(cls, data: bytes) -> "ItemChange":
        """From what `to_bytes` gave; raises ArtifactError where it is not of that form."""
        try:
            arrays = load(data)
            with pa.ipc.open_stream(pa.py_buffer(arrays.pop("table").tobytes())) as stream:
                table = stream.read_all()
            if not arrays:
                return cls(table)
            embeddings, codes, stand_ins = arrays.pop("embeddings"), arrays.pop("codes"), None
            if "neighbors" in arrays:
                stand_ins = StandIns(arrays.pop("neighbors"), arrays.pop("neighbor_weights"))
            items = ItemVectors.from_arrays({name: torch.from_numpy(array) for name, array in arrays.items()})
            return cls(table, EncodedItems(embeddings, codes, items, stand_ins))
        except (SafetensorError, KeyError, ValueError, TypeError, pa.ArrowInvalid) as error:
            raise ArtifactError(f"A record of the changes cannot be read: {' '.join(str(error).split())}") from None
