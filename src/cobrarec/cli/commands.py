"""The commands: the options of each with their help, and the one function that each calls."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from tyro.conf import Positional

from cobrarec.cli.artifact_commands import Items, Recommend, Serve, Verify
from cobrarec.cli.experiment import Experiment
from cobrarec.cli.run_commands import Evaluate, Fit, Prepare, Report, SemanticIds, Train

if TYPE_CHECKING:
    from cobrarec.cli.screen import Screen


@dataclass(frozen=True, kw_only=True)
class Data:
    """Fetch a public data set as the two tables that `fit` reads.

    For example:

      cobrarec data movielens-100k --out data/movielens
    """

    name: ClassVar[str] = "data"
    source: Positional[Literal["movielens-100k"]]
    """Name of the data set."""
    out: Path
    """Folder for items.parquet and interactions.parquet."""

    def run(self, screen: "Screen") -> None:
        """Fetch, convert and print the places of the tables."""
        from cobrarec.cli.results import fetch_data

        fetch_data(self.out, screen)


@dataclass(frozen=True, kw_only=True)
class Demo:
    """The whole method on MovieLens-100k in a few minutes; on a synthetic world where there is no network.

    For example:

      cobrarec demo
    """

    name: ClassVar[str] = "demo"
    out: Path = Path("runs/demo")
    """Folder of the run; an earlier demo in it is replaced."""
    seed: int = 0
    """Seed of every random choice."""

    def run(self, screen: "Screen") -> None:
        """Run it, printing each part as it comes."""
        from cobrarec.cli.demo import run_demo

        run_demo(self.out, self.seed, screen)


COMMANDS = (Fit, Prepare, SemanticIds, Train, Evaluate, Recommend, Items, Serve, Data, Report, Verify, Demo, Experiment)
