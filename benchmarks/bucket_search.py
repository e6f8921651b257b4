"""What searching inside the beams' IDs saves over the whole catalog: one user's candidates and the best 10 of them, by catalog size.

python benchmarks/bucket_search.py [--items 10000,100000,1000000] [--beams 20] [--dim 128] [--repeats 30]

Vectors and balanced IDs are random, as many codes as `fit` would take; both ways end with ten rows. Training and beam search are not
part of it. The whole catalog is one matrix product, with the vectors as they lie.
"""

import argparse
import json
import time
from collections.abc import Callable

import numpy as np
import torch
from _machine import machine, milliseconds

from cobrarec.config import SemanticIdsConfig
from cobrarec.model.unit_vectors import unit_vectors
from cobrarec.retrieval.item_index import ExactIndex
from cobrarec.semantic_ids.quantizer import effective_codebook_size
from cobrarec.semantic_ids.semantic_ids import SemanticIds

K = 10
WARM_UP = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", default="10000,100000,1000000", help="catalog sizes")
    parser.add_argument("--beams", type=int, default=20)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=30)
    given = parser.parse_args()
    torch.set_num_threads(1)
    sizes = {f"{size} items": of_size(int(size), given.beams, given.dim, given.repeats) for size in given.items.split(",")}
    print(json.dumps(machine() | {"threads": 1, "beams": given.beams, "dim": given.dim} | sizes, indent=2))


@torch.inference_mode()
def of_size(num_items: int, beams: int, dim: int, repeats: int) -> dict[str, object]:
    """Milliseconds of both ways for a catalog of `num_items`."""
    generator = torch.Generator().manual_seed(0)
    num_codes = effective_codebook_size(SemanticIdsConfig(), num_items)
    codes = np.random.default_rng(0).permutation(np.arange(num_items) % num_codes).astype(np.int32)
    vectors = unit_vectors(torch.randn(num_items, dim, generator=generator))
    index = ExactIndex(vectors, torch.zeros(num_items), SemanticIds.from_codes(codes[:, None], num_codes), np.arange(num_items))
    queries = unit_vectors(torch.randn(repeats + WARM_UP, beams, dim, generator=generator))
    ids = torch.stack([torch.randperm(num_codes, generator=generator)[:beams] for _ in range(repeats + WARM_UP)])
    none = torch.empty(0, dtype=torch.int64)

    def inside(turn: int) -> torch.Tensor:
        found = index.search(queries[turn], ids[turn], none, none)
        return found.rows[found.similarities.topk(K).indices]

    def everywhere(turn: int) -> torch.Tensor:
        return (index.vectors @ queries[turn, 0]).topk(K).indices

    return {
        "IDs": num_codes,
        "share of the catalog in the beams": round(beams / num_codes, 4),
        "milliseconds inside the beams": milliseconds(_timed(inside, repeats)),
        "milliseconds over the whole catalog": milliseconds(_timed(everywhere, repeats)),
    }


def _timed(search: Callable[[int], torch.Tensor], repeats: int) -> list[float]:
    seconds = []
    for turn in range(repeats + WARM_UP):
        began = time.perf_counter()
        search(turn)
        seconds.append(time.perf_counter() - began)
    return seconds[WARM_UP:]


if __name__ == "__main__":
    main()
