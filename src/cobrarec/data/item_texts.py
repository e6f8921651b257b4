"""The text of an item: its attributes in one string, by the default template or the user's."""

import string
from datetime import date, datetime
from typing import Any

import pyarrow as pa

from cobrarec.config import DataConfig
from cobrarec.errors import ConfigError

Rendered = list[str | None]


def item_texts(table: pa.Table, config: DataConfig) -> list[str]:
    """One text per row of `table`, cut to `config.max_text_characters`; empty where every attribute is null."""
    return [text[: config.max_text_characters] for text in full_texts(table, config.text_template)]


def full_texts(table: pa.Table, template: str | None = None) -> list[str]:
    """One text per row, of any length.

    Without a template: the values of all columns but `item_id`, in the table's order, as sentences. Null, blank and NaN
    values are left out. Items of a list are joined by commas; a true boolean gives its column's name and a false one
    nothing; columns of bytes and of lists of floats carry no text.

    With a template such as `"{title}, by {brand}"`, what stands before a field belongs to it: both go when it is null.

    Raises:
        ConfigError: the template is malformed or names a column that is not there.
    """
    if template is None:
        names = [name for name in table.schema.names if name != "item_id" and carries_text(table.schema.field(name).type)]
        columns = [render_column(table.column(name), name) for name in names]
        return [_sentences(values) for values in zip(*columns, strict=True)] if columns else [""] * table.num_rows
    parts, tail = _parse_template(template, table.schema.names)
    columns = [render_column(table.column(name), name) for _, name in parts]
    heads = [head for head, _ in parts]
    return [_fill_in(heads, values, tail) for values in zip(*columns, strict=True)]


def carries_text(kind: pa.DataType) -> bool:
    """Whether values of an arrow type are put into texts: bytes and vectors of floats are not."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return carries_text(kind.value_type) and not pa.types.is_floating(kind.value_type)
    is_bytes = pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind)
    return not (is_bytes or pa.types.is_null(kind))


def render_column(column: pa.ChunkedArray, name: str) -> Rendered:
    """The values of a column as text; None where there is nothing to say."""
    if not carries_text(column.type):
        return [None] * len(column)
    label = name.replace("_", " ")
    return [_render(value, label) for value in column.to_pylist()]


def _render(value: Any, label: str) -> str | None:
    if isinstance(value, str):
        return " ".join(value.split()) or None
    if value is None or value is False or value != value:
        return None
    if value is True:
        return label
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ").removesuffix(" 00:00:00")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return ", ".join(text for part in value if (text := _render(part, label))) or None
    return str(value)


def _sentences(values: tuple[str | None, ...]) -> str:
    text = ""
    for value in values:
        if value:
            text += value if not text else f" {value}" if text[-1] in ".!?" else f". {value}"
    return text


def _parse_template(template: str, names: list[str]) -> tuple[list[tuple[str, str]], str]:
    try:
        pieces = list(string.Formatter().parse(template))
    except ValueError as error:
        raise ConfigError(f"text_template {template!r} is malformed ({error}); write columns in braces: '{{title}}. {{brand}}'.") from None
    parts, literal = [], ""
    for head, name, form, conversion in pieces:
        literal += head
        if name is None:
            continue
        if name not in names or form or conversion:
            asked = name + (f"!{conversion}" if conversion else "") + (f":{form}" if form else "")
            raise ConfigError(f"text_template names {{{asked}}}; expected one of the items table's columns: {', '.join(names)}.")
        parts.append((literal, name))
        literal = ""
    if not parts:
        raise ConfigError(f"text_template {template!r} names no column, all items would read the same; name one in braces.")
    return parts, literal


def _fill_in(heads: list[str], values: tuple[str | None, ...], tail: str) -> str:
    text = ""
    for head, value in zip(heads, values, strict=True):
        if value:
            text += (head if text else head.lstrip(".,;:|-/ \n")) + value
    return (text + tail).strip() if values[-1] else text.strip()
