"""`cobrarec recommend`: histories from a table or from the command line, lists to a file, a table or JSON."""

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cobrarec import __version__
from cobrarec.artifact import catalog_hash, load_artifact
from cobrarec.artifact_manifest import file_hash, learned_from
from cobrarec.data.interactions import read_histories
from cobrarec.data.table_stream import write_tables
from cobrarec.data.tables import SUFFIXES, check_file, check_suffix, id_array, id_column, read_table
from cobrarec.errors import ConfigError, DataError
from cobrarec.list_folder import ListFolder, ListRequest, write_list_parts
from cobrarec.progress import Pace
from cobrarec.retrieval.list_search import ListSearch
from cobrarec.retrieval.recommendations import Reasons, Recommendation, Recommendations
from cobrarec.retrieval.recommender import Recommender
from cobrarec.retrieval.request_checks import Filters
from cobrarec.semantic_ids.typical_words import TypicalWords

if TYPE_CHECKING:
    from cobrarec.cli.artifact_commands import Recommend
    from cobrarec.cli.screen import Screen

SETTINGS = ("num_beams", "tau", "psi", "new_item_level")
"""Settings of retrieval that the command line can change."""
Users = list[tuple[Any, list[Recommendation]]]


def recommend(command: "Recommend", screen: "Screen") -> None:
    """Load the artifact, recommend as `command` says, then print or write the lists."""
    read_where(command.where)  # refuses before the artifact is loaded
    if command.out is not None and _is_folder(command.out):
        _fill_folder(command, command.out, screen)
        return
    if command.out is not None:
        check_suffix(command.out)
    recommender = _load(command, screen)
    parts = _parts(recommender, command, screen)
    if command.out is not None:
        _write(parts, command.out, screen)
        return
    users = [(user_id, items) for user_ids, lists in parts for user_id, items in zip(user_ids.tolist(), lists, strict=True)]
    if command.json:
        screen.json(list_records(users))
    else:
        _show(users, recommender, command.explain, screen)


def _is_folder(out: Path) -> bool:
    """A path without a suffix, or a folder that is there and is not called as a table."""
    return out.suffix.lower() not in SUFFIXES and (out.is_dir() or not out.suffix)


def _load(command: "Recommend", screen: "Screen") -> Recommender:
    recommender = load_artifact(command.artifact)
    screen.message(f"{command.artifact}: split {recommender.info.split}, learned from {learned_from(Path(command.artifact))}")
    return recommender.with_settings(**_settings(command))


def _settings(command: "Recommend") -> dict[str, Any]:
    settings = {name: getattr(command, name) for name in SETTINGS if getattr(command, name) is not None}
    return {**settings, **({"include_history": True} if command.include_history else {})}


def _write(parts: Iterable[tuple[npt.NDArray[Any], Recommendations]], out: Path, screen: "Screen") -> None:
    """Lists as one table, part by part."""
    lengths: list[npt.NDArray[np.int64]] = []

    def tables() -> Iterator[pa.Table]:
        for user_ids, lists in parts:
            lengths.append(lists.ranked.lengths)
            yield lists.to_arrow(user_ids)

    write_tables(tables(), out)
    num_users, num_lists = sum(len(some) for some in lengths), sum(int((some > 0).sum()) for some in lengths)
    screen.message(f"{num_lists:,} lists written to {out}{_without_lists(num_users - num_lists)}")


def _without_lists(num_users: int) -> str:
    return f"; {num_users:,} users have no item left to recommend, and so no row" if num_users else ""


def _fill_folder(command: "Recommend", out: Path, screen: "Screen") -> None:
    """Lists as the parts of a folder, which a stopped command goes on with."""
    if command.histories is None:
        raise ConfigError(f"--out {out} is a folder, for lists of --histories; give a file ({', '.join(SUFFIXES)}) for that of --item.")
    check_file(command.histories, f"histories table {command.histories}")
    folder = ListFolder(out, _made_from(command, command.histories))
    if not folder.is_finished:
        recommender = _load(command, screen)
        filters = _filters(recommender, command, screen)
        request = ListRequest(command.histories, command.k, command.users_per_part, command.unknown, filters)
        if folder.parts:
            screen.message(f"{out} holds the lists of {folder.num_users_done:,} users already; going on with the others")
        write_list_parts(recommender, request, folder, screen)
    if folder.num_unknown:
        screen.message(f"Left out because the artifact does not know them: {folder.num_unknown:,} interactions with unknown items")
    told = _without_lists(folder.num_users_done - folder.num_lists)
    screen.message(f"{out} is complete: {folder.num_lists:,} lists in {len(folder.parts):,} parts{told}")


