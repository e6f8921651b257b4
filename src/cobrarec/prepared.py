"""The first step of a run, and what the later steps read of it: catalog, histories, split, settings, seed."""

import json
from dataclasses import dataclass, replace
from typing import Any

from cobrarec.artifact import catalog_hash
from cobrarec.artifact_manifest import LEARNED, LEARNED_ALL, LEARNED_MORE, learned_from, write_text
from cobrarec.config import Config, RunOptions
from cobrarec.config_checks import check_config
from cobrarec.data.audit import audit_tables
from cobrarec.data.catalog import Catalog
from cobrarec.data.interactions import Histories, read_interactions
from cobrarec.data.splits import Split, refuse_nothing_to_learn, split_histories
from cobrarec.data.tables import read_table
from cobrarec.errors import ConfigError, RunError
from cobrarec.evaluation.evaluate import Masking, masking
from cobrarec.progress import Progress
from cobrarec.run_folder import RunFolder, read_json, run_identity, settings_unread
from cobrarec.training.job import resolve_device


@dataclass(frozen=True)
class Prepared:
    """A run after its first step, or as it is for the refit."""

    run: RunFolder
    config: Config
    seed: int
    catalog: Catalog
    histories: Histories
    split: Split

    @property
    def learned_from(self) -> str:
        """What is fitted to `split.train` has learned from this, in words."""
        if self.split.test is None:
            return LEARNED_ALL
        return LEARNED if self.split.valid is not None else LEARNED_MORE

    @property
    def masking(self) -> Masking:
        """How the run's lists are judged: as they are served."""
        return masking(self.config.retrieval.include_history)

    def refitting(self) -> "Prepared":
        """The same run with the validation interactions among those to learn from, and nothing left to choose on."""
        assert self.split.before_test is not None, "nothing was held out"
        return replace(self, split=replace(self.split, train=self.split.before_test, valid=None))


def is_refitted(run: RunFolder) -> bool:
    """Whether the run's artifact has learned from the validation interactions too."""
    return learned_from(run.artifact) == LEARNED_MORE


def prepare_run(items: Any, interactions: Any, run: RunFolder, config: Config, options: RunOptions, progress: Progress) -> Prepared:
    """Read, check and split the tables and write `prepared/`; nothing is written before all is known to be good.

    Raises:
        DataError, ConfigError: what was given cannot be used.
        RunError: `run` holds another run, or this one while `options.resume` is off.
    """
    given, config = config, settled_config(config, options)
    if options.like is not None:
        progress.message(f"Split none: {_settled_words(given, config)}, as in {options.like}.")
    check_config(config)
    resolve_device(options.device)
    items_table, interactions_table = read_table(items, "items table"), read_table(interactions, "interactions table")
    identity = run_identity(config, options.seed, items_table, interactions_table)
    if options.from_artifact is not None:
        identity["from"] = catalog_hash(options.from_artifact)
    run.refuse_other_run(identity, options.resume)
    if run.identity is not None:
        progress.message(f"Going on with the run in {run.path}.")
        run.write_config(config)
        return load_prepared(run)
    catalog = Catalog.from_table(items_table, config.data)
    histories, counts = read_interactions(interactions_table, catalog, config.data)
    split = split_histories(histories, config.data.split)
    check_config(config, catalog.num_items)
    refuse_nothing_to_learn(split.train)
    audit = audit_tables(catalog, histories, counts, split)
    with run.writing(run.prepared) as folder:
        catalog.save(folder)
        histories.save(folder / "histories")
        write_text(folder / "audit.json", json.dumps(audit.to_dict(), indent=2, ensure_ascii=False) + "\n")
        write_text(folder / "run.json", json.dumps(identity, indent=2) + "\n")
    run.write_config(config)
    if unread := settings_unread(config):
        progress.message(f"The ranker {config.ranker} does not read {', '.join(f'`{name}`' for name in unread)}; without effect.")
    for line in ("Audit of the tables", *("  " + line for line in audit.lines())):
        progress.message(line)
    decoder = config.model.decoder
    if config.ranker == "cobra" and histories.timestamps is None and (decoder.day_gap or decoder.month):
        progress.message("The interactions table has no column timestamp: times are not read (model.decoder.day_gap, month).")
    return load_prepared(run)  # as the separate commands do, so that both ways give the same, byte for byte


