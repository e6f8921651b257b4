"""The panels of the first tab as HTML: what a search found, the history, and the list with its reasons."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cobrarec.data.catalog import Catalog, ItemId
from cobrarec.report.id_path import id_path
from cobrarec.report.markup import Markup, fraction, join, percent, tag, user_text
from cobrarec.retrieval.recommendations import Reasons, Recommendation
from cobrarec.serving.browse import item_card
from cobrarec.serving.page.buttons import heading, notice, press
from cobrarec.serving.page.shown_list import Diversity, ShownList
from cobrarec.serving.page.taken import Taken

Words = Callable[[Sequence[int]], Sequence[Sequence[str]]]
"""The words of each code of an ID."""
SOURCES = {
    "fill": "ranked below what was found",
    "popular": "popular in training",
    "counts": "by transition counts",
    "content": "by its text",
}
NOT_SHOWN = {"item_id", "title", "name"}
ATTRIBUTE_CHARACTERS, MOST_ATTRIBUTES = 110, 5


def found_panel(query: str, num_found: int, items: Sequence[Mapping[str, Any]]) -> Markup:
    """Return what a search found, each with a button that adds it to the history."""
    if not items:
        return notice(f"No item has all of these words: {query}.")
    rows = [tag("li", user_text(item["title"]), _add(item["item_id"], str(item["title"]))) for item in items]
    more = f", the first {len(items)} shown" if num_found > len(items) else ""
    told = tag("p", f"{num_found:,} item{'s' * (num_found != 1)} found{more}", class_="quiet", role="status")
    return join(told, tag("ul", *rows, class_="rows"))


def history_panel(taken: Taken, catalog: Catalog) -> Markup:
    """Return the history, oldest first, each item with a button that removes it."""
    named = [f"History of {taken.user}" if taken.user is not None else "History"]
    clear = press("Clear", "clear", None, "Clear the history") if taken.items else None
    head = heading(join(*map(user_text, named)), clear)
    if not taken.items:
        return join(head, tag("p", "Empty: the list shows what was popular in training. Search for items and add them.", class_="quiet"))
    rows = [_taken_row(place, item, catalog) for place, (item, _) in enumerate(taken.items)]
    next_one = None
    if taken.held_back is not None:
        next_one = tag("p", "Held back, taken next: ", tag("strong", user_text(title_of(catalog, taken.held_back))), class_="held")
    return join(head, tag("ol", *rows, class_="rows numbered"), next_one)


def list_panel(shown: ShownList, taken: Taken, words: Words | None) -> Markup:
    """Return the list, what the dials did to it, and why each item is there."""
    catalog = shown.recommender.catalog
    head = heading("Recommended")
    if not shown.items:
        return join(head, notice("There is nothing left to recommend."))
    best = shown.items[0].score
    cards = [_card(item, shown, taken, words, item.score / best if best > 0 else 0.0) for item in shown.items]
    gone = join(*[join(", " if place else "", user_text(title_of(catalog, item))) for place, item in enumerate(shown.gone)])
    lost = tag("p", "No longer among the ten: ", gone, ".", class_="quiet") if shown.gone else None
    formula = tag("p", "Score = ", tag("code", shown.recommender.score_formula), class_="quiet") if taken.items else None
    return join(head, _changes(shown), _verdict(shown, taken), tag("ol", *cards, class_="cards"), lost, formula)


def title_of(catalog: Catalog, item_id: ItemId) -> str:
    """Return the title of an item of the catalog."""
    return catalog.titles[catalog.find(item_id)]


def attributes_line(attributes: Mapping[str, Any]) -> Markup:
    """Return the first attributes that say something, each cut to a line."""
    told = [(name, text) for name, value in attributes.items() if name not in NOT_SHOWN and (text := _as_text(value))]
    shown = [tag("span", tag("span", name.replace("_", " "), class_="name"), " ", user_text(text)) for name, text in told[:MOST_ATTRIBUTES]]
    return tag("p", *shown, class_="attributes") if shown else Markup("")


def _as_text(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else f"{value}"
    text = " ".join(text.split())
    return text if len(text) <= ATTRIBUTE_CHARACTERS else text[: ATTRIBUTE_CHARACTERS - 1] + "…"


def _add(item_id: ItemId, title: str) -> Markup:
    return press("Add", "add", item_id, f"Add {title} to the history")


def _taken_row(place: int, item: ItemId, catalog: Catalog) -> Markup:
    title = title_of(catalog, item)
    gone = tag("span", "removed from the catalog", class_="badge") if not catalog.is_listed[catalog.find(item)] else None
    label = f"Remove {title} from the history"
    return tag("li", tag("span", user_text(title), gone), press("×", "drop", place, label, f"drop {place}", "round"))


def _changes(shown: ShownList) -> Markup:
    """Return how the list differs from that of the artifact's settings, and how different its items are."""
    moves = [shown.move(item) for item in shown.items]
    counts = {
        "new": sum(move == "new" for move in moves),
        "up": sum(move.startswith("up") for move in moves),
        "down": sum(move.startswith("down") for move in moves),
    }
    changed = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "the same list"
    told = tag("p", "Against the artifact's settings: ", changed, ".", role="status") if shown.is_turned else None
    before = shown.diversity_before if shown.is_turned else None
    return tag("div", told, _diversity(shown.diversity, before), class_="changes")


