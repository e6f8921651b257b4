"""The tree of semantic IDs as HTML: where one stands, what goes on from there, and the items that are typical of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from cobrarec.report.markup import Markup, join, tag, user_text
from cobrarec.retrieval.recommender import Recommender
from cobrarec.semantic_ids.typical_words import TypicalWords
from cobrarec.serving.browse import IdBrowser, item_record
from cobrarec.serving.page.buttons import heading, notice, press
from cobrarec.serving.schemas import SHOWN

OPEN_BRANCHES = 36
"""Branches that are shown at once; the others are folded."""
NUM_SAMPLES = 2
"""Typical titles beside each branch."""


def tree_panel(browser: IdBrowser, recommender: Recommender, prefix: Sequence[int]) -> Markup:
    """Return a prefix with its branches and items; where no item bears it, the nearest part of it that one does."""
    prefix = list(prefix)
    branch = browser.branch(recommender, prefix)
    if branch is None:
        shorter = tree_panel(browser, recommender, prefix[:-1]) if prefix else Markup("")
        return join(notice(f"No item has an ID that begins with {'-'.join(map(str, prefix))} any more."), shorter)
    size = tag("span", f"{branch['num_items']:,} item{'s' * (branch['num_items'] != 1)}", class_="quiet")
    name = join("ID ", tag("code", "-".join(map(str, prefix))), " ", user_text(_named(branch["words"]))) if prefix else "All semantic IDs"
    parts = [_crumbs(browser.words, prefix), heading(name, size)]
    if branch["children"]:
        parts.append(_branches(browser, recommender, branch))
    if prefix or not branch["children"]:
        parts.append(_items(browser.words, recommender, branch, bool(branch["children"])))
    return join(*parts)


def typical_items(words: TypicalWords, recommender: Recommender, prefix: Sequence[int], n: int) -> list[int]:
    """Rows of up to n listed items below a prefix, the typical ones first.

    The words know the items of the artifact as it was loaded; what was added since follows, and what was removed or moved is left out.
    """
    place, num_items = 0, words.semantic_ids.num_items
    for level, code in enumerate(prefix):
        place = int(words.semantic_ids.child[level][place, code]) if place >= 0 else -1
    known = words.typical_rows(len(prefix), place, 4 * n, recommender.info.popularity[:num_items]) if place >= 0 else np.zeros(0, np.int64)
    codes, is_listed = recommender.engine.codes, recommender.catalog.is_listed
    here = [row for row in known.tolist() if is_listed[row] and codes[row, : len(prefix)].tolist() == list(prefix)]
    if len(here) < n:
        borne = is_listed & (codes[:, : len(prefix)] == np.array(prefix, codes.dtype)).all(axis=1)
        here += [row for row in np.flatnonzero(borne).tolist() if row not in set(here)][: n - len(here)]
    return here[:n]


def _crumbs(words: TypicalWords, prefix: Sequence[int]) -> Markup:
    """Return the way from the root to here; all of it but the end can be pressed."""
    path = words.path(prefix)
    steps = [press("All", "open", [], "All semantic IDs")] if prefix else [tag("span", "All", aria_current="page")]
    for level, (code, named) in enumerate(zip(prefix, path, strict=True), 1):
        text = join(tag("code", code), " ", user_text(_named(named)))
        is_end = level == len(prefix)
        steps.append(tag("span", text, aria_current="page") if is_end else press(text, "open", list(prefix[:level])))
    return tag("nav", tag("ol", *[tag("li", step) for step in steps]), aria_label="Path in the tree", class_="crumbs")


def _branches(browser: IdBrowser, recommender: Recommender, branch: dict[str, Any]) -> Markup:
    children = branch["children"]
    largest = max(child["num_items"] for child in children)
    entries = [_branch(browser, recommender, child, largest) for child in children]
    rest = entries[OPEN_BRANCHES:]
    more = tag("details", tag("summary", f"{len(rest)} smaller ones"), tag("ul", *rest, class_="branches")) if rest else None
    told = tag("p", f"{len(children):,} code{'s' * (len(children) != 1)} go on from here, largest first.", class_="quiet")
    return join(told, tag("ul", *entries[:OPEN_BRANCHES], class_="branches"), more)


def _branch(browser: IdBrowser, recommender: Recommender, child: dict[str, Any], largest: int) -> Markup:
    rows = typical_items(browser.words, recommender, child["prefix"], NUM_SAMPLES)
    titles = [recommender.catalog.titles[row] for row in rows]
    name = join(tag("code", child["prefix"][-1]), " ", user_text(_named(child["words"]) or "no words"))
    size = tag("span", f"{child['num_items']:,}", class_="score", title=f"{child['num_items']:,} items")
    label = f"Open {'-'.join(map(str, child['prefix']))}: {_named(child['words'])}, {child['num_items']:,} items"
    samples = tag("p", *[join(" · " if place else "", user_text(title)) for place, title in enumerate(titles)], class_="titles")
    bar = tag("div", class_="bar", style=f"--share:{child['num_items'] / largest:.3f}", aria_hidden="true")
    return tag("li", tag("div", press(name, "open", child["prefix"], label, look="plain"), size, class_="head"), bar, samples)


def _items(words: TypicalWords, recommender: Recommender, branch: dict[str, Any], is_inner: bool) -> Markup:
    rows = typical_items(words, recommender, branch["prefix"], 6 if is_inner else SHOWN)
    items = [item_record(recommender, row) for row in rows]
    shown = [
        tag("li", user_text(item["title"]), press("Add", "add", item["item_id"], f"Add {item['title']} to the history")) for item in items
    ]
    more = branch["num_items"] - len(items)
    told = tag("p", f"and {more:,} more", class_="quiet") if more > 0 else None
    return join(tag("h3", "Typical items"), tag("ul", *shown, class_="rows"), told)


def _named(words: Sequence[str]) -> str:
    return ", ".join(words)
