"""What comes out: ranked lists as arrays inside, one record per recommended item outside, and why it is there."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from cobrarec.data.catalog import ItemId
from cobrarec.errors import DataError

Source = Literal["beam", "fill", "popular", "counts", "content"]
"""beam: generated and fused. fill: ranked below what was found, where that is less than k. popular: for an empty history, and the
ranker of that name. counts, content: found by the ranker of that name."""
SOURCES: tuple[Source, ...] = ("beam", "fill", "popular", "counts", "content")
"""Names of the numbers in `RankedLists.sources`."""
BEAM, FILL, POPULAR = range(3)
TERMS = ("beam", "similarity", "direct", "memory", "counts", "content", "fill", "popularity")
"""What a log score can be the sum of."""
_OF_THE_COSINE = {"similarity", "content", "fill"}


@dataclass(frozen=True, eq=False)
class Explanations:
    """Numbers behind each place of a list, float64 `[num_users, k]`; NaN where they do not apply."""

    beam_probabilities: npt.NDArray[np.float64]
    cosines: npt.NDArray[np.float64]
    terms: dict[str, npt.NDArray[np.float64]]

    @classmethod
    def empty(cls, num_users: int, k: int, terms: Sequence[str]) -> "Explanations":
        """All NaN."""
        shape = (num_users, k)
        return cls(np.full(shape, np.nan), np.full(shape, np.nan), {term: np.full(shape, np.nan) for term in terms})

    def arrays(self) -> list[npt.NDArray[np.float64]]:
        """All arrays, in one order for equal terms."""
        return [self.beam_probabilities, self.cosines, *(self.terms[term] for term in sorted(self.terms))]


@dataclass(frozen=True, eq=False)
class RankedLists:
    """Lists of catalog rows, best first, for users in the order of the input.

    rows int32 `[num_users, k]`, -1 where a list ends; log_scores float64, multiples of 1e-5, never rising, -inf where a list ends;
    sources int8, see `SOURCES`, -1 where a list ends; num_beams int64 `[num_users]`: M in the end, 0 where none were searched.
    """

    rows: npt.NDArray[np.int32]
    log_scores: npt.NDArray[np.float64]
    sources: npt.NDArray[np.int8]
    num_beams: npt.NDArray[np.int64]
    explanations: Explanations | None = None

    @classmethod
    def empty(cls, num_users: int, k: int, explanations: Explanations | None = None) -> "RankedLists":
        """Lists without items."""
        return cls(
            rows=np.full((num_users, k), -1, dtype=np.int32),
            log_scores=np.full((num_users, k), -np.inf),
            sources=np.full((num_users, k), -1, dtype=np.int8),
            num_beams=np.zeros(num_users, dtype=np.int64),
            explanations=explanations,
        )

    def write(self, users: npt.NDArray[np.int64], part: "RankedLists") -> None:
        """Put the lists of some users in their places, in this object's arrays; lists in `part` may be shorter."""
        width = part.rows.shape[1]
        self.rows[users, :width] = part.rows
        self.log_scores[users, :width] = part.log_scores
        self.sources[users, :width] = part.sources
        self.num_beams[users] = part.num_beams
        for own, values in self._paired_explanations(part):
            own[users, :width] = values

    def padded(self, k: int) -> "RankedLists":
        """The same lists in arrays of width k, which is at least their own."""
        wider = RankedLists.empty(len(self.rows), k, self._empty_explanations(len(self.rows), k))
        wider.write(np.arange(len(self.rows)), self)
        return wider

    def _paired_explanations(self, part: "RankedLists") -> list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]]:
        if self.explanations is None or part.explanations is None:
            return []
        return list(zip(self.explanations.arrays(), part.explanations.arrays(), strict=True))

    def _empty_explanations(self, num_users: int, k: int) -> Explanations | None:
        return None if self.explanations is None else Explanations.empty(num_users, k, list(self.explanations.terms))

    def append(self, users: npt.NDArray[np.int64], more: "RankedLists") -> None:
        """Put the items of `more[i]` behind those of `users[i]`, in this object's arrays, as far as there is room."""
        k = self.rows.shape[1]
        lengths = self.lengths[users]
        place = np.arange(k)[None, :] - lengths[:, None]
        fits = (place >= 0) & (place < more.lengths[:, None])
        source = np.nonzero(fits)[0], place[fits]
        target = users[source[0]], np.nonzero(fits)[1]
        self.rows[target] = more.rows[source]
        self.log_scores[target] = more.log_scores[source]
        self.sources[target] = more.sources[source]
        for own, values in self._paired_explanations(more):
            own[target] = values[source]

    @property
    def scores(self) -> npt.NDArray[np.float64]:
        """exp(log_scores): Phi, or its mixture with the direct query; 0 where a list ends."""
        return np.exp(self.log_scores)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Items in each list."""
        return np.count_nonzero(self.rows >= 0, axis=1)


@dataclass(frozen=True)
class Why:
    """What stands behind one recommendation; None where it does not apply.

    beam_probability: probability of the semantic ID given the history. cosine: of the dense prediction (for filled items of the query that
    found them) with the item's vector. nearest_history_item: the history's item of the nearest vector. terms: what the log score is the sum
    of, each times its weight: `beam` and `similarity` (the two softmaxes of BeamFusion), `direct`, `memory`; or one of `fill`,
    `popularity`, `counts`, `content`.
    """

    beam_probability: float | None
    cosine: float | None
    nearest_history_item: ItemId | None
    terms: dict[str, float]


@dataclass(frozen=True)
class Reasons:
    """What of a `Why` is worth telling a person: what has a share in the score, else None.

    beam_probability: where the ID does. cosine: where a term that comes from it does. terms: those that are not 0.
    """

    beam_probability: float | None
    cosine: float | None
    terms: dict[str, float]

    @classmethod
    def of(cls, why: Mapping[str, Any], has_id: bool) -> "Reasons":
        """`why` is the record of a `Why`, of which parts may be missing; `has_id` says whether the item bears a semantic ID."""
        terms = {name: value for name, value in (why.get("terms") or {}).items() if value}
        probability = why.get("beam_probability") if has_id and "beam" in terms else None
        return cls(probability, why.get("cosine") if not terms.keys().isdisjoint(_OF_THE_COSINE) else None, terms)


@dataclass(frozen=True)
class Recommendation:
    """One place of a list. `rank` counts from 1; `score` falls along the list; `why` is there where it was asked for."""

    item_id: ItemId
    score: float
    rank: int
    semantic_id: tuple[int, ...]
    source: Source
    why: Why | None = None


@dataclass(frozen=True, eq=False)
class Recommendations(Sequence[list[Recommendation]]):
    """One list per history, in the order of the input: `recommendations[user][place]` is a `Recommendation`.

    Arrays inside (`ranked`), records on access. `score_formula` says which terms make a score.
    """

    ranked: RankedLists
    item_ids: npt.NDArray[Any]
    codes: npt.NDArray[np.int32]
    score_formula: str
    nearest_history_rows: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        return len(self.ranked.rows)

    def __iter__(self) -> Iterator[list[Recommendation]]:
        return (self._records(user) for user in range(len(self)))

    def __repr__(self) -> str:
        return f"Recommendations({len(self)} lists of up to {self.ranked.rows.shape[1]} items)"

    def to_arrow(self, user_ids: Sequence[Any] | npt.NDArray[Any] | None = None) -> pa.Table:
        """`user_id, rank` (from 1)`, item_id, score, source`: one row a recommendation, users in their order, numbered without ids."""
        users, places = np.nonzero(self.ranked.rows >= 0)
        named = np.arange(len(self)) if user_ids is None else np.asarray(user_ids)
        named = named if len(named) else np.zeros(0, np.int64)
        if len(named) != len(self):
            raise DataError(f"There are {len(named)} user ids for {len(self)} lists; give one per list.")
        ids = pa.array(named, pa.int64() if np.issubdtype(named.dtype, np.integer) else pa.string())
        item_type = pa.string() if self.item_ids.dtype == object else pa.int64()
        return pa.table(
            {
                "user_id": ids.take(pa.array(users)),
                "rank": pa.array(places + 1, pa.int64()),
                "item_id": pa.array(self.item_ids[self.ranked.rows[users, places]], item_type),
                "score": pa.array(self.ranked.scores[users, places], pa.float64()),
                "source": pa.array([SOURCES[number] for number in self.ranked.sources[users, places]], pa.string()),
            }
        )

    @overload
    def __getitem__(self, index: int) -> list[Recommendation]: ...

    @overload
    def __getitem__(self, index: slice) -> list[list[Recommendation]]: ...

    def __getitem__(self, index: int | slice) -> list[Recommendation] | list[list[Recommendation]]:
        """The list of one user, or those of a slice of users."""
        if isinstance(index, slice):
            return [self._records(user) for user in range(*index.indices(len(self)))]
        return self._records(range(len(self))[index])

    def _records(self, user: int) -> list[Recommendation]:
        return [self._record(user, place) for place in range(int(self.ranked.lengths[user]))]

    def _record(self, user: int, place: int) -> Recommendation:
        row = int(self.ranked.rows[user, place])
        return Recommendation(
            item_id=_python_id(self.item_ids[row]),
            score=float(np.exp(self.ranked.log_scores[user, place])),
            rank=place + 1,
            semantic_id=tuple(int(code) for code in self.codes[row]),
            source=SOURCES[self.ranked.sources[user, place]],
            why=self._why(user, place),
        )

    def _why(self, user: int, place: int) -> Why | None:
        explanations = self.ranked.explanations
        if explanations is None:
            return None
        terms = {term: float(values[user, place]) for term, values in explanations.terms.items() if not np.isnan(values[user, place])}
        nearest = -1 if self.nearest_history_rows is None else int(self.nearest_history_rows[user, place])
        return Why(
            beam_probability=_known(explanations.beam_probabilities[user, place]),
            cosine=_known(explanations.cosines[user, place]),
            nearest_history_item=_python_id(self.item_ids[nearest]) if nearest >= 0 else None,
            terms=terms,
        )


def _python_id(item_id: Any) -> ItemId:
    return item_id.item() if isinstance(item_id, np.generic) else item_id


def _known(value: np.float64) -> float | None:
    return None if np.isnan(value) else float(value)
