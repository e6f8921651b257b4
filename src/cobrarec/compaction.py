"""Compaction: an artifact and the changes made to its items since, as one new artifact without a log."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from cobrarec.artifact import load_artifact, load_changes, load_new_item_tools, save_artifact
from cobrarec.artifact_manifest import read_manifest
from cobrarec.config import load_config
from cobrarec.errors import RunError
from cobrarec.model.cobra import Cobra
from cobrarec.model.cold_start import trained_values, with_catalog
from cobrarec.retrieval.live_catalog import merged
from cobrarec.retrieval.new_items import NewItemTools
from cobrarec.retrieval.recommender import Recommender


def compact(folder: Path | str, out: Path | str) -> Recommender:
    """Write what the artifact in `folder` has become into `out`, a new folder; both give the same lists.

    Rows and removed items stay, so that histories mean the same. The old artifact is only read.

    Raises:
        ArtifactError: the artifact or its changes cannot be read, or it has no network.
        RunError: `out` is there already.
    """
    folder, out = Path(folder), Path(out)
    if out.exists():
        raise RunError(f"{out} is there already; give a new folder for the compacted artifact.")
    live, tools = load_artifact(folder), load_new_item_tools(folder)
    config = load_config(folder / "config.yaml")
    embeddings = _embeddings(folder, live)
    model = _grown_model(live, tools, embeddings)
    parts = (live.catalog, live.semantic_ids, model, live.items, live.config, live.info, live.network.memory)
    grown = Recommender.of_network(*parts)
    facts = read_manifest(folder)["model"]
    facts |= {"items": live.catalog.num_items, "catalog_version": live.info.catalog_version, "compacted_from": live.info.artifact}
    save_artifact(out, grown, config, embeddings, tools, facts)
    return load_artifact(out)


def _embeddings(folder: Path, live: Recommender) -> npt.NDArray[np.float32]:
    """Text embeddings of all rows, `[num_items, text_dim]`."""
    base = np.load(folder / "embeddings.npy", allow_pickle=False)
    first = int(read_manifest(folder)["model"].get("catalog_version", 0))
    put = merged(load_changes(folder, live.info.artifact)[: live.info.catalog_version - first])[0]
    if put is None or put.encoded is None:
        return base
    grown = np.concatenate([base, np.zeros((live.catalog.num_items - len(base), base.shape[1]), base.dtype)])
    grown[live.catalog.rows(put.table.column("item_id").to_pylist())] = put.encoded.embeddings
    return grown


def _grown_model(live: Recommender, tools: NewItemTools, embeddings: npt.NDArray[np.float32]) -> Cobra:
    """The same weights in a model of all rows; new rows have in their place what the regression of the cold start gives."""
    num_old = live.model.item_encoder.num_items
    predicted = torch.from_numpy(tools.cold_start.regression.predict(embeddings[num_old:]))
    values = torch.cat([trained_values(live.model), predicted])
    grown = with_catalog(live.model, live.semantic_ids, embeddings, tools.tokens(live.catalog.texts), values)
    grown.refresh_evidence(live.items)
    return grown.eval()
