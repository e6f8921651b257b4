"""What is wrong with a setting, in the words of the user instead of the validator's."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

EXPECTED = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "text",
    "path_type": "a path",
    "tuple_type": "a list",
    "model_type": "settings below it",
    "literal_error": "one of {expected}",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
    "missing": "one more value",
}
SPECIAL = {
    "data.split": "`last-two`, `none`, or `time:FRACTION` such as `time:0.95`",
    "name": "small letters, digits, `-`, `_` and `.`, 40 at most and a letter or digit first, such as `my-model`",
}
"""Settings whose form no general sentence describes."""


def explain(error: Mapping[str, Any], source: str, known: Sequence[str]) -> str:
    """One sentence on one of pydantic's errors; an unknown setting is answered with the nearest of those `known`."""
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
        return f"Unknown setting `{key}` in {source}; the nearest known one is `{near[0]}`."
    words = SPECIAL.get(key) if error["type"] == "string_pattern_mismatch" else EXPECTED.get(error["type"])
    if words is None:
        return f"Setting `{key}` in {source} is {error['input']!r}: {error['msg']}."
    return f"Setting `{key}` in {source} is {error['input']!r}, expected {words.format(**error.get('ctx') or {})}."
