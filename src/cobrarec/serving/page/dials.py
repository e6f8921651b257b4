"""Dials: the settings of retrieval that the page lets a person turn, what they stand at, and which of them have a share in the list."""

from collections.abc import Sequence
from dataclasses import dataclass

from cobrarec.errors import DataError
from cobrarec.report.markup import Number
from cobrarec.retrieval.list_search import ListSearch
from cobrarec.retrieval.recommender import Recommender
from cobrarec.retrieval.score_terms import has_direct_query

MOST_BEAMS = 200
"""More than so many beams change no list of ten that a person would look at."""


@dataclass(frozen=True)
class Dial:
    """A setting of retrieval, its range, and what it stands at in the artifact, rounded to a step."""

    name: str
    label: str
    told: str
    low: Number
    high: Number
    step: Number
    default: Number

    def within(self, value: Number | None) -> Number:
        """The value, or the nearest that the dial reaches; what it stood at where nothing was given."""
        if value is None or value != value:
            return self.default
        return min(max(value, self.low), self.high)


def dials_of(recommender: Recommender) -> tuple[Dial, ...]:
    """The dials of a network; none for other rankers, which read none of these settings."""
    engine = recommender.engine
    if not isinstance(engine, ListSearch):
        return ()
    config, weights = engine.config, recommender.weights
    psi = engine.settings.psi
    most = max(1, min(MOST_BEAMS, engine.semantic_ids.num_ids))
    dials = [
        _dial("tau", "τ, weight of the beam", "Higher trusts the probability of the semantic ID more.", 5, 0.05, config.tau),
        _dial("psi", "ψ, weight of the cosine", "Higher trusts the nearness to the dense prediction more.", max(3 * psi, 30), 0.1, psi),
        Dial("num_beams", "M, beams", "Semantic IDs that beam search keeps.", 1, most, 1, min(config.num_beams, most)),
    ]
    if has_direct_query(engine.model):
        told = "Share of the query that skips the IDs: 0 is the cascade alone, 1 leaves τ and ψ no say."
        dials.append(_dial("direct_weight", "Direct weight", told, 1, 0.05, weights.direct))
    if engine.memory is not None:
        told = "What followed what in training; 0 forgets it."
        dials.append(_dial("memory_weight", "Memory weight", told, 5, 0.1, weights.memory))
    return tuple(dials)


def turned(dials: Sequence[Dial], values: Sequence[Number | None]) -> dict[str, Number]:
    """The settings that stand elsewhere than in the artifact.

    Raises:
        DataError: there is not one value a dial.
    """
    if len(dials) != len(values):
        raise DataError("The page is older than the server's artifact; load it again.")
    found: dict[str, Number] = {}
    for dial, value in zip(dials, values, strict=True):
        at = dial.within(value)
        if abs(at - dial.default) > dial.step / 2:
            found[dial.name] = round(at) if dial.step == 1 else at
    return found


def silent(recommender: Recommender) -> str:
    """One sentence on dials that have no say in the lists as they stand; empty where all have."""
    weights, config = recommender.weights, recommender.config
    if weights.direct == 1:
        return "τ and ψ have no share in these scores, because the direct weight is 1; turn it down to hear them."
    if config.tau == 0:
        return "With τ at 0 all beams count alike."
    return ""


def _dial(name: str, label: str, told: str, high: Number, step: Number, default: Number) -> Dial:
    rounded = round(round(default / step) * step, 6)
    return Dial(name, label, told, 0.0, max(round(round(high / step) * step, 6), rounded), step, rounded)
