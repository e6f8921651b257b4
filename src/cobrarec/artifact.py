"""The folder on disk that a Recommender is loaded from, and from which new items can be added later.

    artifact/ manifest.json config.yaml items.parquet popularity.npy
              codes.npy semantic_ids.json code_assigner.safetensors      semantic IDs, and codes for new items
              embeddings.npy text_embedder/                              frozen text embeddings, and those of new items
              item_tokens.npy item_tokenizer.json                        for the end-to-end text encoder alone
              model.safetensors item_vectors.safetensors cold_start.safetensors
              transition_memory.safetensors                              where the network has a memory, also of weight 0

Where the ranker is no network, only the first line and what it counts or compares:

              transitions.safetensors                                    `counts`
              unit_embeddings.npy                                        `content`

Where items were changed without retraining (`LiveCatalog`):

              delisted.npy                                               rows of items removed before the artifact was written
              changes/                                                   what changed since, outside the manifest; see `change_log`

It holds no history and nothing that is pickled.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file
from torch import Tensor

from cobrarec.artifact_manifest import CHANGES, read_manifest, replace_folder, verify_files, write_manifest, write_text
from cobrarec.baselines.storage import Baseline, choices_of_baseline, load_baseline, refuse_other_catalog, save_baseline
from cobrarec.config import Config, dump_config, load_config
from cobrarec.data.catalog import Catalog
from cobrarec.errors import ArtifactError, UserError
from cobrarec.model.build import build_model
from cobrarec.model.cobra import Cobra
from cobrarec.model.cold_start import ColdStart
from cobrarec.model.item_tokenizer import ItemTokenizer, TokenTable
from cobrarec.model.item_vectors import ItemVectors
from cobrarec.retrieval.change_log import LogWriter, read_log
from cobrarec.retrieval.item_changes import ItemChange
from cobrarec.retrieval.live_catalog import LiveCatalog, apply_changes
from cobrarec.retrieval.new_items import NewItemTools
from cobrarec.retrieval.ordering import tie_ranks_of
from cobrarec.retrieval.popular_items import PopularItems
from cobrarec.retrieval.recommender import ArtifactInfo, Recommender
from cobrarec.retrieval.transition_memory import TransitionMemory
from cobrarec.semantic_ids.assigner import CodeAssigner
from cobrarec.semantic_ids.semantic_ids import SemanticIds
from cobrarec.semantic_ids.text_embeddings import TextEmbedder
from cobrarec.training.job import resolve_device

MEMORY = "transition_memory.safetensors"


def save_artifact(
    folder: Path, recommender: Recommender, config: Config, embeddings: npt.NDArray[np.float32], tools: NewItemTools, facts: dict[str, Any]
) -> None:
    """Write the artifact beside `folder`, then rename it into place.

    Args:
        folder: where it will be; an artifact that is there is replaced.
        recommender: what `load_artifact` will give back; one with a network.
        config: all hyper-parameters of the run.
        embeddings: frozen text embeddings `[num_items, text_dim]` of the catalog.
        tools: what items added later need.
        facts: shown in the manifest under `model`, for a reader.
    """
    with replace_folder(folder) as partial:
        _save_common(partial, recommender, config.model_copy(update={"retrieval": recommender.config}))
        recommender.semantic_ids.save(partial)
        tools.assigner.save(partial)
        tools.embedder.save(partial / "text_embedder")
        np.save(partial / "embeddings.npy", embeddings, allow_pickle=False)
        if tools.tokenizer is not None:
            tools.tokenizer.save(partial / "item_tokenizer.json")
            np.save(partial / "item_tokens.npy", tools.tokenizer.table(recommender.catalog.texts).ids, allow_pickle=False)
        _save_tensors(recommender.model.state_dict(), partial / "model.safetensors")
        _save_tensors(recommender.items.arrays(), partial / "item_vectors.safetensors")
        if recommender.network.memory is not None:
            save_arrays(recommender.network.memory.arrays(), partial / MEMORY)
        save_arrays(tools.cold_start.arrays(), partial / "cold_start.safetensors")
        _write_manifest(partial, recommender, config, facts)


def save_baseline_artifact(folder: Path, recommender: Recommender, baseline: Baseline, config: Config, facts: dict[str, Any]) -> None:
    """`save_artifact` for a recommender whose engine is `baseline`; what validation chose is written into the configuration."""
    settings: dict[str, Any] = {"retrieval": recommender.config}
    if config.ranker in ("counts", "content"):
        settings[config.ranker] = getattr(config, config.ranker).model_copy(update=choices_of_baseline(baseline))
    with replace_folder(folder) as partial:
        _save_common(partial, recommender, config.model_copy(update=settings))
        save_baseline(baseline, partial)
        _write_manifest(partial, recommender, config, facts)


def load_artifact(folder: Path | str, device: str = "cpu", catalog_version: int | None = None) -> Recommender:
    """The recommender of an artifact, after comparing every file with the manifest, with the changes made to its items since.

    Args:
        folder: the folder `artifact` of a run.
        device: where to compute, as torch names it; `auto` takes a GPU where there is one.
        catalog_version: as it was after so many changes of items; None: after all, 0: as it was fitted.

    Raises:
        ArtifactError: the artifact is damaged, altered or of another version, or never had this catalog version.
        ConfigError: a GPU is asked for and there is none.
    """
    folder = Path(folder)
    base = _load_base(folder, device)
    return _after(base, folder, load_changes(folder, base.info.artifact), catalog_version)


def load_changes(folder: Path, artifact: str) -> list[ItemChange]:
    """The changes made to the items of an artifact, of which `artifact` is the manifest's sha256, since it was written."""
    return [ItemChange.from_bytes(payload) for payload in read_log(folder / CHANGES, artifact).payloads]