def _diversity(now: Diversity, before: Diversity | None) -> Markup:
    facts = []
    if now.num_ids is not None:
        was = f" (was {before.num_ids})" if before and before.num_ids != now.num_ids else ""
        facts.append(tag("span", tag("b", f"{now.num_ids}"), f" distinct ID{'s' * (now.num_ids != 1)}{was}"))
    if now.distance is not None:
        was = f" (was {before.distance:.2f})" if before and before.distance is not None and before.distance != now.distance else ""
        facts.append(tag("span", tag("b", f"{now.distance:.2f}"), f" mean cosine distance of two items{was}"))
    return tag("p", *facts, class_="facts-line") if facts else Markup("")


def _verdict(shown: ShownList, taken: Taken) -> Markup:
    """Return whether the item that was held back is in the list."""
    if taken.held_back is None:
        return Markup("")
    place = next((item.rank for item in shown.items if item.item_id == taken.held_back), None)
    title = user_text(title_of(shown.recommender.catalog, taken.held_back))
    told = f" stands at place {place}." if place else " is not among the ten."
    return tag("p", "What the user took next, ", tag("strong", title), ",", told, class_="notice hit" if place else "notice")


def _card(item: Recommendation, shown: ShownList, taken: Taken, words: Words | None, share: float) -> Markup:
    card = item_card(shown.recommender, item.item_id)
    title = str(card["title"])
    move = shown.move(item)
    badges = [tag("span", move, class_=f"badge {move.split()[0]}")] if move else []
    if item.item_id == taken.held_back:
        badges.append(tag("span", "taken next", class_="badge hit"))
    if item.source in SOURCES:
        badges.append(tag("span", SOURCES[item.source], class_="badge"))
    acts = [press("Take it", "add", item.item_id, f"Take {title} into the history", f"take {item.rank}")]
    if item.semantic_id:
        acts.append(press("See its bucket", "bucket", list(item.semantic_id), f"See the bucket of {title} in the tree"))
    score = tag("span", "score ", fraction(item.score) if item.score >= 0.001 else tag("data", f"{item.score:.1e}", value=repr(item.score)))
    return tag(
        "li",
        tag("div", tag("span", tag("span", user_text(title), class_="title"), *badges), tag("span", score, class_="score"), class_="head"),
        tag("div", class_="bar", style=f"--share:{share:.3f}", aria_hidden="true"),
        attributes_line(card["attributes"]),
        tag("p", id_path(list(item.semantic_id), [list(one) for one in words(item.semantic_id)] if words else None), class_="path-line")
        if item.semantic_id
        else None,
        _reasons(item, shown),
        tag("div", *acts, class_="acts"),
    )


def _reasons(item: Recommendation, shown: ShownList) -> Markup:
    """Return the probability of the ID and the cosine, the sum that the log score is, and the nearest item of the history."""
    why = item.why
    if why is None:
        return Markup("")
    told = Reasons.of({"beam_probability": why.beam_probability, "cosine": why.cosine, "terms": why.terms}, bool(item.semantic_id))
    parts = []
    if why.beam_probability is not None:
        parts.append(tag("span", "P(ID) ", percent(why.beam_probability), _unheard(told.beam_probability)))
    if why.cosine is not None:
        parts.append(tag("span", "cosine ", tag("data", f"{why.cosine:.2f}", value=repr(why.cosine)), _unheard(told.cosine)))
    if told.terms:
        parts.append(_sum(told.terms))
    if why.nearest_history_item is not None:
        nearest = user_text(title_of(shown.recommender.catalog, why.nearest_history_item))
        parts.append(tag("span", "nearest in the history: ", nearest, class_="line"))
    return tag("p", *parts, class_="why") if parts else Markup("")


def _unheard(told: float | None) -> Markup | None:
    return tag("small", " (no share in the score)") if told is None else None


def _sum(terms: Mapping[str, float]) -> Markup:
    if len(terms) == 1:
        return tag("span", f"log score {sum(terms.values()):.2f}, all of it {next(iter(terms))}", class_="line")
    parts = [
        tag("span", tag("i", "+" if place else "="), f" {name} ", tag("data", f"{value:.2f}", value=repr(value)), class_="term")
        for place, (name, value) in enumerate(terms.items())
    ]
    return tag("span", f"log score {sum(terms.values()):.2f} ", *parts, class_="line")
