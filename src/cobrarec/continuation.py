"""Going on from an artifact with newer tables: old items keep their codes and what training knows of them, new ones are assigned theirs.

Nothing is chosen anew: the number of epochs is that of a refit, at its rate, and the weights of the fusion are the artifact's, because the
artifact may have learned from the very interactions that validation would hold out. So everything but the test is learned from.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from cobrarec.artifact import load_artifact, load_new_item_tools
from cobrarec.artifact_manifest import LEARNED_ALL, learned_from, read_manifest, write_text
from cobrarec.config import Config, RunOptions, load_config
from cobrarec.errors import ConfigError, RunError
from cobrarec.model.cobra import Cobra
from cobrarec.model.cold_start import trained_values, with_catalog
from cobrarec.prepared import Prepared
from cobrarec.progress import Progress
from cobrarec.retrieval.new_items import NewItemTools
from cobrarec.retrieval.recommender import Recommender
from cobrarec.run_steps import Identified, Trained, final_training, trained_recommender, transition_memory
from cobrarec.semantic_ids.assigner import card_of_codes
from cobrarec.semantic_ids.semantic_ids import SemanticIds
from cobrarec.training.job import TrainingJob
from cobrarec.training.trainer import train_model

KEPT_SECTIONS = ("ranker", "text", "semantic_ids", "model", "memory")
"""Settings that the weights and the codes stand on."""


@dataclass(frozen=True)
class Origin:
    """The artifact that is gone on from, with the changes made to its items."""

    folder: Path
    recommender: Recommender
    tools: NewItemTools
    config: Config

    @classmethod
    def load(cls, folder: Path) -> "Origin":
        """Read it; raises ArtifactError where it is damaged or has no network."""
        tools = load_new_item_tools(folder)
        return cls(folder, load_artifact(folder), tools, load_config(folder / "config.yaml"))

    def check(self, prepared: Prepared, tests: bool) -> None:
        """Refuse what the weights cannot go on with.

        Raises:
            ConfigError: settings that they stand on are others now, or the ids are of another type.
            RunError: a test is wanted of what the artifact may have learned.
        """
        for name in KEPT_SECTIONS:
            if getattr(prepared.config, name) != getattr(self.config, name):
                raise ConfigError(
                    f"`{name}` differs from that of {self.folder}, whose weights stand on it; leave it as it is there, or fit anew."
                )
        if prepared.catalog.id_type is not self.recommender.catalog.id_type:
            raise ConfigError(f"The item ids are of another type than those of {self.folder}; give ids of the same type.")
        if not tests:
            return
        if learned_from(self.folder) == LEARNED_ALL:
            raise RunError(f"{self.folder} has learned from all interactions, the test among them; leave --test away.")
        if prepared.split.name != self.recommender.info.split:
            split = self.recommender.info.split
            raise RunError(
                f"{self.folder} held out by split {split}, this run by {prepared.split.name}; take the same one, or leave --test away."
            )
        gone = set(self.recommender.catalog.item_ids.tolist()) - set(prepared.catalog.item_ids.tolist())
        if gone:
            told = f"{len(gone):,} items of {self.folder} are gone, so that other interactions are their users' last, which it has learned"
            raise RunError(f"{told}; keep them in the items table, or leave --test away.")

    def rows_in(self, prepared: Prepared) -> npt.NDArray[np.int64]:
        """`[num_items]`, the row that each item of the new catalog has here; -1 for new ones."""
        return self.recommender.catalog.rows_of_column(prepared.catalog.table.column("item_id"), "new items table").astype(np.int64)


def continued_ids(prepared: Prepared, origin: Origin, progress: Progress) -> Identified:
    """Embed the texts as the artifact's were, and give every item its codes; or load what was done before."""
    run, tools = prepared.run, origin.tools
    embeddings = tools.embedder.encode(prepared.catalog.texts, progress)
    if run.semantic_ids.exists():
        return Identified(tools.embedder, embeddings, SemanticIds.load(run.semantic_ids), tools.assigner)
    old = origin.rows_in(prepared)
    codes = tools.assigner.encode(embeddings)
    codes[old >= 0] = origin.recommender.semantic_ids.codes[old[old >= 0]]
    ids = SemanticIds.from_codes(codes, origin.recommender.semantic_ids.codebook_size)
    card = card_of_codes(ids, embeddings, prepared.split.train, tools.assigner)
    with run.writing(run.semantic_ids) as folder:
        ids.save(folder)
        tools.assigner.save(folder)
        write_text(folder / "health_card.json", json.dumps(card.to_dict(), indent=2) + "\n")
    gone = origin.recommender.catalog.num_items - int((old >= 0).sum())
    progress.message(
        f"Going on from {origin.folder}: {(old >= 0).sum():,} items keep their codes, {(old < 0).sum():,} are new, {gone:,} gone."
    )
    for line in ("Health card of the semantic IDs", *("  " + line for line in card.lines())):
        progress.message(line)
    return Identified(tools.embedder, embeddings, ids, tools.assigner)


def continued_training(whole: Prepared, identified: Identified, origin: Origin, options: RunOptions, progress: Progress) -> Trained:
    """Train the artifact's model further on `whole.split.train`, or go on with a stopped training."""
    config = final_training(whole.config)
    model = carried_model(whole, identified, origin)
    job = TrainingJob(
        folder=whole.run.checkpoints,
        progress=progress,
        log_file=whole.run.log_file,
        minutes=options.time_limit,
        resume_hint="",
        begins_trained=True,
    )
    train_model(model, whole.split.train, config, options.model_copy(update={"seed": whole.seed}), job)
    recommender, cold_start = trained_recommender(whole, identified, model.cpu(), transition_memory(whole))
    weights = origin.recommender.weights
    chosen = recommender.with_settings(direct_weight=weights.direct, memory_weight=weights.memory)
    return Trained(chosen, cold_start, origin.tools.tokenizer, int(read_manifest(origin.folder)["model"]["epochs"]))


def carried_model(whole: Prepared, identified: Identified, origin: Origin) -> Cobra:
    """The artifact's weights in a model of the new catalog; items without trained values get those of the cold start's regression."""
    old, tools = origin.recommender.model, origin.tools
    values = torch.from_numpy(tools.cold_start.regression.predict(identified.embeddings))
    rows = origin.rows_in(whole)
    is_trained = (rows >= 0) & (origin.recommender.info.popularity[rows] > 0)
    values[torch.from_numpy(is_trained)] = trained_values(old)[torch.from_numpy(rows[is_trained])]
    model = with_catalog(old, identified.semantic_ids, identified.embeddings, tools.tokens(whole.catalog.texts), values)
    model.limit_times(whole.split.train)
    model.refresh_evidence()
    return model
