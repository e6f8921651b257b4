"""What a log score of the network is the sum of, in numbers and in words."""

from cobrarec.config import RetrievalConfig
from cobrarec.model.cobra import Cobra

DEFAULT_DIRECT_WEIGHT = 0.5
"""Share of the direct query where no weight was chosen: half and half."""


def has_direct_query(model: Cobra) -> bool:
    """Whether there is a direct query: it is read at the vector token, so without dense vectors there is none."""
    return model.direct_head is not None


def direct_weight(model: Cobra, config: RetrievalConfig) -> float:
    """Share of the direct query's log-probability in a log score; 0 where the model has no direct query."""
    if not has_direct_query(model):
        return 0.0
    return DEFAULT_DIRECT_WEIGHT if config.direct_weight is None else config.direct_weight


def score_formula(config: RetrievalConfig, weight: float) -> str:
    """Which terms make a score, in words; `weight` is that of the direct query."""
    domain = {"bucket": "the items of its ID", "candidates": "its beam's candidates", "all": "all candidates"}
    phi = f"softmax over {domain[config.similarity_softmax]}"
    phi = f"{phi}, of the best ID alone" if config.fusion == "top-id" else f"softmax over beams x {phi}"
    return phi if weight == 0 else f"({phi})^{1 - weight:g} x P(item | direct query)^{weight:g}"
