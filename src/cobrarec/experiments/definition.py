"""Definition: which models an experiment trains, on which data sets, with which seeds and protocols. A short YAML inside the package."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, PrivateAttr, ValidationError

from cobrarec.config import Config, load_config, parse_config
from cobrarec.config_errors import explain
from cobrarec.config_section import Section
from cobrarec.errors import ConfigError
from cobrarec.experiments.datasets import scaled_config
from cobrarec.experiments.protocols import Protocol, shuffles_ties
from cobrarec.run_folder import settings_read
from cobrarec.strict_yaml import read_yaml


class Row(Section):
    """A model of the table: trained itself, a variant of another row's run, or an ensemble of other rows."""

    config: str | None = None
    """Packaged configuration (or YAML file) to start from; null: the defaults."""
    after: str | None = None
    """An earlier row to start from instead: its settings, and on top of them these."""
    settings: dict[str, Any] = {}
    """What differs from it, nested."""
    seeds: int = Field(default=1, ge=1)
    """Seeds 0 to this, exclusive."""
    protocols: tuple[Protocol | dict[Protocol, tuple[str, ...]], ...] = Field(default=("masked",), min_length=1)
    """Names, or `name: [data sets]` for a protocol of some data sets alone."""
    of: str | None = None
    """A variant: the row whose trained run it takes, with other `retrieval` settings."""
    ensemble: tuple[str, ...] = ()
    """The rows whose lists are mixed."""


class Definition(Section):
    """An experiment."""

    datasets: tuple[str, ...] = Field(min_length=1)
    """Folders below `--data`."""
    rows: dict[str, Row] = Field(min_length=1)
    """Name of a model: how it is made."""
    compared: tuple[str, ...] = ()
    """The rows that the tables compare all others with; pictures take the first."""
    beside_papers: bool = False
    """Whether tables and picture show what the papers report, too."""

    _configs: dict[tuple[str, float | None], Config] = PrivateAttr(default_factory=dict)
    _settings: dict[tuple[str, float | None], str] = PrivateAttr(default_factory=dict)

    def config_of(self, model: str, scale: float | None = None) -> Config:
        """The resolved settings of a row that is no ensemble; raises ConfigError where they cannot be.

        They are resolved once: a configuration file that changes meanwhile changes nothing in what was planned.
        """
        if (model, scale) not in self._configs:
            self._configs[model, scale] = self._resolved(model, scale)
        return self._configs[model, scale]

    def _resolved(self, model: str, scale: float | None) -> Config:
        row = self.rows[model]
        assert not row.ensemble, model
        if (earlier := row.of or row.after) is not None:
            start = self.config_of(earlier, scale)
        else:
            start = Config() if row.config is None else load_config(row.config)
            start = start if scale is None else scaled_config(start, scale)
        config = parse_config(_merged(start.model_dump(), row.settings), f"the row {model} of the experiment")
        if config.data.split != "last-two":
            raise ConfigError(f"The row {model} has the split {config.data.split}; experiments measure one target a user: last-two.")
        return config

    def run_of(self, model: str) -> str:
        """The row whose trained run a row is measured on: its own, or that of the row it is a variant of."""
        return self.rows[model].of or model

    def settings_of(self, model: str, scale: float | None = None) -> str:
        """The resolved settings that the ranker reads, as YAML; for an ensemble the hashes of those of its members."""
        row = self.rows[model]
        if row.ensemble:
            return "ensemble of " + " ".join(self.hash_of(member, scale) for member in row.ensemble)
        if (model, scale) not in self._settings:
            self._settings[model, scale] = settings_read(self.config_of(model, scale))
        return self._settings[model, scale]

    def hash_of(self, model: str, scale: float | None = None) -> str:
        """The first 16 digits of the sha256 of `settings_of`."""
        return hashlib.sha256(self.settings_of(model, scale).encode()).hexdigest()[:16]

    def difference_of(self, model: str, scale: float | None = None) -> dict[str, Any]:
        """What a row's settings are beside the defaults; for an ensemble its members."""
        row = self.rows[model]
        if row.ensemble:
            return {"ensemble": list(row.ensemble)}
        return difference(self.config_of(model, scale).model_dump(mode="json"), Config().model_dump(mode="json"))

    def protocols_of(self, model: str, dataset: str) -> list[Protocol]:
        """The protocols under which a row is measured on a data set."""
        names: list[Protocol] = []
        for entry in self.rows[model].protocols:
            limited: Mapping[Protocol, tuple[str, ...]] = entry if isinstance(entry, dict) else {entry: (dataset,)}
            names += [name for name, datasets in limited.items() if dataset in datasets]
        return names


