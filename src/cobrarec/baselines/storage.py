"""What an artifact holds of a ranker without training, beside the popularity that all artifacts hold."""

from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file, save_file

from cobrarec.baselines.content import ContentNeighbors
from cobrarec.baselines.popularity import Popularity
from cobrarec.baselines.transitions import TransitionCounts
from cobrarec.config import Config
from cobrarec.errors import ArtifactError
from cobrarec.retrieval.popular_items import PopularItems
from cobrarec.retrieval.transition_memory import TransitionMemory

Baseline: TypeAlias = Popularity | TransitionCounts | ContentNeighbors
"""A ranker without training: an engine for a `Recommender`, and what evaluation ranks with."""

TRANSITIONS = "transitions.safetensors"
EMBEDDINGS = "unit_embeddings.npy"


def choices_of_baseline(baseline: Baseline) -> dict[str, int]:
    """What validation chose, by the names of the settings in the ranker's section."""
    if isinstance(baseline, TransitionCounts):
        return {"window": baseline.memory.window, "last": baseline.memory.last}
    return {"last": baseline.last} if isinstance(baseline, ContentNeighbors) else {}


def save_baseline(baseline: Baseline, folder: Path) -> None:
    """Write the arrays of `baseline`, if it has any beside the popularity, into `folder`; its settings stand in the configuration."""
    if isinstance(baseline, TransitionCounts):
        save_file(baseline.memory.arrays(), folder / TRANSITIONS)
    elif isinstance(baseline, ContentNeighbors):
        np.save(folder / EMBEDDINGS, baseline.unit.numpy(), allow_pickle=False)


def load_baseline(folder: Path, config: Config, popular: PopularItems, tie_ranks: npt.NDArray[np.int64]) -> Baseline:
    """The ranker that `config` names, from what `save_baseline` wrote.

    Raises:
        ArtifactError: the arrays are not those of this catalog.
        OSError, ValueError, KeyError, SafetensorError: a file is missing or damaged.
    """
    if config.ranker == "counts":
        memory = TransitionMemory.from_arrays(load_file(folder / TRANSITIONS))
        refuse_other_catalog(memory.num_items, len(tie_ranks), TRANSITIONS)
        return TransitionCounts(memory, popular, tie_ranks, config.retrieval)
    if config.ranker == "content":
        unit = np.load(folder / EMBEDDINGS, allow_pickle=False)
        if unit.ndim != 2 or unit.dtype != np.float32 or config.content.last is None:
            raise ArtifactError(f"{EMBEDDINGS} holds {unit.dtype} {unit.shape}, expected float32 [num_items, dim], and `content.last`.")
        refuse_other_catalog(len(unit), len(tie_ranks), EMBEDDINGS)
        return ContentNeighbors(torch.from_numpy(unit), popular, tie_ranks, config.content.last, config.retrieval)
    return Popularity(popular, config.retrieval)


def refuse_other_catalog(num_rows: int, num_items: int, name: str) -> None:
    """Raises ArtifactError where the file `name` speaks of another number of items than the catalog."""
    if num_rows != num_items:
        raise ArtifactError(f"{name} is of {num_rows} items, the catalog has {num_items}; make the artifact again.")
