"""Seconds a training step on a prepared run, for one thread and for several, in turn.

python benchmarks/training_step.py --run RUN [--threads 1 2] [--steps 12] [--rounds 3]

The run needs its semantic IDs; its training is not touched.
"""

import argparse
import contextlib
import json
import statistics
import tempfile
import time
from pathlib import Path

import torch
from _machine import machine

from cobrarec.config import RunOptions
from cobrarec.prepared import load_prepared
from cobrarec.progress import Silent
from cobrarec.run_folder import RunFolder
from cobrarec.run_steps import new_model, semantic_ids_step
from cobrarec.training.job import TrainingJob
from cobrarec.training.trainer import train_model


class _EnoughError(Exception):
    """Enough steps were timed."""


def timed_steps(run: Path, num_steps: int) -> list[float]:
    """Seconds between the first steps of a training from the start; the first three are left out."""
    prepared = load_prepared(RunFolder(run))
    model, _ = new_model(prepared, semantic_ids_step(prepared, Silent()))
    ends: list[float] = []

    def note(step: int) -> None:
        ends.append(time.perf_counter())
        if step == num_steps + 3:
            raise _EnoughError

    with tempfile.TemporaryDirectory() as folder:
        job = TrainingJob(folder=Path(folder), on_step=note)
        with contextlib.suppress(_EnoughError):
            train_model(model, prepared.split.train, prepared.config, RunOptions(seed=prepared.seed), job)
    return [after - before for before, after in zip(ends[2:], ends[3:], strict=False)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="a run with semantic IDs")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--steps", type=int, default=12, help="steps a round")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    figures = machine()
    seconds: dict[int, list[float]] = {number: [] for number in given.threads}
    for _ in range(given.rounds):
        for number in given.threads:
            torch.set_num_threads(number)
            seconds[number] += timed_steps(given.run, given.steps)
    prepared = load_prepared(RunFolder(given.run))
    figures |= {"items": prepared.catalog.num_items, "targets a step": prepared.config.training.targets_per_batch}
    figures["median seconds a step"] = {f"{number} threads": round(statistics.median(taken), 3) for number, taken in seconds.items()}
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
