"""Settings of the rankers that train no network; what is left open is chosen on validation."""

from pydantic import Field

from cobrarec.config_section import Section


class CountsConfig(Section):
    """Transition counts: the ranker `counts`, and the baseline of that name beside the others."""

    window: int | None = Field(default=None, ge=1)
    """Largest distance of two items of a history that is counted; null: chosen on validation."""
    last: int | None = Field(default=None, ge=1)
    """Latest items of a history that score; null: chosen on validation."""


class ContentConfig(Section):
    """Content neighbors: the ranker `content`, and the baseline of that name beside the others."""

    last: int | None = Field(default=None, ge=1)
    """Latest items of a history whose texts are read; null: chosen on validation."""
