"""The steps of a run after the first: semantic IDs, training with the choice of the fusion weight, the artifact.

Each step stores its result in the run folder and is skipped where that is there already, so that the separate commands compose to
the same as `fit`, and a run that was stopped goes on.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cobrarec.artifact import load_artifact, load_cold_start, save_artifact
from cobrarec.artifact_manifest import read_manifest, write_text
from cobrarec.config import Config, RunOptions
from cobrarec.evaluation.evaluate import evaluate, sample_users
from cobrarec.model.build import build_model
from cobrarec.model.cobra import Cobra
from cobrarec.model.cold_start import ColdStart
from cobrarec.model.item_tokenizer import ItemTokenizer
from cobrarec.prepared import Prepared
from cobrarec.progress import Progress
from cobrarec.retrieval.new_items import NewItemTools
from cobrarec.retrieval.recommender import ArtifactInfo, Recommender
from cobrarec.retrieval.transition_memory import TransitionMemory
from cobrarec.run_results import KS, choose_weights, measured_ids, shown_metrics
from cobrarec.semantic_ids.assigner import CodeAssigner, fit_semantic_ids
from cobrarec.semantic_ids.health_card import check_collapse
from cobrarec.semantic_ids.named_buckets import named_buckets
from cobrarec.semantic_ids.semantic_ids import SemanticIds
from cobrarec.semantic_ids.text_embeddings import TextEmbedder, cached_embeddings
from cobrarec.semantic_ids.typical_words import TypicalWords
from cobrarec.training.job import TrainingJob, Validate, resolve_device
from cobrarec.training.trainer import train_model

REFIT_EPOCHS = 2
"""Epochs over training and validation interactions together, from the chosen weights on."""
REFIT_RATE = 0.3
"""Their peak learning rate, relative to that of the training."""


@dataclass(frozen=True)
class Identified:
    """A run after its second step: text embeddings `[num_items, text_dim]`, IDs, and what gives new items theirs."""

    embedder: TextEmbedder
    embeddings: npt.NDArray[np.float32]
    semantic_ids: SemanticIds
    assigner: CodeAssigner


def semantic_ids_step(prepared: Prepared, progress: Progress, embedding_cache: Path | None = None, device: str = "auto") -> Identified:
    """Embed the texts, on `device` where an encoder does it, and quantize them; or load what was done before.

    Raises:
        CollapseError: the IDs do not tell the items apart, and the settings do not allow that. Nothing is written then.
    """
    run, config = prepared.run, prepared.config
    place, device = run.prepared / "embeddings", str(resolve_device(device))
    embedder, embeddings = cached_embeddings(prepared.catalog.texts, config.text, place, progress, embedding_cache, device)
    if run.semantic_ids.exists():
        return Identified(embedder, embeddings, SemanticIds.load(run.semantic_ids), CodeAssigner.load(run.semantic_ids))
    result = fit_semantic_ids(embeddings, prepared.split.train, config.semantic_ids, prepared.seed, progress)
    check_collapse(result.health_card, config.semantic_ids.allow_collapse)
    with run.writing(run.semantic_ids) as folder:
        result.semantic_ids.save(folder)
        result.assigner.save(folder)
        write_text(folder / "health_card.json", json.dumps(result.health_card.to_dict(), indent=2) + "\n")
        write_text(folder / "words.json", json.dumps(_in_words(prepared, result.semantic_ids), ensure_ascii=False) + "\n")
    for line in ("Health card of the semantic IDs", *("  " + line for line in result.health_card.lines())):
        progress.message(line)
    return Identified(embedder, embeddings, result.semantic_ids, result.assigner)


def _in_words(prepared: Prepared, ids: SemanticIds) -> list[dict[str, Any]]:
    catalog = prepared.catalog
    popularity = prepared.split.train.item_counts(catalog.num_items)
    return named_buckets(TypicalWords.of(catalog.texts, ids), catalog.titles, popularity)


@dataclass(frozen=True)
class Trained:
    """A run after its third step."""

    recommender: Recommender
    cold_start: ColdStart
    tokenizer: ItemTokenizer | None
    best_epoch: int


def train_step(prepared: Prepared, identified: Identified, options: RunOptions, progress: Progress) -> Trained:
    """Train, or go on with a stopped training; choose the weights of the fusion and note all choices.

    Raises:
        RunError: a training was begun before and `options.resume` is off.
        Interrupted: Ctrl-C; a checkpoint is on disk.
    """
    run, config = prepared.run, prepared.config
    model, tokenizer = new_model(prepared, identified)
    job = TrainingJob(
        folder=run.checkpoints,
        validate=_validator(prepared, identified),
        progress=progress,
        log_file=run.log_file,
        minutes=options.time_limit,
        resume_hint="",
    )
    result = train_model(model, prepared.split.train, config, options.model_copy(update={"seed": prepared.seed}), job)
    recommender, cold_start = trained_recommender(prepared, identified, model.cpu(), transition_memory(prepared))
    weights = choose_weights(prepared, recommender, progress)
    settings = {"direct_weight": weights.direct, "memory_weight": weights.memory}
    choices = {"num_epochs": result.best_epoch, **settings}
    write_text(run.checkpoints / "choices.json", json.dumps(choices, indent=2) + "\n")
    return Trained(recommender.with_settings(**settings), cold_start, tokenizer, result.best_epoch)


def refit_step(whole: Prepared, identified: Identified, options: RunOptions, progress: Progress) -> Trained:
    """Train the chosen model a little further, on the validation interactions too; the weights of the fusion stay as chosen.

    Reads `chosen/`; raises as `train_step` does.

    Args:
        whole: the run as `Prepared.refitting` gives it.
        identified: its codes, which stay.
        options: device, threads, time limit, whether to go on with a stopped refit.
        progress: told how far it is.
    """
    run = whole.run
    chosen, (cold_start, tokenizer) = load_artifact(run.chosen), load_cold_start(run.chosen)
    model = chosen.model
    cold_start.write_into(model, identified.embeddings, chosen.info.popularity > 0)
    model.limit_times(whole.split.train)
    config = final_training(whole.config)
    progress.message(f"Refitting the chosen model: {REFIT_EPOCHS} epochs on training and validation interactions.")
    job = TrainingJob(folder=run.checkpoints / "refit", progress=progress, minutes=options.time_limit, resume_hint="", begins_trained=True)
    train_model(model, whole.split.train, config, options.model_copy(update={"seed": whole.seed}), job)
    recommender, cold_start = trained_recommender(whole, identified, model.cpu(), transition_memory(whole))
    weights = {"direct_weight": chosen.weights.direct, "memory_weight": chosen.weights.memory}
    best_epoch = int(read_manifest(run.chosen)["model"]["epochs"])
    return Trained(recommender.with_settings(**weights), cold_start, tokenizer, best_epoch)


def final_training(config: Config) -> Config:
    """The settings of a training that goes on from a trained model and has nothing to choose on."""
    rate = REFIT_RATE * config.training.learning_rate
    training = config.training.model_copy(update={"num_epochs": REFIT_EPOCHS, "learning_rate": rate, "patience": 0})
    return config.model_copy(update={"training": training})


def artifact_step(
    prepared: Prepared, identified: Identified, trained: Trained, folder: Path, more: Mapping[str, Any] | None = None
) -> Path:
    """Write an artifact into `folder`, which is returned; `more` facts stand in its manifest."""
    config, recommender = prepared.config, trained.recommender
    facts = {
        "items": prepared.catalog.num_items,
        "levels": identified.semantic_ids.num_levels,
        "codes_per_level": identified.semantic_ids.codebook_size,
        "dim": config.model.dim,
        "parameters": sum(parameter.numel() for parameter in recommender.model.parameters()),
        "epochs": trained.best_epoch,
        "direct_weight": recommender.weights.direct,
        "memory_weight": recommender.weights.memory,
        "score": recommender.score_formula,
        "trained_on": prepared.learned_from,
        **(more or {}),
    }
    tools = NewItemTools(identified.embedder, identified.assigner, trained.cold_start, trained.tokenizer)
    save_artifact(folder, recommender, config, identified.embeddings, tools, facts)
    return folder


def new_model(prepared: Prepared, identified: Identified) -> tuple[Cobra, ItemTokenizer | None]:
    """The untrained model, and the tokenizer that its item encoder reads through, if it does."""
    config, tokenizer, tokens = prepared.config.model, None, None
    if config.item.kind == "text-encoder":
        tokenizer = ItemTokenizer.fit(prepared.catalog.texts, config.item.text_encoder)
        tokens = tokenizer.table(prepared.catalog.texts)
    model = build_model(config, identified.semantic_ids, identified.embeddings, tokens, prepared.seed)
    model.limit_times(prepared.split.train)
    return model, tokenizer


def _validator(prepared: Prepared, identified: Identified) -> Validate | None:
    """Metrics of a half-trained model on some of the validation users; None where nothing is held out."""
    if prepared.split.valid is None:
        return None
    held_out = sample_users(prepared.split.valid, prepared.config.training.max_valid_users, prepared.seed)
    id_of_row = measured_ids(identified.semantic_ids)

    def validate(model: Cobra) -> dict[str, float]:
        recommender, _ = trained_recommender(prepared, identified, model)
        metrics = evaluate(recommender, held_out, KS, prepared.catalog.num_items, id_of_row, prepared.masking)
        return shown_metrics(metrics, KS)

    return validate


def transition_memory(prepared: Prepared) -> TransitionMemory | None:
    """The transition memory of the training histories; None where the settings give it no weight."""
    if prepared.config.retrieval.memory_weight == 0:
        return None
    return TransitionMemory.fit(prepared.split.train, prepared.catalog.num_items, **prepared.config.memory.model_dump())


def trained_recommender(
    prepared: Prepared, identified: Identified, model: Cobra, memory: TransitionMemory | None = None
) -> tuple[Recommender, ColdStart]:
    """The recommender of the model's present weights; items without training interactions get stand-ins from their text."""
    catalog, split = prepared.catalog, prepared.split
    popularity = split.train.item_counts(catalog.num_items)
    cold_start = ColdStart.fit(model, identified.embeddings, popularity > 0)
    items = cold_start.item_vectors(model, identified.embeddings, popularity > 0)
    model.refresh_evidence(items)
    info = ArtifactInfo(popularity, split.name, prepared.seed)
    memory = None if memory is None else memory.with_unknown_items(items, popularity > 0)
    recommender = Recommender.of_network(catalog, identified.semantic_ids, model, items, prepared.config.retrieval, info, memory)
    return recommender, cold_start
