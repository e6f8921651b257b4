"""A request for lists as the batcher holds it, and the answer to many of one kind at once, already as JSON."""

import json
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from cobrarec.data.interactions import Histories
from cobrarec.errors import DataError, UserError
from cobrarec.retrieval.recommendations import Recommendation
from cobrarec.retrieval.recommender import Recommender
from cobrarec.retrieval.request_checks import Filters
from cobrarec.serving.schemas import RecommendRequest


@dataclass(frozen=True, eq=False)
class AskedLists:
    """A checked request; `size` and `key` are what the batcher reads."""

    request: RecommendRequest
    key: Hashable = field(init=False)

    def __post_init__(self) -> None:
        request = self.request
        filters = None
        if request.where is not None or request.allow is not None or request.exclude is not None:
            try:
                filters = json.dumps([request.allow, request.exclude, request.where], sort_keys=True)
            except RecursionError:
                raise DataError("`where` is nested too deep; give values, lists of values or ranges.") from None
        settings = (request.num_beams, request.tau, request.psi)
        is_timed = request.timestamps is not None
        object.__setattr__(self, "key", (request.k, settings, filters, request.unknown, request.explain, is_timed))

    @property
    def size(self) -> int:
        """What is asked for, see `RecommendRequest.work`."""
        return self.request.work


def answer_lists(recommender: Recommender, asked: Sequence[AskedLists]) -> list[bytes | Exception]:
    """The JSON bodies of the answers to requests of one key; a request that cannot be answered gets its own exception."""
    answers: list[bytes | Exception] = [b""] * len(asked)
    views: list[tuple[int, Histories]] = []
    for place, one in enumerate(asked):
        try:
            views.append((place, recommender.read_histories(one.request.histories, one.request.unknown, one.request.timestamps)))
        except UserError as error:
            answers[place] = error
    if not views:
        return answers
    request = asked[0].request
    try:
        settings = {name: value for name in ("num_beams", "tau", "psi") if (value := getattr(request, name)) is not None}
        changed = recommender.with_settings(**settings) if settings else recommender
        histories = joined([histories for _, histories in views])
        filters: Filters = {"allow": request.allow, "exclude": request.exclude, "where": request.where}
        lists = changed.recommend_to(histories, request.k, unknown=request.unknown, explain=request.explain, **filters)
    except UserError as error:  # settings and filters are those of all
        return [error if answer == b"" else answer for answer in answers]
    start = 0
    for place, own in views:
        body = _body(recommender, asked[place].request, lists[start : start + own.num_users])
        answers[place] = json.dumps(body, separators=(",", ":")).encode()  # ASCII: half a surrogate pair, which JSON can bear, is no UTF-8
        start += own.num_users
    return answers


def joined(parts: Sequence[Histories]) -> Histories:
    """The users of all parts, one after the other; all parts have times, or none has."""
    if len(parts) == 1:
        return parts[0]
    wholes = [part.compact() for part in parts]
    lengths = np.concatenate([part.lengths for part in wholes])
    ends = np.cumsum(lengths)
    times = None
    if all(part.timestamps is not None for part in wholes):
        times = np.concatenate([part.timestamps for part in wholes if part.timestamps is not None])
    return Histories(np.arange(len(lengths)), ends - lengths, ends, np.concatenate([part.rows for part in wholes]), times)


def _body(recommender: Recommender, request: RecommendRequest, lists: Sequence[list[Recommendation]]) -> dict[str, Any]:
    known = recommender.catalog
    unknown = dict.fromkeys(item for history in request.histories for item in history if item not in known)
    return {
        "artifact": recommender.info.artifact,
        "catalog_version": recommender.info.catalog_version,
        "lists": [[_record(item, request.explain) for item in items] for items in lists],
        "unknown_items": list(unknown),
    }


def _record(item: Recommendation, explain: bool) -> dict[str, Any]:
    record: dict[str, Any] = {
        "item_id": item.item_id,
        "score": item.score,
        "rank": item.rank,
        "semantic_id": item.semantic_id,
        "source": item.source,
    }
    if explain and item.why is not None:
        record["why"] = asdict(item.why)
    return record
