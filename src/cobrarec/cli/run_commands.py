"""Commands over a run folder: making one, step by step or at once, and looking at it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from tyro.conf import Suppress, arg

from cobrarec.cli.settings import Device, Flag, run_options
from cobrarec.config import Config, parse_config
from cobrarec.errors import ConfigError

if TYPE_CHECKING:
    from cobrarec.cli.screen import Screen


@dataclass(frozen=True, kw_only=True)
class _OverTables:
    items: Path
    """Table of items (parquet, CSV, JSONL): `item_id` and any attributes, which become the item's text."""
    interactions: Path
    """Table of interactions: `user_id`, `item_id`, and `position` or `timestamp` for the order."""
    out: Path
    """Folder of the run; made anew."""
    model: str | None = None
    """What to fit, by the name of a packaged configuration: `cobra` (the defaults), `sasrec`, `counts`, `content`, `popularity`, ..."""
    config: str | None = None
    """In place of --model, a YAML file of settings or a packaged one: `paper-amazon`, `demo`. Settings below lie on top of either."""
    seed: int = 0
    """Seed of every random choice."""
    split: str | None = None
    """`last-two`, `time:0.95` or `none`; short for --data.split."""
    unknown_items: Literal["skip", "error"] | None = None
    """Interactions with items that the items table lacks; short for --data.unknown-items."""
    allow_collapse: Flag = False
    """Go on although the semantic IDs do not tell the items apart."""
    like: Path | None = None
    """With `--split none`: the run whose settings and choices on validation (best epoch, fusion weight) are used."""
    resume: Flag = False
    """Go on with the run in --out where it stopped."""
    resolved: Suppress[Config] = field(default_factory=Config)

    def settings(self) -> Config:
        """The resolved settings with the short options laid on top."""
        data = {"split": self.split, "unknown_items": self.unknown_items}
        values = self.resolved.model_dump()
        values["data"].update({key: value for key, value in data.items() if value is not None})
        values["semantic_ids"]["allow_collapse"] |= self.allow_collapse
        return parse_config(values, "the command line")


@dataclass(frozen=True, kw_only=True)
class Fit(_OverTables):
    """Two tables in, an artifact that recommends out.

    For example:

      cobrarec fit --items items.parquet --interactions interactions.parquet --out runs/first --test
      cobrarec fit --items items.csv --interactions x.csv --out runs/two-levels --semantic-ids.num-levels 2
      cobrarec fit --items items.csv --interactions x.csv --out runs/counts --model counts
      cobrarec fit --items items.csv --interactions x.csv --out runs/final --split none --like runs/first
      cobrarec fit --items newer.csv --interactions newer_x.csv --out runs/tuesday --from runs/monday/artifact
    """

    name: ClassVar[str] = "fit"
    test: Flag = False
    """Read the test split too, at the very end."""
    no_refit: Flag = False
    """Leave the model as validation chose it, without learning from the validation interactions too."""
    time_limit: float | None = None
    """Minutes that all may take; the schedule is fitted to it."""
    device: Device = "auto"
    """Where to train."""
    num_threads: int | None = None
    """CPU threads; torch's choice where not given."""
    embedding_cache: Path | None = None
    """Folder of text embeddings that runs share, so that the same texts are embedded once."""
    from_artifact: Annotated[Path | None, arg(name="from")] = None
    """Go on from the model of this artifact: old items keep their codes, new ones are assigned theirs, nothing is chosen anew."""

    def run(self, screen: "Screen") -> None:
        """Run the whole pipeline and print the table of metrics."""
        from cobrarec import pipeline
        from cobrarec.cli.results import show_run

        names = ("seed", "device", "num_threads", "time_limit", "resume", "test", "like", "embedding_cache", "from_artifact")
        options = run_options({name: getattr(self, name) for name in names} | {"refit": not self.no_refit})
        pipeline.fit(self.items, self.interactions, self.out, self.settings(), options, progress=screen)
        show_run(self.out, screen)