def load_prepared(run: RunFolder) -> Prepared:
    """What `prepare_run` wrote; raises RunError where there is nothing."""
    run.require("prepared", f"cobrarec prepare --items ITEMS --interactions INTERACTIONS --out {run.path}")
    config = run.config()
    catalog = Catalog.load(run.prepared, config.data)
    histories = Histories.load(run.prepared / "histories")
    return Prepared(run, config, run.seed, catalog, histories, split_histories(histories, config.data.split))


def settled_config(config: Config, options: RunOptions) -> Config:
    """The configuration with what `options.like` decides written into it.

    With split `none` nothing is held out: what validation would choose (of the network the number of epochs, after which training never
    stops early, and the weights of the fusion) comes from the run `like`. Raises ConfigError where `like` is missing or of no use.
    """
    if options.from_artifact is not None:
        if options.like is not None:
            raise ConfigError("--from and --like each name what chose the settings; give one of the two.")
        if options.test and config.data.split == "none":
            raise ConfigError("Split none holds nothing out, so that there is no test to read; leave --test away.")
        return config
    if config.data.split != "none":
        if options.like is not None:
            raise ConfigError(
                f"--like {options.like} decides the epochs of split none, but the split is {config.data.split}; add --split none."
            )
        return config
    if options.test:
        raise ConfigError("Split none holds nothing out, so that there is no test to read; leave --test away.")
    if config.ranker != "cobra":
        return _settled_baseline(config, options)
    if options.like is None:
        raise ConfigError("Split none holds nothing out that could choose the number of epochs; name a run that did with --like RUN.")
    chosen = choices_of(RunFolder(options.like), config.ranker)
    epochs, most = config.training.num_epochs, RunFolder(options.like).config().training.num_epochs
    if epochs is not None and epochs != most:  # what the run `like` was given at most is no wish for as many
        raise ConfigError(
            f"`training.num_epochs` is {epochs}, but with --like {options.like} it is what that run chose, {chosen['num_epochs']}; "
            "leave one of the two away, or name a run of the same model."
        )
    training = config.training.model_copy(update={"num_epochs": chosen["num_epochs"], "patience": 0})
    open_weights = [name for name in ("direct_weight", "memory_weight") if getattr(config.retrieval, name) is None]
    retrieval = config.retrieval.model_copy(update={name: chosen[name] for name in open_weights})
    return config.model_copy(update={"training": training, "retrieval": retrieval})


def _settled_baseline(config: Config, options: RunOptions) -> Config:
    """The same for a ranker without a network; one whose settings are all given has no need of a run to be like."""
    section = {"counts": config.counts, "content": config.content}.get(config.ranker)
    left_open = [] if section is None else [name for name, value in section if value is None]
    if section is None or not left_open:
        return config
    if options.like is None:
        keys = " and ".join(f"`{config.ranker}.{name}`" for name in left_open)
        raise ConfigError(f"Split none holds nothing out that could choose {keys}; name a run that did with --like RUN, or give values.")
    chosen = choices_of(RunFolder(options.like), config.ranker)
    settled = section.model_copy(update={name: chosen[name] for name in left_open})
    return config.model_copy(update={config.ranker: settled})


def _settled_words(given: Config, settled: Config) -> str:
    """What `settled_config` settled of what was `given`."""
    if settled.ranker == "cobra":
        weights = {"direct_weight": "weight of the direct query", "memory_weight": "weight of the memory"}
        taken = [
            f"{words} {getattr(settled.retrieval, name):g}" for name, words in weights.items() if getattr(given.retrieval, name) is None
        ]
        return ", ".join([f"{settled.training.num_epochs} epochs", *taken])
    section = {"counts": settled.counts, "content": settled.content}.get(settled.ranker)
    return ", ".join([settled.ranker, *([] if section is None else [f"{name} {value}" for name, value in section])])


def choices_of(like: RunFolder, ranker: str) -> dict[str, Any]:
    """What validation chose in the run `like`: of the network `num_epochs` and the weights, else the settings of the ranker."""
    chosen = read_json(like.checkpoints / "choices.json")
    if chosen is None:
        raise RunError(f"{like.path} is no run that was trained to its end (no checkpoints/choices.json); give --like such a run.")
    if like.config().data.split == "none":
        raise RunError(f"{like.path} itself held nothing out; give --like a run of split last-two or time:FRACTION.")
    if like.config().ranker != ranker:
        raise RunError(f"{like.path} is a run of the ranker {like.config().ranker}, this one is of {ranker}; give a run of {ranker}.")
    return chosen