def catalog_version_of(folder: Path | str) -> int:
    """The catalog version that `load_artifact` would give."""
    manifest = read_manifest(Path(folder))
    return int(manifest["model"].get("catalog_version", 0)) + len(load_changes(Path(folder), manifest["sha256"]))


def catalog_hash(folder: Path | str) -> str:
    """What names an artifact and all changes made to its items: equal where both are equal."""
    folder = Path(folder)
    artifact = str(read_manifest(folder)["sha256"])
    payloads = read_log(folder / CHANGES, artifact)
    return f"{artifact}+{payloads.end.digest.hex()}" if payloads.payloads else artifact


def open_live_catalog(folder: Path | str, name: str, device: str = "cpu") -> LiveCatalog:
    """The artifact opened for changes of its items, which go on disk and are there wherever it is loaded next.

    Args:
        folder: the folder `artifact` of a run.
        name: what this writer is called, for others, who are refused while it is open.
        device: as in `load_artifact`.

    Raises:
        ArtifactError: as in `load_artifact`; another writer has it open; it cannot be written; or it has no network.
        MachineError: the disk is full.
    """
    folder = Path(folder)
    base, tools = _load_base(folder, device), load_new_item_tools(folder)
    manifest_of(folder, base.info.artifact)  # or its log would go into the other one
    log, contents = LogWriter.open(folder / CHANGES, base.info.artifact, name)
    try:
        manifest_of(folder, base.info.artifact)
        changes = [ItemChange.from_bytes(payload) for payload in contents.payloads]
        return LiveCatalog(_after(base, folder, changes, None), tools, load_config(folder / "config.yaml").data, log)
    except BaseException:
        log.close()
        raise


def _after(base: Recommender, folder: Path, changes: list[ItemChange], catalog_version: int | None) -> Recommender:
    first = base.info.catalog_version
    if catalog_version is not None:
        if not first <= catalog_version <= first + len(changes):
            raise ArtifactError(
                f"{folder} has the catalog versions {first} to {first + len(changes)}, not {catalog_version}; give one of these."
            )
        changes = changes[: catalog_version - first]
    if not changes:
        return base
    try:
        return apply_changes(base, changes, load_config(folder / "config.yaml").data)
    except (UserError, MemoryError):
        raise
    except Exception as error:  # a record whose bytes are as written, but not its meaning
        what = " ".join(str(error).split())[:300]
        raise ArtifactError(f"The changes in {folder / CHANGES} do not fit the artifact: {what}. Copy the artifact again.") from error


