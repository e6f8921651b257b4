"""The examples of the report: a user's history, the item held out, and the recommended list with its reasons."""

from collections.abc import Mapping, Sequence
from typing import Any

from cobrarec.report.id_path import id_path
from cobrarec.report.markup import Markup, fraction, join, number, percent, tag, user_text
from cobrarec.retrieval.recommendations import Reasons

SOURCES = {"fill": "fill: ranked below what was found", "popular": "popular in training"}
"""Where an item came from if it was not found by the ranker."""
LAST_ITEMS = 12
"""Items of a history that are shown; older ones are counted."""


def example_cards(examples: Sequence[dict[str, Any]]) -> Markup:
    """Return one card per example; each is a record of `examples.json`."""
    return join(*[_card(example) for example in examples if isinstance(example, dict)])


def _card(example: dict[str, Any]) -> Markup:
    history = [item for item in example.get("history") or [] if isinstance(item, dict)]
    items = [item for item in example.get("items") or [] if isinstance(item, dict)]
    titles = {item.get("item_id"): title_of(item) for item in [*history, *items]}
    target = example.get("target") or {}
    chosen = [_item(item, titles, target.get("item_id")) for item in items]
    found = any(item.get("item_id") == target.get("item_id") for item in items) if target else None
    left = tag("div", tag("h4", "History, oldest first"), _history(history), _held_out(target, found) if target else None)
    right = tag("div", tag("h4", "Recommended", _terms(items)), tag("ol", *chosen, class_="list") if chosen else tag("p", "Nothing."))
    return tag("article", tag("h3", "User ", user_text(example.get("user_id", ""))), tag("div", left, right, class_="example"))


def _held_out(target: dict[str, Any], found: bool | None) -> Markup:
    name = join("Taken next: ", tag("strong", user_text(title_of(target))), _verdict(found))
    return tag("p", name, id_path(target.get("semantic_id"), target.get("id_words")), class_="target")


def title_of(item: dict[str, Any]) -> str:
    """Return the item's title, or its id where it has none."""
    return str(item.get("title") or item.get("item_id", ""))


def _history(history: Sequence[dict[str, Any]]) -> Markup:
    if not history:
        return tag("p", "Empty.")
    older = len(history) - LAST_ITEMS
    shown = [tag("li", user_text(title_of(item))) for item in history[-LAST_ITEMS:]]
    return tag("ol", tag("li", f"{older:,} older", class_="older") if older > 0 else None, *shown, class_="history")


def _verdict(found: bool | None) -> Markup:
    return tag("span", "in the list" if found else "not in the list", class_="badge hit" if found else "badge")


def _item(item: dict[str, Any], titles: dict[Any, str], target: Any) -> Markup:
    hit = target is not None and item.get("item_id") == target
    badge = tag("span", "taken next", class_="badge hit") if hit else None
    name = tag("span", tag("span", user_text(title_of(item)), class_="title"), badge)
    score = tag("span", "score ", _score(item.get("score")), class_="score")
    path = id_path(item.get("semantic_id"), item.get("id_words"))
    reasons = tag("p", path or None, *_reasons(item, titles, has_path=bool(path)), class_="why")
    return tag("li", tag("div", name, score, class_="head"), reasons, class_="hit" if hit else None)


def _terms(items: Sequence[dict[str, Any]]) -> str:
    """Return which terms the scores of a list are made of; those that are 0 throughout are none."""
    reasons = [item["why"].get("terms") or {} for item in items if isinstance(item.get("why"), dict)]
    names = dict.fromkeys(name for terms in reasons for name, value in terms.items() if value)
    return f" · log score = {' + '.join(names)}" if names else ""


def _reasons(item: dict[str, Any], titles: dict[Any, str], has_path: bool) -> list[Markup]:
    why = item.get("why") or {}
    if not isinstance(why, dict):
        return [tag("span", why)]
    codes = item.get("semantic_id")
    told = Reasons.of(why, bool(codes))
    reasons = [tag("span", "ID ", tag("code", "-".join(str(code) for code in codes)))] if codes and not has_path else []
    if item.get("source") in SOURCES:
        reasons.append(tag("span", SOURCES[item["source"]]))
    if told.beam_probability is not None:
        reasons.append(tag("span", "P(ID) ", percent(told.beam_probability)))
    if told.cosine is not None:
        reasons.append(tag("span", "cosine ", _two_digits(told.cosine)))
    if told.terms:
        reasons.append(tag("span", *_sum(told.terms)))
    nearest = why.get("nearest_history_item")
    if nearest is not None:
        reasons.append(tag("span", "nearest in history: ", user_text(_nearest_title(nearest, titles)), class_="line"))
    return reasons


def _sum(terms: Mapping[str, Any]) -> list[Markup]:
    """The terms of a log score, after what they come to where there are several."""
    parts = [join(" + " if place else "", f"{name} ", _two_digits(value)) for place, (name, value) in enumerate(terms.items())]
    values = [value for value in terms.values() if isinstance(value, int | float)]
    return [join("log score ", _two_digits(sum(values)), " = "), *parts] if len(parts) > 1 and len(values) == len(parts) else parts


def _nearest_title(nearest: Any, titles: dict[Any, str]) -> str:
    if isinstance(nearest, dict):
        return str(nearest.get("title") or titles.get(nearest.get("item_id"), nearest.get("item_id", "")))
    return titles.get(nearest, str(nearest)) if isinstance(nearest, str | int) else str(nearest)


def _score(value: Any) -> Markup:
    return fraction(value) if isinstance(value, int | float) and value >= 0.001 else number(value)


def _two_digits(value: Any) -> Markup:
    return tag("data", f"{value:.2f}", value=repr(value)) if isinstance(value, int | float) else number(value)