def _made_from(command: "Recommend", histories: Path) -> dict[str, Any]:
    """What decides the lists of a command; files by what they hold."""
    said = {name: getattr(command, name) for name in ("k", "unknown", "users_per_part")}
    filters = {
        "exclude": [_word_identity(word) for word in command.exclude],
        "allow": [_word_identity(word) for word in command.allow],
        "where": read_where(command.where),
    }
    files = {"artifact": catalog_hash(command.artifact), "histories": file_hash(histories)}
    return {**files, **said, **filters, "settings": _settings(command), "cobrarec": __version__}


def _word_identity(word: str) -> str:
    return f"sha256 {file_hash(Path(word))}" if Path(word).is_file() else word


def list_records(users: Users) -> list[dict[str, Any]]:
    """`[{"user_id", "items": [{"item_id", "score", "rank", "semantic_id", "source", "why"}]}]`."""
    return [{"user_id": user_id, "items": [dataclasses.asdict(item) for item in items]} for user_id, items in users]


def read_ids(words: Sequence[str], recommender: Recommender) -> list[Any] | None:
    """Item ids given one by one or as files (a table with `item_id`, or text with one id a line); None for none given.

    Raises:
        DataError: a word that is neither an item's id nor a file but looks like one, or a file that cannot be read.
    """
    if not words:
        return None
    ids: list[Any] = []
    for word in words:
        path = Path(word)
        if path.suffix.lower() in SUFFIXES and path.is_file():
            column = id_array(id_column(read_table(path, "list of items"), "item_id", f"list of items {path}")).tolist()
            ids += [recommender.catalog.parse_id(value) if isinstance(value, str) else value for value in column]
        elif path.is_file():
            ids += [recommender.catalog.parse_id(line.strip()) for line in _text(path).splitlines() if line.strip()]
        else:
            ids.append(_id_not_file(word, recommender))
    return ids


def read_where(text: str | None) -> dict[str, Any] | None:
    """The conditions that `--where` gives as JSON; None for none given.

    Raises:
        DataError: no JSON, no object, or one with a key twice.
    """
    if text is None:
        return None
    way = """give an object of conditions by column, such as '{"brand": ["X", "Y"], "price": {"max": 9}}'."""
    try:
        where = json.loads(text, object_pairs_hook=_without_repeats)
    except json.JSONDecodeError as error:
        raise DataError(f"--where is no JSON ({error.msg}, at character {error.pos + 1} of {text!r}); {way}") from None
    if not isinstance(where, dict):
        raise DataError(f"--where is {text!r}, which is no JSON object; {way}")
    return where


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise DataError(f"--where has the key {twice!r} twice in one object; give it once, with a list for any of several values.")
    return dict(pairs)


def _id_not_file(word: str, recommender: Recommender) -> Any:
    looks_like_a_file = Path(word).suffix.lower() in (*SUFFIXES, ".txt") or "/" in word or Path(word).is_dir()
    if looks_like_a_file and word not in recommender.catalog:
        raise DataError(f"{word} is neither a file nor an item's id; give a file of item ids, or the ids themselves.")
    return recommender.catalog.parse_id(word)


def _filters(recommender: Recommender, command: "Recommend", screen: "Screen") -> Filters:
    exclude, allow = read_ids(command.exclude, recommender), read_ids(command.allow, recommender)
    for option, ids in (("--exclude", exclude), ("--allow", allow)):
        _tell_unknown(_unknown(ids or [], recommender), f"items of {option}", command, screen)
    return Filters(exclude=exclude, allow=allow, where=read_where(command.where))


