"""An item that is added on the page: from a form to a table, and where it lands."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from cobrarec.data.catalog import Catalog, ItemId
from cobrarec.errors import DataError
from cobrarec.report.id_path import id_path
from cobrarec.report.markup import Markup, join, tag, user_text
from cobrarec.retrieval.recommender import Recommender
from cobrarec.retrieval.similar_items import SimilarItem
from cobrarec.serving.item_tables import items_table
from cobrarec.serving.page.buttons import heading, press
from cobrarec.serving.page.panels import Words, title_of
from cobrarec.serving.page.taken import taken_ids

MOST_FIELDS = 12
"""A catalog with more attributes is filled in as JSON."""
NUM_NEAREST = 5
FITTING = 3
"""So many of the nearest items make a history that the new item fits."""
SEARCHED = 1000
"""How far down the list of that history the new item is looked for."""


@dataclass(frozen=True)
class Landing:
    """Where an item landed: its nearest items, a history that it fits, and its place in the list for that, None where it is not in it.

    `place_unremembered`: its place without the memory of transitions, which knows no new item; None where there is no memory.
    """

    item_id: ItemId
    nearest: list[SimilarItem]
    fitting: list[ItemId]
    place: int | None
    place_unremembered: int | None
    length: int
    recommender: Recommender


def fields_of(catalog: Catalog) -> tuple[str, ...]:
    """The attributes that have a field of their own; none where there are too many of them."""
    names = tuple(name for name in catalog.table.schema.names if name != "item_id")
    return names if len(names) <= MOST_FIELDS else ()


def filled_in(item_id: str, fields: Mapping[str, str | None], as_json: str | None, catalog: Catalog) -> pa.Table:
    """The table of one item, from its fields or from JSON.

    Raises:
        DataError: no id, no text, values that the columns cannot hold, or an id that the catalog has already.
    """
    values = _parsed_object(as_json) if as_json and as_json.strip() else _parsed_fields(fields, catalog.table.schema)
    given = item_id.strip()
    if given:
        values = {"item_id": catalog.parse_id(given), **{name: value for name, value in values.items() if name != "item_id"}}
    if values.get("item_id") in (None, ""):
        raise DataError(f"The item needs an id that the catalog lacks, such as {free_id(catalog)}.")
    if not any(value not in (None, "", []) for name, value in values.items() if name != "item_id"):
        raise DataError("The item says nothing; fill in at least one field, such as its title.")
    known = values["item_id"]
    if known in catalog and catalog.is_listed[catalog.find(known)]:
        raise DataError(
            f"The catalog has an item {known!r} already, and this page changes none; give another id, such as {free_id(catalog)}."
        )
    return items_table([values], catalog)


def landing(recommender: Recommender, item_id: ItemId) -> Landing:
    """Where an item lies, and whether it is in the list of somebody who took the items around it."""
    nearest = recommender.similar(item_id, NUM_NEAREST)
    fitting = [item.item_id for item in nearest[:FITTING]]
    place, length = _place(recommender, fitting, item_id)
    unremembered = None
    if recommender.weights.memory:
        unremembered, _ = _place(recommender.with_settings(memory_weight=0.0), fitting, item_id)
    return Landing(item_id, nearest, fitting, place, unremembered, length, recommender)


def landing_panel(landed: Landing, words: Words | None) -> Markup:
    """Return where an item landed, with ways on from there."""
    recommender = landed.recommender
    catalog = recommender.catalog
    title = title_of(catalog, landed.item_id)
    codes = recommender.engine.codes[catalog.find(landed.item_id)].tolist()
    near = [
        tag("li", user_text(title_of(catalog, one.item_id)), tag("span", f"cosine {one.similarity:.2f}", class_="score"))
        for one in landed.nearest
    ]
    fitting = join(*[join(", " if place else "", user_text(title_of(catalog, item))) for place, item in enumerate(landed.fitting)])
    where = f"at place {landed.place}" if landed.place else f"not among the first {landed.length}"
    unremembered = ""
    if landed.place_unremembered is not None:
        unremembered = f", and at place {landed.place_unremembered} without the memory of transitions, which knows no new item"
    return join(
        heading(user_text(title)),
        tag("p", "It is on disk, and in every list from now on where it belongs. Its ID: "),
        tag("p", id_path(codes, [list(one) for one in words(codes)] if words else None), class_="path-line"),
        tag("h3", "Nearest items"),
        tag("ol", *near, class_="rows"),
        tag("p", "For somebody who took ", fitting, " it stands ", tag("strong", where), unremembered, "."),
        tag(
            "div",
            press("Try that history", "try", taken_ids(landed.fitting).value(), "Try a history that the new item fits"),
            press("See its bucket", "bucket", codes, f"See the bucket of {title} in the tree"),
            press("Remove it again", "remove", landed.item_id, f"Remove {title} from the catalog", look="danger"),
            class_="acts",
        ),
    )


def _place(recommender: Recommender, history: list[ItemId], item_id: ItemId) -> tuple[int | None, int]:
    """The place of an item in the list for a history, and the length of that list."""
    listed = recommender.recommend([history], SEARCHED)[0]
    return next((item.rank for item in listed if item.item_id == item_id), None), len(listed)


def _parsed_object(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise DataError(f'That is no JSON ({error}); write an object such as {{"title": "Rose water"}}.') from None
    if not isinstance(values, dict):
        raise DataError(f'That is a JSON {type(values).__name__}; write an object such as {{"title": "Rose water"}}.')
    return values


def _parsed_fields(fields: Mapping[str, str | None], schema: pa.Schema) -> dict[str, Any]:
    values = {}
    for name, text in fields.items():
        if text is None or not text.strip():
            continue
        kind = schema.field(name).type
        values[name] = text if _is_text(kind) else _parsed(name, text, kind)
    return values


def _parsed(name: str, text: str, kind: pa.DataType) -> Any:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind)
    if is_list and _is_text(kind.value_type) and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return json.loads(text)
    except ValueError:
        if pa.types.is_temporal(kind):
            return text
        raise DataError(
            f"{name} holds {kind} in the catalog, and {text[:40]!r} is none; write it as JSON, such as {_example(kind)}."
        ) from None


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _example(kind: pa.DataType) -> str:
    return (
        "12.5" if pa.types.is_floating(kind) else "12" if pa.types.is_integer(kind) else "true" if pa.types.is_boolean(kind) else "[1, 2]"
    )


def free_id(catalog: Catalog) -> str:
    """An id that no item has."""
    if catalog.id_type is int:
        return str(int(max(catalog.item_ids.tolist())) + 1)
    number = 1
    while f"new-{number}" in catalog:
        number += 1
    return f"new-{number}"
