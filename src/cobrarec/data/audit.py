"""The audit: what the input is and what is odd in it, told before an hour is spent on it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cobrarec.data.catalog import Catalog
from cobrarec.data.interactions import Histories, InteractionCounts
from cobrarec.data.item_texts import carries_text
from cobrarec.data.splits import HeldOut, Split
from cobrarec.data.timestamps import UNKNOWN_TIME

ORDER_NOTES = {
    "position": "by the column position, ties in file order",
    "timestamp": "by the column timestamp, ties in file order",
    "file": "in file order: there is neither a column position nor timestamp. Is the file sorted by time?",
}
REPEATS_NOTE = "validation items that the user had before; lists leave them out but with --retrieval.include-history"
BACKWARD_NOTE = "earlier than the interaction before it: is the column position the order in time? Without it the timestamps decide"
UNIT_NOTES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds", "date": "dates"}


@dataclass(frozen=True)
class AuditEntry:
    """One line: what was counted, how many, and what it means where that is not plain."""

    label: str
    value: int | float | str
    note: str = ""


@dataclass(frozen=True)
class Audit:
    """All entries, in the order in which they are shown."""

    entries: tuple[AuditEntry, ...]

    def __getitem__(self, label: str) -> int | float | str:
        """The value under `label`."""
        return {entry.label: entry.value for entry in self.entries}[label]

    def to_dict(self) -> dict[str, Any]:
        """`{"entries": [{"label", "value", "note"}]}`, as in `prepared/audit.json`."""
        return {"entries": [{"label": entry.label, "value": entry.value, "note": entry.note} for entry in self.entries]}

    def lines(self) -> list[str]:
        """The entries as aligned text."""
        width = max(len(entry.label) for entry in self.entries)
        values = [_show(entry.value) for entry in self.entries]
        value_width = max((len(value) for value in values if len(value) <= 24), default=0)
        rows = zip(self.entries, values, strict=True)
        return [f"{entry.label:<{width}}  {value:>{value_width}}  {entry.note}".rstrip() for entry, value in rows]


def audit_tables(catalog: Catalog, histories: Histories, counts: InteractionCounts, split: Split | None = None) -> Audit:
    """Count what the tables hold, what was dropped and, where `split` is given, what goes where."""
    entries = [*_item_entries(catalog, histories), *_interaction_entries(histories, counts)]
    entries += [*_time_entries(histories, counts), *_history_entries(catalog, histories)]
    if split is not None:
        entries += _split_entries(split, catalog.num_items)
    return Audit(tuple(entries))


def _item_entries(catalog: Catalog, histories: Histories) -> Iterator[AuditEntry]:
    num_characters = [len(text) for text in catalog.texts]
    silent = [field.name for field in catalog.table.schema if field.name != "item_id" and not carries_text(field.type)]
    yield AuditEntry("items", catalog.num_items)
    yield AuditEntry("duplicate item rows", catalog.num_duplicates, "identical, dropped" if catalog.num_duplicates else "")
    num_unused = int((histories.item_counts(catalog.num_items) == 0).sum())
    yield AuditEntry("items without interactions", num_unused, "they stay in the catalog" if num_unused else "")
    yield AuditEntry("items without text", num_characters.count(0))
    yield AuditEntry("texts cut", catalog.num_cut_texts, "longer than max_text_characters" if catalog.num_cut_texts else "")
    yield AuditEntry("text length, median", float(np.median(num_characters)), "characters")
    if silent:
        yield AuditEntry("item columns without text", ", ".join(silent), "bytes, vectors or all null: kept, not read")


def _interaction_entries(histories: Histories, counts: InteractionCounts) -> Iterator[AuditEntry]:
    yield AuditEntry("interactions", histories.num_interactions, f"of {counts.num_rows:,} rows")
    shown = ", ".join(repr(item) for item in counts.unknown_items)
    yield AuditEntry("interactions with unknown items", counts.num_unknown, f"dropped, such as {shown}" if shown else "")
    yield AuditEntry("users without known items", counts.num_dropped_users, "dropped" if counts.num_dropped_users else "")
    yield AuditEntry(
        "duplicate interactions", counts.num_duplicates, "same user, item and order value: dropped" if counts.num_duplicates else ""
    )
    yield AuditEntry("order of histories", counts.order, ORDER_NOTES[counts.order])
    share = counts.num_tied / max(counts.num_rows, 1)
    yield AuditEntry("share of tied interactions", round(share, 4), "same user and order value: in file order" if counts.num_tied else "")
    if counts.ignored_columns:
        yield AuditEntry("interaction columns ignored", ", ".join(counts.ignored_columns))


def _time_entries(histories: Histories, counts: InteractionCounts) -> Iterator[AuditEntry]:
    if counts.time_unit is None or histories.timestamps is None:
        return
    users, times = histories.users(), histories.timestamps[histories.places()]
    is_known = times != UNKNOWN_TIME
    users, times = users[is_known], times[is_known]
    if len(times):
        first, last = (str(np.datetime64(int(second), "s"))[:10] for second in (times.min(), times.max()))
        odd = "; is that the unit of all of them?" if first < "1971" else ""
        yield AuditEntry("times", f"{first} to {last}", f"read as {UNIT_NOTES[counts.time_unit]}{odd}")
    yield AuditEntry("unknown times", counts.num_unknown_times, "null: ordered by position" if counts.num_unknown_times else "")
    is_same_user = users[1:] == users[:-1]
    num_equal = int((is_same_user & (times[1:] == times[:-1])).sum())
    yield AuditEntry("share of equal times", round(num_equal / max(len(times), 1), 4), "same second as the user's interaction before")
    if num_back := int((is_same_user & (times[1:] < times[:-1])).sum()):
        yield AuditEntry("share of times that go back", round(num_back / len(times), 4), BACKWARD_NOTE)


def _history_entries(catalog: Catalog, histories: Histories) -> Iterator[AuditEntry]:
    lengths = histories.lengths
    yield AuditEntry("users", histories.num_users)
    yield AuditEntry("density", float(f"{histories.num_interactions / max(histories.num_users * catalog.num_items, 1):.3g}"))
    if histories.num_users:
        marks = np.quantile(lengths, [0, 0.25, 0.5, 0.75, 0.95, 1], method="higher").astype(int).tolist()
        yield AuditEntry("history length", " ".join(map(str, marks)), "least, 25 %, median, 75 %, 95 %, most")
    yield AuditEntry("histories of 1", int((lengths == 1).sum()))
    yield AuditEntry("histories of 2", int((lengths == 2).sum()))
    pairs = histories.keys(catalog.num_items)
    num_repeated = len(pairs) - len(np.unique(pairs))
    yield AuditEntry("repeated items", num_repeated, "interactions with an item that the user had before" if num_repeated else "")
    item_counts = histories.item_counts(catalog.num_items)
    top = int(item_counts.argmax())
    yield AuditEntry("share of the most popular item", round(float(item_counts[top]) / max(len(pairs), 1), 4), catalog.titles[top])


def _split_entries(split: Split, num_items: int) -> Iterator[AuditEntry]:
    dates = [str(np.datetime64(second, "s")) for second in split.cut_times or ()]
    yield AuditEntry("split", split.name, f"validation from {dates[0]}, test from {dates[1]} (UTC)" if dates else "")
    yield AuditEntry("training interactions", split.train.num_interactions)
    yield AuditEntry("validation users", split.valid.num_users if split.valid else 0)
    yield AuditEntry("test users", split.test.num_users if split.test else 0)
    yield AuditEntry("users not evaluated", split.num_train_only_users)
    if split.valid:
        share = _repeated_share(split.valid, num_items)
        yield AuditEntry("share of repeats to predict", round(share, 4), REPEATS_NOTE if share else "")


def _repeated_share(held_out: HeldOut, num_items: int) -> float:
    """Share of the targets that the user's own history holds."""
    users = np.repeat(np.arange(held_out.num_users), np.diff(held_out.target_offsets))
    targets = users * num_items + held_out.target_rows
    return float(np.isin(targets, held_out.histories.keys(num_items)).mean()) if len(targets) else 0.0


def _show(value: int | float | str) -> str:
    return value if isinstance(value, str) else f"{value:,}" if isinstance(value, int) else f"{value:g}"
