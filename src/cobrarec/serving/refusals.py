"""What is wrong with a request, in the words of its sender instead of the validator's."""

from collections.abc import Mapping, Sequence
from typing import Any

from cobrarec.config_errors import EXPECTED

TOLD = 5
"""Faults told of one request."""
REPEATED = 60
"""Characters of a value, or of a name, that are repeated."""
OF_REQUESTS = EXPECTED | {
    "list_type": "a list",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "string_too_short": "at least {min_length} character",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "codes joined by `-`, such as `12-7`",
}


def told_of(errors: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> str:
    """One sentence on each place that pydantic found at fault, or on the first of them.

    Args:
        errors: pydantic's, whose places begin with `body`, `query` or `path`; without `type`, what was found before it was asked.
        fields: the names that may stand at the top.
    """
    at: dict[str, list[Mapping[str, Any]]] = {}
    for error in errors:
        at.setdefault(_place(error), []).append(error)
    return " ".join(_sentence(place, found, fields) for place, found in list(at.items())[:TOLD])


def _place(error: Mapping[str, Any]) -> str:
    """Where a fault lies, such as `histories[0][2]`; the branches of a union lie in one place. The whole body: nothing."""
    parts = list(error["loc"][1:])
    if error.get("type") in ("int_type", "string_type") and parts[-1:] in (["int"], ["str"]):
        parts.pop()
    return _cut("".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix("."))


def _sentence(place: str, found: list[Mapping[str, Any]], fields: Sequence[str]) -> str:
    error = found[0]
    kind, facts, name = error.get("type"), error.get("ctx") or {}, f"`{place}`" if place else "The body"
    if kind == "missing":
        return f"{name} is missing."
    if kind == "extra_forbidden":
        return f"{name} is unknown; there are {', '.join(f'`{field}`' for field in fields)}."
    if kind == "json_invalid":
        return f"The body is no JSON: {facts.get('error', 'it ends too early')}."
    words = [OF_REQUESTS[one["type"]].format(**one.get("ctx") or {}) for one in found if one.get("type") in OF_REQUESTS]
    if kind in ("too_short", "too_long"):
        return f"{name} has {facts['actual_length']:,} entries, expected {words[0].removesuffix(' of them')}."
    if words:
        return f"{name} is {_cut(repr(error['input']))}, expected {' or '.join(dict.fromkeys(words))}."
    message = str(facts.get("error", error["msg"]))
    return f"{name}: {message}." if place else f"{message[:1].upper()}{message[1:]}."


def _cut(text: str) -> str:
    return text if len(text) <= REPEATED else f"{text[:REPEATED]} ..."