def _parts(recommender: Recommender, command: "Recommend", screen: "Screen") -> Iterator[tuple[npt.NDArray[Any], Recommendations]]:
    """User ids (None for a history without a user) and their lists, part by part."""
    filters = _filters(recommender, command, screen)
    explain = command.explain or command.json
    if command.histories is None:
        history = [recommender.catalog.parse_id(item) for item in command.item]
        _tell_unknown(_unknown(history, recommender), "items of --item", command, screen)
        nobody = np.array([None], dtype=object)
        yield nobody, recommender.recommend([history], command.k, unknown=command.unknown, explain=explain, **filters)
        return
    table = read_table(command.histories, "histories table")
    views, counts = read_histories(table, recommender.catalog, command.unknown)
    del table  # lists need the histories alone
    _tell_unknown(counts.unknown_items, "interactions with unknown items", command, screen, counts.num_unknown)
    if not views.num_users:
        screen.message(f"{command.histories} holds no rows, and so no users to recommend to; give a table with a row per interaction.")
    pace = Pace(screen, views.num_users, views.num_users)
    for start in range(0, max(1, views.num_users), command.users_per_part):  # a table without users gives one part without lists
        part = views.select(np.arange(start, min(start + command.users_per_part, views.num_users)))
        pace.begin_part(part.num_users)
        yield part.user_ids, recommender.recommend_to(part, command.k, unknown=command.unknown, explain=explain, progress=pace, **filters)


def _unknown(ids: Sequence[Any], recommender: Recommender) -> list[Any]:
    return [item for item in ids if item not in recommender.catalog]


def _tell_unknown(items: Sequence[Any], what: str, command: "Recommend", screen: "Screen", count: int | None = None) -> None:
    """Say what is left out; where unknown items are refused, that is said by the refusal."""
    if items and command.unknown == "skip":
        screen.message(f"Left out because the artifact does not know them: {count or len(items):,} {what}, such as {items[0]!r}")


def _show(users: Users, recommender: Recommender, explain: bool, screen: "Screen") -> None:
    titles = dict(zip(recommender.catalog.item_ids.tolist(), recommender.catalog.titles, strict=True))
    columns = ["rank", "item_id", "title", "score", "source", *(["why"] if explain else [])]
    named = _typical_words(recommender) if explain else None
    for record in list_records(users):
        rows = []
        for item in record["items"]:
            item["id_words"] = None if named is None else named.path(item["semantic_id"])
            cells = [str(item["rank"]), str(item["item_id"]), titles[item["item_id"]], f"{item['score']:.4g}", item["source"]]
            rows.append([*cells, *([why_text(item, titles)] if explain else [])])
        screen.table("" if record["user_id"] is None else f"user {record['user_id']}", columns, rows)


def _typical_words(recommender: Recommender) -> TypicalWords | None:
    if not isinstance(recommender.engine, ListSearch) or not recommender.semantic_ids.num_levels:
        return None
    return TypicalWords.of(recommender.catalog.texts, recommender.semantic_ids)


def why_text(item: Mapping[str, Any], titles: Mapping[Any, str]) -> str:
    """Why an item is there, in one line: the path of its ID, the terms that its log score is the sum of, nearest item of the history.

    `item` is a record of the `--json` form, with the words of its codes as `id_words` where they are known; `titles` by item id.
    """
    why = item["why"]
    if why is None:
        return ""
    parts = [_id_text(item["semantic_id"], item.get("id_words"))] if item["semantic_id"] else []
    reasons = Reasons.of(why, bool(item["semantic_id"]))
    if reasons.beam_probability is not None:
        parts.append(f"P(ID) {reasons.beam_probability:.2g}")
    if reasons.cosine is not None:
        parts.append(f"cosine {reasons.cosine:.2f}")
    if reasons.terms:
        parts.append("log score " + " ".join(f"{name} {value:+.2f}" for name, value in reasons.terms.items()))
    if why["nearest_history_item"] is not None:
        nearest = why["nearest_history_item"]
        parts.append(f"near {titles.get(nearest, nearest)}")
    return ", ".join(parts)


def _id_text(codes: Sequence[int], words: Sequence[Sequence[str]] | None) -> str:
    """`ID 12-3`, or with the words of each code `ID 12 (Monster High, Doll) 3 (Cups)`."""
    if words is None:
        return "ID " + "-".join(str(code) for code in codes)
    return "ID " + " ".join(f"{code} ({', '.join(named)})" if named else str(code) for code, named in zip(codes, words, strict=True))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise DataError(f"{path} is not UTF-8 text; give one item id a line, or a table with a column item_id.") from None
