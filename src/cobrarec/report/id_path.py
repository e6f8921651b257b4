"""A semantic ID on the page: its codes, each with its words."""

from collections.abc import Sequence
from typing import Any

from cobrarec.report.markup import Markup, join, tag, user_text


def id_path(codes: Any, words: Any) -> Markup:
    """Return the codes one after the other, each followed by its words; empty where there are no words of each code."""
    if not isinstance(codes, list) or not isinstance(words, list) or not codes or len(codes) != len(words):
        return Markup("")
    steps = [_step(code, named) for code, named in zip(codes, words, strict=True)]
    return tag("span", "ID ", *[join(" › " if place else "", step) for place, step in enumerate(steps)], class_="path")


def _step(code: Any, named: Any) -> Markup:
    known: Sequence[Any] = named if isinstance(named, list) else []
    return join(tag("code", code), " ", user_text(", ".join(str(word) for word in known)) if known else None)
