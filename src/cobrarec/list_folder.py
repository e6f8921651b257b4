"""ListFolder: lists of very many users as a folder of parts, written one by one, that a stopped command goes on with.

    LISTS/ _progress.json part-00000.parquet part-00001.parquet ... .work/

`_progress.json` says what the parts were made from, which of them are complete, and whether they are all; readers of Parquet folders skip
it. `.work/` holds the histories sorted by user and goes away at the end.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cobrarec.artifact_manifest import write_text
from cobrarec.data.catalog import UnknownPolicy
from cobrarec.data.history_parts import HistoryParts, sort_by_user
from cobrarec.data.interactions import Histories
from cobrarec.data.tables import write_table
from cobrarec.errors import Interrupted, RunError
from cobrarec.progress import Pace, Progress, Silent
from cobrarec.retrieval.recommender import Recommender
from cobrarec.retrieval.request_checks import Filters
from cobrarec.run_folder import read_json

PROGRESS = "_progress.json"


@dataclass(frozen=True)
class ListRequest:
    """Whose lists are asked for, and which.

    Attributes:
        histories: a table of histories, see `cobrarec.data.history_parts`.
        k: items per list.
        users_per_part: users whose lists one part holds; memory grows with them.
        unknown: items that the catalog lacks: left out and counted, or refused.
        filters: which items lists may hold.
    """

    histories: Path
    k: int
    users_per_part: int
    unknown: UnknownPolicy
    filters: Filters


class ListFolder:
    """The folder, what its parts were made from, and which of them are complete."""

    def __init__(self, path: Path, made_from: Mapping[str, Any]) -> None:
        """`made_from` decides the lists and is kept as JSON.

        Raises:
            RunError: the folder holds parts that were made from something else, or what is no list.
        """
        self.path, self.made_from = path, json.loads(json.dumps(made_from))
        self.sorted_histories = path / ".work" / "histories.parquet"
        self.parts: list[dict[str, Any]] = []
        self.num_users: int | None = None
        self.time_unit: str | None = None
        self.is_finished, self._is_begun = False, False
        self._load()

    @property
    def num_lists(self) -> int:
        """Lists with at least one item, in the complete parts."""
        return sum(part["lists"] for part in self.parts)

    @property
    def num_unknown(self) -> int:
        """Interactions with unknown items, which the complete parts have left out."""
        return sum(part["unknown_interactions"] for part in self.parts)

    @property
    def num_users_done(self) -> int:
        """Users of the complete parts."""
        return sum(part["users"] for part in self.parts)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder against other processes and clear away what a killed one has left; made where it is not there.

        Raises:
            RunError: another process holds it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.path, os.O_RDONLY)
        try:
            _lock(lock, self.path)
            self._load()  # another process may have gone on meanwhile
            recorded = {part["file"] for part in self.parts}
            for left_over in [*self.path.glob(".*.partial"), *self.path.glob("part-*.parquet")]:
                if left_over.name not in recorded:
                    left_over.unlink()
            if not self._is_begun:  # histories that lie there are those of another command
                self._clear_work()
            yield
        finally:
            os.close(lock)

    def begin(self, num_users: int) -> None:
        """Record whose folder this is, before the first part."""
        self.num_users = num_users
        self._write()

    def name_of(self, number: int) -> str:
        """The file of a part."""
        return f"part-{number:05d}.parquet"

    def is_complete(self, number: int) -> bool:
        """Whether a part is as it was written."""
        return any(part["file"] == self.name_of(number) and self._is_whole(part) for part in self.parts)

    def add(self, number: int, facts: Mapping[str, int]) -> None:
        """Record a part that has been written."""
        name = self.name_of(number)
        part = {"file": name, **facts, "bytes": (self.path / name).stat().st_size}
        self.parts = sorted([*(one for one in self.parts if one["file"] != name), part], key=lambda one: str(one["file"]))
        self._write()

    def finish(self) -> None:
        """Remove the work folder, and record that there is no further part."""
        self._clear_work()
        self.is_finished = True
        self._write()

    def _clear_work(self) -> None:
        shutil.rmtree(self.sorted_histories.parent, ignore_errors=True)

    def _load(self) -> None:
        there = self._read()
        self._is_begun = bool(there)
        self.parts = there.get("parts", [])
        self.num_users, self.time_unit = there.get("num_users"), there.get("time_unit")
        self.is_finished = bool(there.get("finished")) and all(self._is_whole(part) for part in self.parts)

    def _is_whole(self, part: Mapping[str, Any]) -> bool:
        path = self.path / part["file"]
        return path.is_file() and path.stat().st_size == part["bytes"]

    def _read(self) -> dict[str, Any]:
        """What is there already; nothing where it is another command's and no part is complete."""
        if self.path.exists() and not self.path.is_dir():
            raise RunError(f"{self.path} is a file; give a folder for the lists, or a file that ends in .parquet, .csv or .jsonl.")
        there = read_json(self.path / PROGRESS)
        if there is None:
            held = sorted(path.name for path in self.path.glob("*") if not path.name.startswith("."))
            if held:
                raise RunError(
                    f"{self.path} already holds {held[0]} and no {PROGRESS}, and so no lists to go on with; give another folder."
                )
            return {}
        if there.get("made_from") != self.made_from:
            if not there.get("parts") and not there.get("finished"):
                return {}
            told = _differences(there.get("made_from") or {}, self.made_from)
            raise RunError(
                f"{self.path} holds lists of another command ({told}); give another folder, or the command that they were made by."
            )
        return there

    def _write(self) -> None:
        said = {
            "made_from": self.made_from,
            "num_users": self.num_users,
            "time_unit": self.time_unit,
            "finished": self.is_finished,
            "parts": self.parts,
        }
        write_text(self.path / PROGRESS, json.dumps(said, indent=2, ensure_ascii=False) + "\n")


