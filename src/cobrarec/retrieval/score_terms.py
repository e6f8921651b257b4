"""What a log score of the network is the sum of, in numbers and in words."""

from cobrarec.config import RetrievalConfig
from cobrarec.model.cobra import Cobra
from cobrarec.retrieval.list_engine import FusionWeights

DEFAULT_DIRECT_WEIGHT = 0.5
"""Share of the direct query where no weight was chosen: half and half."""


def has_direct_query(model: Cobra) -> bool:
    """Whether there is a direct query: it is read at the vector token, so without dense vectors there is none."""
    return model.direct_head is not None


def fusion_weights(model: Cobra, has_memory: bool, config: RetrievalConfig) -> FusionWeights:
    """The weights in force: none for a part that is not there; of a memory also none where no weight was chosen."""
    direct = DEFAULT_DIRECT_WEIGHT if config.direct_weight is None else config.direct_weight
    return FusionWeights(direct if has_direct_query(model) else 0.0, (config.memory_weight or 0.0) if has_memory else 0.0)


def score_formula(config: RetrievalConfig, weights: FusionWeights) -> str:
    """Which terms make a score, in words."""
    domain = {"bucket": "the items of its ID", "candidates": "its beam's candidates", "all": "all candidates"}
    phi = f"softmax over {domain[config.similarity_softmax]}"
    phi = f"{phi}, of the best ID alone" if config.fusion == "top-id" else f"softmax over beams x {phi}"
    if weights.direct:
        phi = f"({phi})^{1 - weights.direct:g} x P(item | direct query)^{weights.direct:g}"
    if weights.memory:
        phi = f"{phi} x (1 + 10 x transition count)^{weights.memory:g}"
    return f"{phi}, items without training interactions at e^{config.new_item_level:g} times their odds" if config.new_item_level else phi