@dataclass(frozen=True, kw_only=True)
class Prepare(_OverTables):
    """First step of `fit`: read, check and split the tables, and say what is odd about them.

    For example:

      cobrarec prepare --items items.csv --interactions interactions.csv --out runs/first
    """

    name: ClassVar[str] = "prepare"

    def run(self, screen: "Screen") -> None:
        """Prepare the run folder; the audit is shown as it goes."""
        from cobrarec import pipeline

        options = run_options({"seed": self.seed, "resume": self.resume, "like": self.like})
        pipeline.prepare(self.items, self.interactions, self.out, self.settings(), options, progress=screen)
        screen.line(str(self.out))


@dataclass(frozen=True, kw_only=True)
class SemanticIds:
    """Second step of `fit`: embed the item texts and quantize them into semantic IDs.

    For example:

      cobrarec semantic-ids --run runs/first
    """

    name: ClassVar[str] = "semantic-ids"
    run_folder: Annotated[Path, arg(name="run")]
    """A folder made by `cobrarec prepare`."""
    allow_collapse: Flag = False
    """Go on although the IDs do not tell the items apart."""
    embedding_cache: Path | None = None
    """Folder of text embeddings that runs share, so that the same texts are embedded once."""

    def run(self, screen: "Screen") -> None:
        """Build the IDs; the health card is shown as it goes."""
        from cobrarec import pipeline

        folder = pipeline.build_semantic_ids(self.run_folder, self.allow_collapse, screen, self.embedding_cache)
        screen.line(str(folder))


@dataclass(frozen=True, kw_only=True)
class Train:
    """Third step of `fit`: train, make the choices on validation, write the artifact.

    For example:

      cobrarec train --run runs/first --resume
    """

    name: ClassVar[str] = "train"
    run_folder: Annotated[Path, arg(name="run")]
    """A folder with semantic IDs, or one prepared for a ranker that needs none."""
    resume: Flag = False
    """Go on from the last checkpoint."""
    no_refit: Flag = False
    """As in `fit`."""
    time_limit: float | None = None
    """Minutes that training may take; the schedule is fitted to it."""
    device: Device = "auto"
    """Where to train."""
    num_threads: int | None = None
    """CPU threads; torch's choice where not given."""

    def run(self, screen: "Screen") -> None:
        """Train and print the place of the artifact."""
        from cobrarec import pipeline

        names = ("device", "num_threads", "time_limit", "resume")
        options = run_options({name: getattr(self, name) for name in names} | {"refit": not self.no_refit})
        screen.line(str(pipeline.train(self.run_folder, options, progress=screen)))


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Metrics of the very lists that `recommend` gives, beside popularity, transition counts and content neighbors.

    For example:

      cobrarec evaluate --run runs/first --split test --k 5,10
    """

    name: ClassVar[str] = "evaluate"
    run_folder: Annotated[Path, arg(name="run")]
    """A folder with an artifact."""
    split: Literal["valid", "test"] = "valid"
    """Held-out interactions to read. Choices belong on `valid`; read `test` once."""
    k: str = "5,10"
    """List lengths, with commas between."""
    include_history: Flag = False
    """Do not mask the history, whatever the run's settings say: items may be recommended again."""
    json: Flag = False
    """Print JSON instead of a table."""

    def run(self, screen: "Screen") -> None:
        """Evaluate and print the table."""
        from cobrarec import pipeline

        ks = list_lengths(self.k)
        results = pipeline.evaluate(self.run_folder, self.split, ks=ks, include_history=self.include_history or None, progress=screen)
        if self.json:
            screen.json(results)
        else:
            screen.metrics(f"{self.split}, {results['users']:,} users: {results['protocol']}", results[self.split])


@dataclass(frozen=True, kw_only=True)
class Report:
    """Write report.html of a run: audit, health card, curves, tables, examples.

    For example:

      cobrarec report --run runs/first
    """

    name: ClassVar[str] = "report"
    run_folder: Annotated[Path, arg(name="run")]
    """A run folder."""

    def run(self, screen: "Screen") -> None:
        """Write the page and print its place."""
        from cobrarec import pipeline

        screen.line(str(pipeline.report(self.run_folder)))


def list_lengths(text: str) -> tuple[int, ...]:
    """`"5,10"` as numbers; raises ConfigError for anything else."""
    try:
        lengths = tuple(sorted({int(part) for part in text.split(",")}))
    except ValueError:
        lengths = ()
    if not lengths or lengths[0] < 1:
        raise ConfigError(f"--k is {text!r}, expected list lengths such as 5,10.")
    return lengths
