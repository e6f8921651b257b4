"""Commands over an artifact: lists from it, at once or over HTTP, changes of its items, and whether it is whole."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from tyro.conf import Positional, UseAppendAction

from cobrarec.cli.settings import Device, Flag
from cobrarec.errors import ConfigError

if TYPE_CHECKING:
    from cobrarec.cli.screen import Screen


@dataclass(frozen=True, kw_only=True)
class Recommend:
    """Lists of items for histories, known or never seen before.

    For example:

      cobrarec recommend --artifact runs/first/artifact --histories new_users.parquet --k 10 --out lists.parquet
      cobrarec recommend --artifact runs/first/artifact --histories a_million_users.parquet --out lists
      cobrarec recommend --artifact runs/first/artifact --item B001 --item B007 --explain
    """

    name: ClassVar[str] = "recommend"
    artifact: Path
    """The folder `artifact` of a run."""
    histories: Path | None = None
    """Table with `user_id`, `item_id` and `position` or `timestamp` for the order."""
    item: UseAppendAction[tuple[str, ...]] = ()
    """An item of the one history to recommend for, oldest first; give it several times."""
    k: int = 10
    """Length of each list."""
    out: Path | None = None
    """Write the lists here instead of printing them: a file (parquet, CSV or JSONL by its ending), or a folder. A folder takes any number
    of users: sorting their histories holds 1 GB in memory, then --users-per-part decides. Stopped, the same command goes on."""
    users_per_part: int = 20_000
    """Users whose lists are made, held in memory and written at once; of a folder, one file."""
    explain: Flag = False
    """Say why each item is there: beam probability, cosine, nearest item of the history."""
    json: Flag = False
    """Print JSON instead of a table."""
    exclude: UseAppendAction[tuple[str, ...]] = ()
    """Item, or file of items (a table with `item_id`, or one id a line), that must not be recommended."""
    allow: UseAppendAction[tuple[str, ...]] = ()
    """Item, or file of items, to which recommendations are limited."""
    where: str | None = None
    """Conditions on columns of the items table, as JSON: '{"brand": ["X", "Y"], "price": {"max": 9}}'."""
    unknown: Literal["skip", "error"] = "skip"
    """Items that the artifact does not know: left out and counted, or refused."""
    include_history: Flag = False
    """Items of the history may be recommended again."""
    num_beams: int | None = None
    """Semantic IDs kept by beam search."""
    tau: float | None = None
    """Weight of the beam score in BeamFusion."""
    psi: float | None = None
    """Weight of the similarity in BeamFusion."""
    new_item_level: float | None = None
    """Added to the log scores of items that nobody has taken in training; above 0 the lists hold more of them."""

    def run(self, screen: "Screen") -> None:
        """Load the artifact, recommend, print or write the lists."""
        from cobrarec.cli.lists import recommend

        if (self.histories is None) == (not self.item):
            raise ConfigError("Give either --histories FILE or --item ID (once per item of one history).")
        if self.k < 1:
            raise ConfigError(f"--k is {self.k}, expected at least 1.")
        if self.users_per_part < 1:
            raise ConfigError(f"--users-per-part is {self.users_per_part}, expected at least 1.")
        if self.out is not None and (self.json or self.explain):
            raise ConfigError("--out writes a table without reasons; print them with --json or --explain instead, or leave these away.")
        recommend(self, screen)


@dataclass(frozen=True, kw_only=True)
class Items:
    """Add, change or remove items of an artifact without retraining, or write what it has become as a new artifact.

    Items whose ids are new are added, others say from then on what the table says. Removed items are in no list any more, but still
    count in histories. The changes lie inside the artifact and are on disk when the command ends.

    For example:

      cobrarec items add --artifact runs/first/artifact --items new_items.parquet
      cobrarec items remove --artifact runs/first/artifact --item B001 --item B007
      cobrarec items compact --artifact runs/first/artifact --out runs/first/artifact-2
    """

    name: ClassVar[str] = "items"
    action: Positional[Literal["add", "remove", "compact"]]
    """What to do."""
    artifact: Path
    """The folder `artifact` of a run."""
    items: Path | None = None
    """For `add`: table of items (parquet, CSV, JSONL) with `item_id` and columns of the items table that the model was fitted with."""
    item: UseAppendAction[tuple[str, ...]] = ()
    """For `remove`: item, or file of items (a table with `item_id`, or one id a line)."""
    out: Path | None = None
    """For `compact`: a new folder for the new artifact."""

    def run(self, screen: "Screen") -> None:
        """Make the change and say what it came to."""
        from cobrarec.cli.items import change_items

        needed = {"add": "items", "remove": "item", "compact": "out"}
        for action, option in needed.items():
            if (action == self.action) != bool(getattr(self, option)):
                told = f"needs --{option}" if action == self.action else f"takes no --{option}"
                raise ConfigError(f"`cobrarec items {self.action}` {told}; see `cobrarec items --help`.")
        change_items(self, screen)


@dataclass(frozen=True, kw_only=True)
class Serve:
    """Answer requests for lists over HTTP, and take changes of items, until SIGTERM or Ctrl-C; needs the extra `serve`.

    SIGHUP, or `POST /reload`, takes what lies in the artifact's place then, without a request that fails. The addresses are documented
    by the server itself at /docs.

    For example:

      cobrarec serve --artifact runs/first/artifact
      cobrarec serve --artifact runs/first/artifact --host 0.0.0.0 --token-file token.txt --workers 4
      cobrarec serve --artifact runs/first/artifact --interactions interactions.parquet
    """

    name: ClassVar[str] = "serve"
    artifact: Path
    """The folder `artifact` of a run."""
    host: str = "127.0.0.1"
    """Address to listen on. Any but loopback needs a token."""
    port: int = 8000
    """Port to listen on; 0 takes a free one."""
    workers: int = 1
    """Processes. More than one only read: items are then changed by `cobrarec items` and taken up by a reload."""
    token_file: Path | None = None
    """File with the bearer token that guards writes, reload and metrics; else the environment variable COBRAREC_TOKEN."""
    read_only: Flag = False
    """Refuse changes of items."""
    interactions: Path | None = None
    """Table of interactions as `fit` takes it: the page at /ui then takes the histories of its users."""
    no_page: Flag = False
    """Leave the page at /ui away, which is there where gradio is (extra `ui`)."""
    time_limit: float = 10.0
    """Seconds that a request may take, waiting included, before it is answered with 503."""
    max_waiting: int = 2000
    """Histories that may wait; beyond, requests are answered with 503."""
    device: Device = "cpu"
    """Where to compute."""
    num_threads: int | None = None
    """CPU threads of each process; torch's choice where not given."""

    def run(self, screen: "Screen") -> None:
        """Serve until told to stop."""
        from cobrarec.cli.serve import serve_command

        serve_command(self, screen)


@dataclass(frozen=True, kw_only=True)
class Verify:
    """Compare every file of an artifact with its manifest.

    For example:

      cobrarec verify --artifact runs/first/artifact
    """

    name: ClassVar[str] = "verify"
    artifact: Path
    """The folder `artifact` of a run."""

    def run(self, screen: "Screen") -> None:
        """Verify and print what the artifact is."""
        from cobrarec.artifact import load_changes
        from cobrarec.artifact_manifest import verify_files

        manifest = verify_files(self.artifact)
        files = f"{len(manifest['files'])} files are as written {manifest['created']}"
        num_changes = len(load_changes(self.artifact, manifest["sha256"]))
        changed = f", {num_changes:,} changes of items since" if num_changes else ""
        screen.line(f"{self.artifact}: {files}; ranker {manifest['ranker']}, split {manifest['split']}{changed}")
