"""How a run works, apart from what the model is."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from cobrarec.config_section import Section


class RunOptions(Section):
    """Where and how long to work; never part of the model."""

    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    """Seed of every random choice."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes a GPU where there is one."""
    num_threads: int | None = Field(default=None, ge=1)
    """CPU threads; null leaves torch's choice."""
    time_limit: float | None = Field(default=None, gt=0)
    """Minutes that `fit` may take; the schedule is fitted to it."""
    resume: bool = False
    """Go on from the run folder's last checkpoint."""
    test: bool = False
    """Evaluate the test split too, at the very end of `fit`."""
    embedding_cache: Path | None = None
    """Folder of text embeddings that runs share; null: each run keeps its own alone."""
    refit: bool = True
    """Once validation has chosen, learn from its interactions too; metrics on validation stay those of the weights before."""
    like: Path | None = None
    """For split `none`: the run whose choices on validation (and settings, where none are given) are used."""
    from_artifact: Path | None = None
    """Go on from the model of this artifact instead of a new one; its choices are kept (`cobrarec.continuation`)."""