def _load_base(folder: Path, device: str) -> Recommender:
    """The recommender of an artifact without the changes made since; raises as `load_artifact` does."""
    place = resolve_device(device)
    manifest = verify_files(folder)
    try:
        loaded = _load(folder, manifest, place)
    except UserError as error:
        raise ArtifactError(f"{folder} cannot be read: {error}") from None
    except MemoryError:
        raise
    except Exception as error:  # the libraries raise whatever comes to them: numpy, of a damaged header, an error of Python's tokenizer
        what = " ".join(str(error).split())[:300]
        raise ArtifactError(f"{folder} cannot be read, though its files are as written: {what}. Was it made by another version?") from error
    manifest_of(folder, loaded.info.artifact)
    return loaded


def manifest_of(folder: Path, artifact: str) -> dict[str, Any]:
    """The manifest in `folder`, whose sha256 is `artifact`.

    Raises:
        ArtifactError: another artifact took the folder's name since that one was verified; files of both may have been read.
    """
    manifest = read_manifest(folder)
    if manifest["sha256"] != artifact:
        raise ArtifactError(f"{folder} was replaced while it was read; read it again.")
    return manifest


def load_new_item_tools(folder: Path | str) -> NewItemTools:
    """What items added later need; raises ArtifactError where the artifact is damaged or has no network."""
    folder = Path(folder)
    ranker = read_manifest(folder)["ranker"]
    if ranker != "cobra":
        raise ArtifactError(f"{folder} is of the ranker {ranker}, which gives new items no codes and vectors; fit a network.")
    return NewItemTools(TextEmbedder.load(folder / "text_embedder"), CodeAssigner.load(folder), *load_cold_start(folder))


def load_cold_start(folder: Path) -> tuple[ColdStart, ItemTokenizer | None]:
    """Of the new-item tools those that training made."""
    path = folder / "item_tokenizer.json"
    text_encoder = load_config(folder / "config.yaml").model.item.text_encoder
    tokenizer = ItemTokenizer.load(path, text_encoder) if path.exists() else None
    return ColdStart.from_arrays(load_arrays(folder / "cold_start.safetensors")), tokenizer


def verify_artifact(folder: Path | str) -> dict[str, Any]:
    """Compare every file with the manifest, which is returned; raises ArtifactError naming the first one that differs."""
    return verify_files(Path(folder))


def _load(folder: Path, manifest: dict[str, Any], device: torch.device) -> Recommender:
    config = load_config(folder / "config.yaml")
    catalog = Catalog.load(folder, config.data)
    facts, popularity = manifest["model"], np.load(folder / "popularity.npy", allow_pickle=False)
    info = ArtifactInfo(popularity, manifest["split"], facts["seed"], manifest["sha256"], facts.get("catalog_version", 0))
    if config.ranker != "cobra":
        tie_ranks = tie_ranks_of(catalog.tie_breakers(info.seed))
        baseline = load_baseline(folder, config, PopularItems.of(info.popularity, tie_ranks), tie_ranks)
        return Recommender(catalog, baseline, info, tie_ranks)
    semantic_ids = SemanticIds.load(folder, catalog.is_listed)
    model = _load_model(folder, config, semantic_ids).to(device)
    items = ItemVectors.from_arrays(load_file(folder / "item_vectors.safetensors")).to(device)
    model.eval()
    memory = None
    if (folder / MEMORY).exists():
        memory = TransitionMemory.from_arrays(load_arrays(folder / MEMORY))
        refuse_other_catalog(memory.num_items, catalog.num_items, MEMORY)
    return Recommender.of_network(catalog, semantic_ids, model, items, config.retrieval, info, memory)


def _load_model(folder: Path, config: Config, semantic_ids: SemanticIds) -> Cobra:
    tokens = None
    if (folder / "item_tokens.npy").exists():
        tokenizer = ItemTokenizer.load(folder / "item_tokenizer.json", config.model.item.text_encoder)
        tokens = TokenTable(np.load(folder / "item_tokens.npy", allow_pickle=False), tokenizer.vocabulary_size)
    model = build_model(config.model, semantic_ids, np.load(folder / "embeddings.npy", allow_pickle=False), tokens)
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model


def _save_common(folder: Path, recommender: Recommender, config: Config) -> None:
    recommender.catalog.save(folder)
    write_text(folder / "config.yaml", dump_config(config))
    np.save(folder / "popularity.npy", recommender.info.popularity, allow_pickle=False)


def _write_manifest(folder: Path, recommender: Recommender, config: Config, facts: dict[str, Any]) -> None:
    write_manifest(folder, recommender.info.split, config.ranker, {**facts, "seed": recommender.info.seed})


def _save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)
