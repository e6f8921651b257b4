"""HTML by construction: whatever is not already `Markup` is escaped, so no title of an item can become a tag."""

import html
import math
import re

Number = int | float

_NOT_IN_HTML = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
"""Control characters and halves of surrogate pairs, which no HTML file may hold."""


class Markup(str):
    """Text that is HTML already."""


def tag(name: str, *children: object, **attributes: object) -> Markup:
    """Return `<name ...>children</name>`.

    Children that are not `Markup` are escaped; None and "" are left out. An attribute's trailing underscore is dropped
    (`class_`), other underscores become hyphens; the value True gives a bare attribute, None and False leave it out.
    """
    pieces = "".join(
        f" {_attribute_name(key)}" + _attribute_value(value)
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    return Markup(f"<{name}{pieces}>{join(*children)}</{name}>")


def join(*children: object) -> Markup:
    """Return the children one after the other, each escaped unless it is `Markup`."""
    return Markup("".join(child if isinstance(child, Markup) else _escape(child) for child in children if child is not None))


def user_text(text: object) -> Markup:
    """Return words that came with the data: escaped, and isolated so that their writing direction stays their own."""
    return tag("bdi", text)


def number(value: object) -> Markup:
    """Return a number for reading, with its exact value in the `value` attribute; a dash for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return user_text("–" if value is None else value)
    if not math.isfinite(value):
        return Markup("–")
    return tag("data", format_number(value), value=repr(value))


def format_number(value: Number) -> str:
    """Return whole numbers with thousands separators, others with four significant digits."""
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{value:,.0f}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 1e-4 else f"{value:.2e}"


def fraction(value: object, digits: int = 4) -> Markup:
    """Return a metric between 0 and 1 with a fixed number of digits, its exact value in the `value` attribute."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return Markup("–")
    return tag("data", f"{value:.{digits}f}", value=repr(value))


def percent(value: object) -> Markup:
    """Return a share as a percentage, its exact value in the `value` attribute."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return Markup("–")
    text = f"{100 * value:.1f} %" if 0.0995 > abs(value) > 0 else f"{100 * value:.0f} %"
    return tag("data", text, value=repr(value))


def _escape(value: object) -> str:
    return html.escape(_NOT_IN_HTML.sub("\N{REPLACEMENT CHARACTER}", str(value)), quote=True)


def _attribute_name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _attribute_value(value: object) -> str:
    return "" if value is True else f'="{_escape(value)}"'
