"""The trained runs of an experiment: each fitted where it is not there, resumed where it was cut off, timed across interruptions."""

import dataclasses
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cobrarec import pipeline
from cobrarec.artifact import load_artifact
from cobrarec.artifact_manifest import read_manifest, write_text
from cobrarec.config import Config, RunOptions
from cobrarec.experiments.datasets import Tables
from cobrarec.experiments.definition import Definition
from cobrarec.experiments.locks import locked
from cobrarec.experiments.measures import served
from cobrarec.experiments.plan import RunName, Selection
from cobrarec.experiments.protocols import Protocol, with_shuffled_ties
from cobrarec.experiments.provenance import provenance
from cobrarec.prepared import Prepared, load_prepared
from cobrarec.progress import Progress
from cobrarec.retrieval.list_search import ListSearch
from cobrarec.retrieval.recommender import Recommender
from cobrarec.run_folder import RunFolder, read_json
from cobrarec.run_results import choose_weights

MADE_FILE = "made.json"
"""What a run folder keeps of its making: `seconds` and what `provenance` says."""


@dataclass(frozen=True)
class TrainedRun:
    """A run with its artifact.

    made: `seconds` of all that makes it (metrics not among it), `cores` or `device`, `commit` and `date`, as of its training; each None
    where that is not known. best_epoch: None where nothing was trained. network: the first 12 digits of its weights' sha256, by which
    variants of one training are told from those of another; None without a network.
    """

    prepared: Prepared
    recommender: Recommender
    made: dict[str, Any]
    best_epoch: int | None
    network: str | None


class Runs:
    """Gives the trained run of a name, fitting it if need be."""

    def __init__(self, definition: Definition, tables: Mapping[str, Tables], out: Path, selection: Selection, progress: Progress) -> None:
        self.definition, self.tables, self.out, self.progress = definition, tables, out, progress
        self.selection = selection
        self.provenance = provenance(selection.device, selection.num_threads)

    def trained(self, name: RunName) -> TrainedRun:
        """The run in its folder, fitted to its end.

        Raises:
            RunError: the folder holds another run.
            Interrupted: Ctrl-C; the next call goes on.
        """
        run = RunFolder(name.folder(self.out))
        tables = self.tables[name.dataset]
        interactions = with_shuffled_ties(tables.interactions, name.seed) if name.shuffled else tables.interactions
        config = self.definition.config_of(name.model, self.selection.scale)
        options = RunOptions(
            seed=name.seed,
            device=self.selection.device,
            num_threads=self.selection.num_threads,
            resume=True,
            refit=False,
            embedding_cache=self.out / "embeddings",
        )
        return train_run(run, Tables(tables.items, interactions), config, options, self.provenance, self.progress)

    def serving(self, model: str, run: TrainedRun, protocol: Protocol) -> Recommender:
        """What a row is measured by: its run's recommender, or, of a variant, that under its settings, weights chosen anew."""
        recommender, row = run.recommender, self.definition.rows[model]
        if row.of is not None:
            recommender = recommender.with_settings(**{**row.settings.get("retrieval", {}), "fill": False})
        if row.of is not None and isinstance(recommender.engine, ListSearch):
            prepared = dataclasses.replace(run.prepared, config=self.definition.config_of(model, self.selection.scale))
            weights = choose_weights(prepared, recommender, self.progress)
            recommender = recommender.with_settings(direct_weight=weights.direct, memory_weight=weights.memory)
        return served(recommender, protocol)


def train_run(
    run: RunFolder, tables: Tables, config: Config, options: RunOptions, facts: Mapping[str, Any], progress: Progress
) -> TrainedRun:
    """What `fit` does, but for its metrics and report, from where it was left: a record has its own, and only the model is asked for.

    Args:
        run: its folder.
        tables: what it is made from.
        config: hyper-parameters.
        options: with `resume`; seed, device and threads, whether to refit.
        facts: noted in the folder beside the seconds, where anything was left to do.
        progress: told how far it is.

    Raises:
        RunError: the folder holds another run.
        Interrupted: Ctrl-C; the next call goes on.
    """
    with locked(run.path.with_suffix(".lock")):
        if run.artifact.exists():  # it only remains to see that it is this very run's
            pipeline.prepare(tables.items, tables.interactions, run.path, config, options, progress)
        else:
            with noted(run.path / MADE_FILE, facts):
                pipeline.prepare(tables.items, tables.interactions, run.path, config, options, progress)
                if config.ranker == "cobra":
                    pipeline.build_semantic_ids(run.path, progress=progress, embedding_cache=options.embedding_cache)
                pipeline.train(run.path, options, progress)
    recommender = load_artifact(run.artifact, options.device)
    made = read_json(run.path / MADE_FILE) or dict.fromkeys(("seconds", *facts))
    best_epoch = (read_json(run.checkpoints / "choices.json") or {}).get("num_epochs")
    weights = read_manifest(run.artifact)["files"].get("model.safetensors")
    return TrainedRun(load_prepared(run), recommender, made, best_epoch, weights and weights["sha256"][:12])


@contextmanager
def noted(path: Path, facts: Mapping[str, Any]) -> Iterator[None]:
    """Write `facts` to `path`, and the seconds of the block added to those there, also where an error ends it, if its folder is there."""
    start = time.monotonic()
    try:
        yield
    finally:
        if path.parent.exists():
            before = (read_json(path) or {"seconds": 0.0})["seconds"]
            write_text(path, json.dumps({"seconds": round(before + time.monotonic() - start, 1), **facts}) + "\n")
