"""What a run came to, for the reader of the terminal: the table of metrics and where things lie."""

from pathlib import Path
from typing import TYPE_CHECKING

from cobrarec.errors import RunError

if TYPE_CHECKING:
    from cobrarec.cli.screen import Screen


def show_run(folder: Path, screen: "Screen") -> None:
    """Print the tables of `metrics.json`, then the places of the artifact and the report."""
    from cobrarec.run_folder import RunFolder, read_json

    run = RunFolder(folder)
    metrics = read_json(run.metrics_file)
    for split in ("valid", "test"):
        if metrics and metrics.get(split):
            screen.metrics(f"{split} ({metrics['protocol']})", metrics[split])
    screen.line(f"artifact  {run.artifact}")
    if run.report_file.exists():
        screen.line(f"report    {run.report_file}")
    if not run.artifact.exists():
        raise RunError(f"{folder} has no artifact yet; go on with --resume.")


def fetch_data(out: Path, screen: "Screen") -> None:
    """Fetch MovieLens-100k into `out` and print the places of its tables."""
    from cobrarec.data.sources import movielens_100k

    for path in movielens_100k(out, progress=screen):
        screen.line(str(path))
