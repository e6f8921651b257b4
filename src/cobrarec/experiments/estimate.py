"""About how long an experiment takes: from earlier records of the same settings and data set, else by a rough rule."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.compute as pc

from cobrarec.config import Config
from cobrarec.experiments.datasets import Tables
from cobrarec.experiments.definition import Definition
from cobrarec.experiments.plan import Job, RunName, runs_of
from cobrarec.experiments.records import Record
from cobrarec.training.schedule import epochs_for

SECONDS_PER_TARGET = 2.2e-4
"""Of a training with defaults on one core, whatever the catalog; with the next figure from the steps in benchmarks/README.md."""
SECONDS_PER_TARGET_AND_ITEM = 1.6e-8
"""On top of it for each item of the catalog, which the losses scan."""
SECONDS_PER_USER = 2e-3
"""Of ranking one user of one split."""
SECONDS_PER_RUN = 30.0
"""Of everything else: tables, texts, semantic IDs, baselines."""
NUM_HELD_OUT = 3
"""Interactions of a user that are no targets: the first and the two held out."""


def training_seconds(config: Config, tables: Tables) -> float:
    """Rough seconds of `fit` on one core."""
    num_users = pc.count_distinct(tables.interactions["user_id"]).as_py()
    seconds = SECONDS_PER_RUN + SECONDS_PER_USER * num_users
    if config.ranker != "cobra":
        return seconds
    targets = max(0, tables.interactions.num_rows - NUM_HELD_OUT * num_users)
    pace = SECONDS_PER_TARGET + SECONDS_PER_TARGET_AND_ITEM * tables.items.num_rows
    return seconds + epochs_for(config.training, targets, tables.items.num_rows) * targets * pace


def plan_lines(
    jobs: Sequence[Job],
    todo: Sequence[Job],
    definition: Definition,
    tables: Mapping[str, Tables],
    records: Sequence[Record],
    out: Path,
    scale: float | None,
) -> list[str]:
    """What will run, a line per data set and model, and how long all of it takes.

    Args:
        jobs: all that was asked for.
        todo: those of them that are not recorded.
        definition: of the experiment.
        tables: of the data sets.
        records: of this experiment and of others, whose trainings were timed.
        out: folder of the runs.
        scale: the share that is run.
    """
    told: set[RunName] = set()
    lines, total = [], 0.0
    for dataset, model in dict.fromkeys((job.dataset, job.model) for job in jobs):
        asked = [job for job in jobs if (job.dataset, job.model) == (dataset, model)]
        left = [job for job in todo if (job.dataset, job.model) == (dataset, model)]
        names = dict.fromkeys(name for job in left for name in runs_of(job, definition, scale))
        new = [name for name in names if name not in told and not (name.folder(out) / "artifact").exists()]
        told |= set(new)
        num_users = pc.count_distinct(tables[dataset].interactions["user_id"]).as_py()
        seconds, rough = 2 * SECONDS_PER_USER * num_users * len(left), False
        for name in new:
            same = [one for one in records if (one["dataset"], one["config_hash"]) == (dataset, name.config_hash)]
            earlier = [one["seconds"] for one in same if one["seconds"]]
            rough |= not earlier
            seconds += float(np.mean(earlier)) if earlier else training_seconds(definition.config_of(name.model, scale), tables[dataset])
        total += seconds
        seeds = ", ".join(str(seed) for seed in dict.fromkeys(job.seed for job in asked))
        protocols = ", ".join(dict.fromkeys(job.protocol for job in asked))
        state = f"{len(asked) - len(left)} of {len(asked)} recorded"
        time = f"; {len(new)} to train, about {minutes(seconds)}{' by a rough rule' * rough}" if left else ""
        lines.append(f"{dataset}, {model}: seeds {seeds}; {protocols}; {state}{time}")
    if not todo:
        return [*lines, "All records are there."]
    return [*lines, f"{len(todo)} records to make, about {minutes(total)} in all; rough where no earlier run was timed"]


def minutes(seconds: float) -> str:
    """Whole minutes, or hours from 3 on."""
    return f"{seconds / 3600:.1f} h" if seconds >= 3 * 3600 else f"{max(1, round(seconds / 60))} min"
