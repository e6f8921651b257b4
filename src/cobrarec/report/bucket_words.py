"""The section of the report that shows the largest buckets in words."""

from collections.abc import Sequence
from typing import Any

from cobrarec.report.id_path import id_path
from cobrarec.report.markup import Markup, join, number, tag, user_text
from cobrarec.report.run_files import RunFiles
from cobrarec.report.sections import section

NUM_OPEN = 12
"""Buckets that are shown at once; the others are folded."""


def bucket_words(run: RunFiles) -> Markup:
    """Return the largest buckets, each with its codes, their words, its size and some of its titles."""
    entries = [_entry(record) for record in run.buckets if isinstance(record, dict)]
    if not entries:
        return Markup("")
    rest = entries[NUM_OPEN:]
    folded = tag("details", tag("summary", f"{len(rest)} more"), _list(rest)) if rest else Markup("")
    intro = (
        "The largest buckets: the code or codes, the words that tell their items from the others, and the items that carry most of them. "
        "The words are found for reading; the model sees the codes alone."
    )
    return section("ids-in-words", "Semantic IDs in words", _list(entries[:NUM_OPEN]), folded, intro=intro)


def _list(entries: Sequence[Markup]) -> Markup:
    return tag("ul", *entries, class_="list buckets")


def _entry(record: dict[str, Any]) -> Markup:
    size = tag("span", number(record.get("num_items")), " items", class_="score")
    titles = [title for title in record.get("titles") or [] if isinstance(title, str)]
    shown = [join(" · " if place else "", user_text(title)) for place, title in enumerate(titles)]
    head = tag("div", id_path(record.get("semantic_id"), record.get("words")), size, class_="head")
    return tag("li", head, tag("p", *shown, class_="titles") if shown else None)
