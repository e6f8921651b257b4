"""Desk: what the page asks of the service, and the HTML that answers. Knows no gradio, so it is tested without a browser.

Whatever needs the model goes through the service's batcher as an errand, one list at a time, in turn with the requests of others. Searching
and the tree, which need none, run in the threadpool. A person is told what went wrong in one sentence.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool

from cobrarec.errors import CobraRecError, DataError
from cobrarec.report.markup import Markup, Number, join, tag, user_text
from cobrarec.report.plots import Mark, Series, line_chart
from cobrarec.retrieval.recommender import Recommender
from cobrarec.serving.batcher import BusyError
from cobrarec.serving.browse import IdBrowser, search_items
from cobrarec.serving.errand import Errand
from cobrarec.serving.meters import Meters
from cobrarec.serving.page.added_item import filled_in, free_id, landing, landing_panel
from cobrarec.serving.page.buttons import notice, toast
from cobrarec.serving.page.dials import dials_of, silent, turned
from cobrarec.serving.page.id_tree import tree_panel
from cobrarec.serving.page.known_users import KnownUsers
from cobrarec.serving.page.panels import Words, found_panel, history_panel, list_panel, title_of
from cobrarec.serving.page.run_card import info_card, run_card
from cobrarec.serving.page.shown_list import LENGTH, TAUS, Diversity, diversity, shown_list
from cobrarec.serving.page.taken import Taken
from cobrarec.serving.schemas import SHOWN
from cobrarec.serving.service import Service

logger = logging.getLogger("cobrarec.serving")
T = TypeVar("T")
OURS = "This is our fault, not yours; the server's log has the rest."
MOST_QUERY = 200


class Desk:
    """One per server."""

    def __init__(self, service: Service, users: KnownUsers | None = None, meters: Meters | None = None) -> None:
        self.service, self.users, self._meters = service, users, meters
        self.dials = dials_of(service.recommender)

    @property
    def needs_token(self) -> bool:
        """Whether changes of items need the server's token, here as everywhere."""
        return self.service.settings.token is not None and self.service.read_only_reason is None

    def taken(self, value: Any) -> Taken:
        """The history that the browser holds."""
        return Taken.of(value, self.service.recommender.catalog)

    def history(self, taken: Taken) -> Markup:
        """The history as HTML."""
        return history_panel(taken, self.service.recommender.catalog)

    def changed(self, taken: Taken, act: Any, value: Any) -> tuple[Taken, Markup]:
        """The history after the press of a button, and a word about it.

        Raises:
            DataError: no button asks for that, or the history is as long as it can be.
        """
        catalog = self.service.recommender.catalog
        if act == "add" and value in catalog:
            longer = taken.with_item(value)
            return longer, toast("Added ", user_text(title_of(catalog, value)), f", {_counted(len(longer.items))} in the history.")
        if act == "drop" and isinstance(value, int):
            shorter = taken.without(value)
            return shorter, toast(f"Removed, {_counted(len(shorter.items))} in the history.")
        if act == "clear":
            return Taken(), toast("The history is empty.")
        if act == "try":
            tried = self.taken(value)
            return tried, toast(f"The history holds {_counted(len(tried.items))} that the new item fits.")
        raise DataError("There is no such item any more; load the page again.")

    async def search(self, query: str | None) -> Markup:
        """Items whose text holds all words."""
        words = " ".join((query or "").split())[:MOST_QUERY]
        if not words:
            return Markup("")
        return await told(self._search(words))

    async def listed(self, value: Any, dial_values: Sequence[Number | None]) -> Markup:
        """The list for a history under the dials."""
        return await told(self._list(self.taken(value), dial_values))

    async def curve(self, value: Any, dial_values: Sequence[Number | None]) -> Markup:
        """How different the items of the list are for several tau, the other dials as they stand."""
        return await told(self._curve(self.taken(value), dial_values))

    async def tree(self, prefix: Any) -> Markup:
        """The tree of semantic IDs from a prefix on."""
        codes = [code for code in prefix if isinstance(code, int)] if isinstance(prefix, list) else []
        return await told(self._tree(codes[:32]))

    async def put(self, token: str | None, item_id: str | None, fields: Mapping[str, str | None], as_json: str | None) -> Markup:
        """Add an item, and show where it lands."""
        return await told(self._put(token, item_id or "", fields, as_json))

    def next_id(self) -> str:
        """An id for the next item."""
        return free_id(self.service.recommender.catalog)

    async def remove(self, token: str | None, item_id: Any) -> Markup:
        """Remove an item that was added."""
        return await told(self._remove(token, item_id))

    async def card(self) -> Markup:
        """What is served, and the run that it comes from."""
        return await told(self._card())

    async def take_user(self, user_id: str | None, hold_back: bool) -> tuple[Taken | None, Markup]:
        """The history of a user, and a word about it; no history where there is no such user."""
        try:
            if self.users is None:
                raise DataError("This server knows no users; start it with --interactions FILE.")
            if not (user_id or "").strip():
                raise DataError("Give the id of a user, or take any.")
            taken = self.users.take(user_id or "", bool(hold_back))
        except CobraRecError as error:
            return None, notice(str(error), "wrong")
        return taken, notice(
            f"{_counted(len(taken.items))} of {taken.user}{', the last one held back' if taken.held_back is not None else ''}."
        )

    async def _search(self, words: str) -> Markup:
        num_found, items = await run_in_threadpool(search_items, self.service.recommender, words, SHOWN)
        return found_panel(words, num_found, items)

    async def _list(self, taken: Taken, dial_values: Sequence[Number | None]) -> Markup:
        settings = turned(self.dials, dial_values)
        shown = await self._turn(lambda recommender: shown_list(recommender, taken, settings))
        words = await self._words()
        sentence = silent(shown.recommender) if self.dials and taken.items else ""
        return join(list_panel(shown, taken, words), tag("p", sentence, class_="quiet") if sentence else None)

    async def _curve(self, taken: Taken, dial_values: Sequence[Number | None]) -> Markup:
        settings = turned(self.dials, dial_values)
        if not self.dials:
            raise DataError("This ranker reads no τ.")
        if not taken.items:
            raise DataError("The history is empty; add items, and the curve is that of their list.")
        changed = self.service.recommender.with_settings(**settings)
        if changed.weights.direct == 1:
            raise DataError(silent(changed))
        points: list[tuple[Number, Diversity]] = []
        for tau in TAUS:  # each in its own turn, so that nobody waits for all of them
            points.append((tau, await self._turn(partial(_diversity_at, taken=taken, settings={**settings, "tau": tau}))))
        at = settings.get("tau", self.dials[0].default)
        mark = Mark(at, f"τ {at:g}") if at <= TAUS[-1] else None
        ids = Series("distinct IDs", [(tau, one.num_ids) for tau, one in points if one.num_ids is not None])
        distances = Series("mean cosine distance", [(tau, one.distance) for tau, one in points if one.distance is not None])
        charts = [line_chart("Distinct IDs", [ids], "τ", mark), line_chart("Mean cosine distance", [distances], "τ", mark)]
        return tag("div", *charts, class_="pair")

    async def _tree(self, prefix: list[int]) -> Markup:
        recommender = self.service.recommender
        browser = await self._browser(recommender)
        if browser is None:
            ranker = self.service.card()["ranker"]
            raise DataError(f"The ranker {ranker} has no semantic IDs, and so no tree of them.")
        return await run_in_threadpool(tree_panel, browser, recommender, prefix)

    async def _put(self, token: str | None, item_id: str, fields: Mapping[str, str | None], as_json: str | None) -> Markup:
        self._check_writable(token)
        table = filled_in(item_id, fields, as_json, self.service.recommender.catalog)
        outcome = await run_in_threadpool(self.service.put, table)
        if self._meters is not None:
            self._meters.outcome(outcome)
        new = table.column("item_id").to_pylist()[0]
        landed = await self._turn(lambda recommender: landing(recommender, new))
        return landing_panel(landed, await self._words())

    async def _remove(self, token: str | None, item_id: Any) -> Markup:
        self._check_writable(token)
        catalog = self.service.recommender.catalog
        if item_id not in catalog:
            raise DataError("There is no such item any more.")
        outcome = await run_in_threadpool(self.service.remove, item_id)
        if self._meters is not None:
            self._meters.outcome(outcome)
        return notice(f"{catalog.titles[catalog.find(item_id)]} is removed: no list holds it any more.")

    async def _card(self) -> Markup:
        card, run = await run_in_threadpool(self.service.card), await run_in_threadpool(run_card, self.service.folder)
        return join(info_card(card), run)

    def _check_writable(self, token: str | None) -> None:
        reason = self.service.read_only_reason
        if reason is not None:
            raise DataError(f"Items cannot be changed here: {reason}.")
        if not self.service.settings.is_token((token or "").encode()):
            raise DataError("Changes of items need the server's token; what stands in the field is another one.")

    async def _turn(self, run: Callable[[Recommender], T]) -> T:
        """What `run` brings from the model, in turn with everybody else's requests."""
        seconds = self.service.settings.time_limit
        try:
            return await asyncio.wait_for(self.service.batcher.ask(Errand(run)), seconds)
        except TimeoutError:
            raise BusyError(f"The model took longer than {seconds:g} s; try again.") from None

    async def _browser(self, recommender: Recommender) -> IdBrowser | None:
        """The tree in words; None where the ranker has no IDs."""
        if not self.dials:
            return None
        return await run_in_threadpool(self.service.id_browser, recommender)

    async def _words(self) -> Words | None:
        browser = await self._browser(self.service.recommender)
        return None if browser is None else browser.words.path


async def told(work: Awaitable[Markup]) -> Markup:
    """The answer, or one sentence on what went wrong."""
    try:
        return await work
    except CobraRecError as error:
        return notice(str(error), "wrong")
    except Exception as error:
        logger.error("the page: a fault of ours", exc_info=error)
        return notice(OURS, "wrong")


def _counted(num_items: int) -> str:
    return f"{num_items:,} item{'s' * (num_items != 1)}"


def _diversity_at(recommender: Recommender, taken: Taken, settings: Mapping[str, Number]) -> Diversity:
    lists = recommender.with_settings(**settings).recommend_to(taken.histories(recommender.catalog), LENGTH)
    return diversity(recommender, lists[0])
