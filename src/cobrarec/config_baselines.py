"""Settings of what counts instead of learning: the rankers without a network, and the network's memory."""

from pydantic import Field

from cobrarec.config_section import Section


class CountsConfig(Section):
    """Transition counts: the ranker `counts`, and the baseline of that name beside the others."""

    window: int | None = Field(default=None, ge=1)
    """Largest distance of two items of a history that is counted; null: chosen on validation."""
    last: int | None = Field(default=None, ge=1)
    """Latest items of a history that score; null: chosen on validation."""


class MemoryConfig(Section):
    """The transition memory, whose counts are added to the network's fused scores; its weight is `retrieval.memory_weight`."""

    window: int = Field(default=5, ge=1)
    """Largest distance of two items of a history that is counted, each with weight 1 / distance."""
    last: int = Field(default=5, ge=1)
    """Latest items of a history that score, each with weight 1 / places from the end."""
    reverse: float = Field(default=0.3, ge=0, le=1)
    """Weight with which the way back is counted too."""


class ContentConfig(Section):
    """Content neighbors: the ranker `content`, and the baseline of that name beside the others."""

    last: int | None = Field(default=None, ge=1)
    """Latest items of a history whose texts are read; null: chosen on validation."""
