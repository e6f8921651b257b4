"""Plan: the records that an experiment asks for, one job each, and which of them are there already."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cobrarec.errors import ConfigError
from cobrarec.experiments.definition import Definition
from cobrarec.experiments.protocols import PROTOCOLS, Protocol, shuffles_ties
from cobrarec.experiments.records import Record, key_of


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which part of an experiment is wanted, where it reads and writes, and how it computes. None and () mean: as defined."""

    data: Path = Path("data")
    out: Path | None = None
    results: Path | None = None
    datasets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    seeds: tuple[int, ...] = ()
    protocols: tuple[str, ...] = ()
    scale: float | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    num_threads: int | None = None


@dataclass(frozen=True)
class Job:
    """One record to be made."""

    dataset: str
    model: str
    seed: int
    protocol: Protocol
    config_hash: str

    @property
    def key(self) -> tuple[Any, ...]:
        """What its record will be found by."""
        return key_of(vars(self))


@dataclass(frozen=True)
class RunName:
    """One training: a row's settings on a data set under a seed, on interactions as they are or with shuffled ties."""

    dataset: str
    model: str
    seed: int
    shuffled: bool
    config_hash: str

    def folder(self, out: Path) -> Path:
        """Its run folder below `out`; rows of the same name and settings share it, also those of several experiments."""
        return out / self.dataset / f"{self.model}-{self.config_hash[:8]}" / f"seed-{self.seed}{'-shuffled-ties' * self.shuffled}"


def plan_jobs(definition: Definition, selection: Selection) -> list[Job]:
    """The selected records, data set by data set, rows and seeds in their order.

    Raises:
        ConfigError: the experiment has no such data set or model, none of the seeds, or a scale that is no share.
    """
    datasets = _chosen("--datasets", selection.datasets, definition.datasets)
    models = _chosen("--models", selection.models, definition.rows)
    protocols = _chosen("--protocols", selection.protocols, PROTOCOLS)
    if selection.scale is not None and not 0 < selection.scale <= 1:
        raise ConfigError(f"--scale is {selection.scale:g}, expected a share of the users above 0 and at most 1, such as 0.1.")
    hashes = {model: definition.hash_of(model, selection.scale) for model in models}
    jobs = [
        Job(dataset, model, seed, protocol, hashes[model])
        for dataset in datasets
        for model in models
        for seed in range(definition.rows[model].seeds)
        for protocol in definition.protocols_of(model, dataset)
        if (not selection.seeds or seed in selection.seeds) and protocol in protocols
    ]
    if not jobs:
        asked = {"--seeds": selection.seeds, "--protocols": selection.protocols}
        given = " and ".join(f"{option} {','.join(map(str, values))}" for option, values in asked.items() if values)
        had = "; ".join(f"{model} seeds {','.join(map(str, range(definition.rows[model].seeds)))}" for model in models)
        raise ConfigError(f"Nothing is left of the experiment with {given}; its rows have: {had}, and the protocols of its YAML file.")
    return jobs


def runs_of(job: Job, definition: Definition, scale: float | None = None) -> list[RunName]:
    """The trainings that a job's lists come from: one, or one per member of an ensemble (seed 0 of a member without that seed)."""
    members = definition.rows[job.model].ensemble or (job.model,)
    names = []
    for member in members:
        seed = job.seed if job.seed < definition.rows[member].seeds or member == job.model else 0
        model = definition.run_of(member)
        names.append(RunName(job.dataset, model, seed, shuffles_ties(job.protocol), definition.hash_of(model, scale)))
    return names


def still_to_do(jobs: Sequence[Job], records: Iterable[Record]) -> list[Job]:
    """The jobs without a record of the same settings, seed and protocol."""
    done = {key_of(record) for record in records}
    return [job for job in jobs if job.key not in done]


def _chosen(option: str, wanted: Sequence[str], known: Iterable[str]) -> list[str]:
    known = list(known)
    if foreign := [name for name in wanted if name not in known]:
        raise ConfigError(f"{option} names {foreign[0]}, which the experiment does not have; it has {', '.join(known)}.")
    return [name for name in known if not wanted or name in wanted]
