"""Results: the records of an experiment in one JSON file, and beside them the rank of every test user's target."""

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cobrarec.artifact_manifest import write_text
from cobrarec.data.tables import write_beside
from cobrarec.errors import DataError
from cobrarec.experiments.locks import locked

KEY = ("dataset", "model", "config_hash", "seed", "protocol")
"""What a record is found by; a later one of the same key takes its place."""
Record = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Ranks:
    """Where each test user's target stands in the served list.

    Attributes:
        ranks: uint8 `[num_users]`, from 1, 0 where it is not listed; users in the split's order.
        users: sha256 of the users' ids in that order.
        targets: sha256 of the targets' item ids in that order.
        config_hash: of the settings that gave the lists.
    """

    ranks: npt.NDArray[np.uint8]
    users: str
    targets: str
    config_hash: str

    def save(self, path: Path) -> None:
        """Write all of it, beside first and then renamed."""
        with write_beside(path) as partial, partial.open("wb") as file:
            np.savez_compressed(file, ranks=self.ranks, users=self.users, targets=self.targets, config_hash=self.config_hash)

    @classmethod
    def load(cls, path: Path) -> "Ranks":
        """What `save` wrote; raises DataError where it cannot be read."""
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls(file["ranks"], str(file["users"]), str(file["targets"]), str(file["config_hash"]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(f"The ranks in {path} cannot be read: {error}. Remove the file and run the experiment again.") from None


class Results:
    """The records of one experiment: `FOLDER/NAME.json`, `FOLDER/ranks/` and `FOLDER/settings/`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.path = folder, folder / f"{name}.json"

    def records(self) -> list[Record]:
        """All records, in the order in which they were first written; raises DataError where the file is no list of them."""
        if not self.path.exists():
            return []
        try:
            records = json.loads(self.path.read_text(encoding="utf-8"))
        except ValueError:
            records = None
        if not isinstance(records, list) or not all(isinstance(one, dict) and set(KEY) <= set(one) for one in records):
            raise DataError(f"{self.path} is no list of records; restore it, or name another folder with --results.")
        return records

    def add(self, record: Record, ranks: Ranks, settings: str) -> None:
        """Write the ranks and the settings that `config_hash` is of, then the record; several processes may add to one file."""
        ranks.save(self.ranks_path(record))
        with locked(self.folder):
            self.settings_path(record).parent.mkdir(exist_ok=True)
            write_text(self.settings_path(record), settings)
            others = self.records()
            same = [place for place, one in enumerate(others) if key_of(one) == key_of(record)]
            if same:
                others[same[0]] = record
            else:
                others.append(record)
            write_text(self.path, json.dumps(others, indent=1, ensure_ascii=False) + "\n")

    def complete(self) -> list[Record]:
        """The records whose ranks are there: what need not be made again."""
        return [record for record in self.records() if self.ranks_path(record).exists()]

    def ranks_path(self, record: Mapping[str, Any]) -> Path:
        """File of the ranks that belong to a record."""
        name = "{dataset}-{model}-{protocol}-seed{seed}".format(**record)
        return self.folder / "ranks" / f"{self.path.stem}-{name}-{record['config_hash'][:8]}.npz"

    def settings_path(self, record: Mapping[str, Any]) -> Path:
        """File of the settings that a record was made with, shared by all records of the same."""
        return self.folder / "settings" / f"{record['config_hash']}.yaml"

    def ranks(self, record: Mapping[str, Any]) -> Ranks | None:
        """The ranks of a record; None where they are not there or belong to other settings."""
        path = self.ranks_path(record)
        if not path.exists():
            return None
        ranks = Ranks.load(path)
        return ranks if ranks.config_hash == record["config_hash"] else None


def key_of(record: Mapping[str, Any]) -> tuple[Any, ...]:
    """What the record is found by."""
    return tuple(record[name] for name in KEY)


def settings_on_validation(records: Sequence[Record]) -> dict[tuple[str, str], dict[str, dict[int, float]]]:
    """For each (data set, model) the NDCG@10 on validation of each of its settings, by hash and seed.

    Judged by the protocol `masked` where anything was measured under it.
    """
    values: dict[tuple[str, str], dict[str, dict[int, float]]] = {}
    masked = {(one["dataset"], one["model"]) for one in records if one["protocol"] == "masked"}
    for one in records:
        group = (one["dataset"], one["model"])
        if one["protocol"] == "masked" or group not in masked:
            values.setdefault(group, {}).setdefault(one["config_hash"], {})[one["seed"]] = one["valid"]["ndcg@10"]
    return values
