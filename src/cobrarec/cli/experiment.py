"""`cobrarec experiment`: its options, and what it prints."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from tyro.conf import Positional

from cobrarec.cli.settings import Device, Flag
from cobrarec.errors import ConfigError

if TYPE_CHECKING:
    from cobrarec.cli.screen import Screen


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Run a named experiment: train what is not recorded yet, measure it on test, add it to the results.

    For example:

      cobrarec experiment table2 --data data --estimate
      cobrarec experiment table2 --data data --datasets beauty --models cobra,counts --seeds 0
      cobrarec experiment ablation --data data
      cobrarec experiment cold --data data --datasets beauty
    """

    name: ClassVar[str] = "experiment"
    source: Positional[str]
    """Name of a packaged experiment (table2, cascade, from-the-paper, ablation, cold), or a YAML file of the same form."""
    data: Path = Path("data")
    """Folder with one folder per data set, each with items.parquet and interactions.parquet."""
    out: Path | None = None
    """Folder of the runs, which experiments can share; where not given runs/experiments."""
    results: Path | None = None
    """Folder of the records; where not given docs/results, with --scale a folder below --out."""
    datasets: str = ""
    """Only these data sets, with commas between."""
    models: str = ""
    """Only these rows, with commas between."""
    seeds: str = ""
    """Only these of the seeds that the rows have, with commas between."""
    protocols: str = ""
    """Only these ways of measuring (masked, unmasked, masked-shuffled-ties), with commas between."""
    scale: float | None = None
    """A share of the users and of the epochs, such as 0.1, to see that all of it works."""
    device: Device = "auto"
    """Where to compute."""
    num_threads: int | None = None
    """CPU threads; torch's choice where not given."""
    estimate: Flag = False
    """Only say what would run, and about how long it would take."""

    def run(self, screen: "Screen") -> None:
        """Run it and print the tables."""
        from cobrarec.experiments import cold
        from cobrarec.experiments.cold_tables import render_cold
        from cobrarec.experiments.definition import load_definition
        from cobrarec.experiments.plan import Selection
        from cobrarec.experiments.result_tables import render_tables
        from cobrarec.experiments.run_experiment import run_experiment

        selection = Selection(
            data=self.data,
            out=self.out,
            results=self.results,
            datasets=_names(self.datasets),
            models=_names(self.models),
            seeds=_seeds(self.seeds),
            protocols=_names(self.protocols),
            scale=self.scale,
            device=self.device,
            num_threads=self.num_threads,
        )
        if self.source == cold.NAME:
            results = cold.run_cold(selection, screen, self.estimate)
            tables = render_cold(results)
        else:
            results = run_experiment(self.source, selection, screen, self.estimate)
            tables = render_tables(results, load_definition(self.source)[1], self.scale)
        if not self.estimate:
            screen.line(tables)
            screen.line(f"records  {results.path}")


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _seeds(text: str) -> tuple[int, ...]:
    try:
        seeds = tuple(int(part) for part in _names(text))
    except ValueError:
        seeds = (-1,)
    if any(seed < 0 for seed in seeds):
        raise ConfigError(f"--seeds is {text!r}, expected whole numbers from 0 with commas between, such as 0,1,2.")
    return seeds