def write_list_parts(recommender: Recommender, request: ListRequest, folder: ListFolder, progress: Progress | None = None) -> None:
    """Write the lists of all users of a table, part by part, in the order of each user's first row; complete parts are kept.

    Memory holds the histories and lists of `users_per_part` users, and while the table is sorted `history_parts.SORT_MEMORY`.

    Raises:
        DataError: the table, or what is asked for, cannot be used.
        Interrupted: Ctrl-C or SIGTERM; the complete parts stay, and the same call goes on.
    """
    told = progress or Silent()
    recommender.recommend_to(Histories.from_lists([]), request.k, unknown=request.unknown, **request.filters)  # refuses before the sorting
    with folder.held():
        try:
            _write_parts(recommender, request, folder, told)
        except KeyboardInterrupt:
            of = "" if folder.num_users is None else f" of {folder.num_users:,}"
            raise Interrupted(f"Stopped; the lists of {folder.num_users_done:,}{of} users are complete and kept.") from None


def _write_parts(recommender: Recommender, request: ListRequest, folder: ListFolder, progress: Progress) -> None:
    if not folder.sorted_histories.exists():
        progress.message(f"Sorting {request.histories} by user")
        sort_by_user(request.histories, folder.sorted_histories)
    histories = HistoryParts(folder.sorted_histories, recommender.catalog, request.unknown, folder.time_unit)
    folder.begin(histories.num_users)
    starts = range(0, histories.num_users, request.users_per_part)
    todo = [number for number in range(len(starts)) if not folder.is_complete(number)]
    pace = Pace(progress, histories.num_users, sum(min(request.users_per_part, histories.num_users - starts[number]) for number in todo))
    for number in todo:
        views, counts = histories.read(starts[number], request.users_per_part)
        pace.begin_part(views.num_users)
        lists = recommender.recommend_to(views, request.k, unknown=request.unknown, progress=pace, **request.filters)
        write_table(lists.to_arrow(views.user_ids), folder.path / folder.name_of(number))
        folder.time_unit = histories.time_unit
        num_lists = int((lists.ranked.lengths > 0).sum())
        folder.add(number, {"users": views.num_users, "lists": num_lists, "unknown_interactions": counts.num_unknown})
    folder.finish()


def _lock(file: int, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise RunError(f"Another process is writing lists into {path}; wait for it, or give another folder.") from None


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Which keys differ, with what is short enough to read."""
    parts = []
    for key in sorted({*there, *here}):
        one, other = (json.dumps(said.get(key), ensure_ascii=False) for said in (there, here))
        if one != other:
            parts.append(f"{key} {one} there, {other} here" if max(len(one), len(other)) <= 60 else f"another {key}")
    return "; ".join(parts)
