"""`cobrarec demo`: the whole method on real data in a few minutes, every part shown as it comes."""

import json
import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cobrarec import pipeline
from cobrarec.cli.lists import why_text
from cobrarec.cli.results import show_run
from cobrarec.config import RunOptions, load_config
from cobrarec.data.sources import movielens_100k, predictable_world, write_source
from cobrarec.encoder_trial import try_text_encoder
from cobrarec.errors import DataError, RunError
from cobrarec.run_folder import RunFolder

if TYPE_CHECKING:
    from cobrarec.cli.screen import Screen

LAST_ITEMS = 5
FIT_MINUTES = 3.75
"""The schedule is fitted to it, so that a slow or busy machine trains fewer steps, not longer."""
TRIAL_MINUTES = 0.5


def run_demo(out: Path, seed: int, screen: "Screen") -> None:
    """Data, fit with the test split, three users, the paper's text encoder for a short epoch, and where everything lies."""
    run = RunFolder(out)
    clear_earlier_demo(run)
    items, interactions = demo_tables(out.with_name(f"{out.name}-data"), seed, screen)
    pipeline.fit(
        items,
        interactions,
        out,
        load_config("demo"),
        RunOptions(seed=seed, test=True, time_limit=FIT_MINUTES, num_threads=1),
        progress=screen,
    )
    show_examples(run, screen)
    show_text_encoder(run, screen)
    screen.lines("Done", [])
    show_run(out, screen)
    page = f" --interactions {interactions}" if find_spec("gradio") else ""
    screen.line(f"serve     {_program()} serve --artifact {run.artifact}{page}")


def clear_earlier_demo(run: RunFolder) -> None:
    """Remove what an earlier demo left; raises RunError where the folder holds anything else of a run."""
    run.refuse_foreign()
    if run.config_file.exists() and run.config() != load_config("demo"):
        raise RunError(f"{run.path} holds a run that is no demo; give another folder with --out.")
    run.clear()


def demo_tables(folder: Path, seed: int, screen: "Screen") -> tuple[Path, Path]:
    """MovieLens-100k, or, where it cannot be had, the predictable world, which is said."""
    try:
        return movielens_100k(folder, progress=screen)
    except DataError as error:
        screen.message(f"MovieLens-100k cannot be had ({error})\nThe demo goes on with a synthetic world in its place.")
        return write_source(*predictable_world(num_users=1000, num_items=480, seed=seed), folder.with_name(f"{folder.name}-synthetic"))


def show_examples(run: RunFolder, screen: "Screen") -> None:
    """Print three validation users: the end of the history, what came next, ten titles and why."""
    for record in json.loads(run.examples_file.read_text(encoding="utf-8")):
        history = "; ".join(item["title"] for item in record["history"][-LAST_ITEMS:])
        target = record["target"]
        titles = {item["item_id"]: item["title"] for item in [*record["history"], *record["items"]]}
        screen.lines(f"User {record['user_id']}", [f"last seen  {history}", *([f"then took  {target['title']}"] if target else [])])
        rows = [[str(item["rank"]), _marked(item, target), f"{item['score']:.3g}", why_text(item, titles)] for item in record["items"]]
        screen.table("", ["rank", "title", "score", "why"], rows)


def show_text_encoder(run: RunFolder, screen: "Screen") -> None:
    """Train the paper's end-to-end text encoder for a short epoch and print how much gradient reaches it on each way."""
    screen.message("The paper's text encoder, end to end, for a short epoch")
    losses, norms = try_text_encoder(run, TRIAL_MINUTES, screen)
    shown = ", ".join(f"{name} {value:.3f}" for name, value in losses.items())
    lines = [f"mean losses of the epoch: {shown}", "gradient norms at the encoder, by the way they come:"]
    screen.lines("The paper's end-to-end text encoder", [*lines, *(f"  {name:<9} {norm:.4g}" for name, norm in norms.items())])


def _program() -> str:
    """How to call cobrarec from here: by its name where that is found, else by its place."""
    if shutil.which("cobrarec"):
        return "cobrarec"
    place = Path(sys.executable).with_name("cobrarec")
    return os.path.relpath(place) if place.exists() else f"{os.path.relpath(sys.executable)} -m cobrarec"


def _marked(item: dict[str, Any], target: dict[str, Any] | None) -> str:
    return f"{item['title']} (taken)" if target and item["item_id"] == target["item_id"] else str(item["title"])