def load_definition(source: str | Path) -> tuple[str, Definition]:
    """Name and content of a packaged experiment, or of a YAML file of that form.

    Raises:
        ConfigError: there is none of that name, or it says what cannot be.
    """
    packaged = packaged_definitions()
    path = packaged.get(str(source), Path(source))
    values = read_yaml(path, f"No experiment {source}. Give one of {', '.join(packaged)}, or a YAML file of the same form.")
    try:
        definition = Definition.model_validate(values)
    except ValidationError as error:
        known = [*Definition.model_fields, *(f"rows.NAME.{field}" for field in Row.model_fields)]
        raise ConfigError(" ".join(explain(one, str(path), known) for one in error.errors())) from None
    _check(definition, str(path))
    return path.stem, definition


def packaged_definitions() -> dict[str, Path]:
    """Names and files of the experiments inside the package."""
    return {file.stem: file for file in sorted((Path(__file__).parent / "definitions").glob("*.yaml"))}


def difference(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The part of nested `values` that is not in `defaults`."""
    different: dict[str, Any] = {}
    for name, value in values.items():
        default = defaults.get(name)
        if isinstance(value, Mapping) and isinstance(default, Mapping):
            if below := difference(value, default):
                different[name] = below
        elif name not in defaults or value != default:
            different[name] = value
    return different


def _merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(values)
    for name, change in changes.items():
        below = merged.get(name)
        merged[name] = _merged(below, change) if isinstance(change, Mapping) and isinstance(below, Mapping) else change
    return merged


def _check(definition: Definition, source: str) -> None:
    """Refuse rows that lean on rows which are not there, or not of the kind that can be leant on."""
    rows = definition.rows
    if foreign := [name for name in definition.compared if name not in rows]:
        raise ConfigError(f"{source} compares with {foreign[0]}, which is none of its rows: {', '.join(rows)}.")
    for place, (name, row) in enumerate(rows.items()):
        if row.ensemble and (row.of is not None or row.after is not None or row.config is not None or row.settings):
            raise ConfigError(f"The row {name} in {source} is an ensemble; it has members and neither `of` nor settings of its own.")
        if row.after is not None and (row.of is not None or row.config is not None):
            raise ConfigError(f"The row {name} in {source} starts from the row {row.after}; it has neither `of` nor `config`.")
        earlier = [other for other, its in list(rows.items())[:place] if not its.ensemble]
        if row.after is not None and row.after not in earlier:
            raise ConfigError(
                f"The row {name} in {source} starts from {row.after}; expected one before it: {', '.join(earlier) or 'there is none'}."
            )
        if row.of is not None and (row.config is not None or set(row.settings) - {"retrieval"}):
            raise ConfigError(f"The row {name} in {source} is a variant of {row.of}: it may differ in `retrieval` alone.")
        plain = [other for other, its in rows.items() if not its.ensemble and (row.ensemble or its.of is None)]
        for other in (*row.ensemble, *([row.of] if row.of is not None else [])):
            if other not in plain or other == name:
                raise ConfigError(f"The row {name} in {source} names {other}; expected one of {', '.join(plain)}.")
        fewer = [member for member in row.ensemble if rows[member].seeds < row.seeds]
        if fewer and any(shuffles_ties(one) for dataset in definition.datasets for one in definition.protocols_of(name, dataset)):
            raise ConfigError(f"The row {name} in {source} shuffles ties by its seed, and {fewer[0]} has fewer seeds than it.")
        limited = [one for entry in row.protocols if isinstance(entry, dict) for datasets in entry.values() for one in datasets]
        if unknown := sorted(set(limited) - set(definition.datasets)):
            raise ConfigError(f"The row {name} in {source} names the data set {unknown[0]}; expected of {', '.join(definition.datasets)}.")
