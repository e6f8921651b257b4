"""COBRA (arXiv 2503.02453): recommendation that generates an item's semantic ID, then its dense vector.

Names are resolved on first use (PEP 562): importing the package loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cobrarec.artifact import load_artifact as load
    from cobrarec.artifact import open_live_catalog
    from cobrarec.artifact import verify_artifact as verify
    from cobrarec.config import Config, RunOptions, load_config
    from cobrarec.errors import CobraRecError, UserError
    from cobrarec.pipeline import evaluate, fit
    from cobrarec.progress import Progress
    from cobrarec.retrieval.recommendations import Recommendation, Recommendations
    from cobrarec.retrieval.recommender import Recommender

__version__ = "0.1.0"

_HOMES = {
    "CobraRecError": ("cobrarec.errors", "CobraRecError"),
    "Config": ("cobrarec.config", "Config"),
    "Progress": ("cobrarec.progress", "Progress"),
    "Recommendation": ("cobrarec.retrieval.recommendations", "Recommendation"),
    "Recommendations": ("cobrarec.retrieval.recommendations", "Recommendations"),
    "Recommender": ("cobrarec.retrieval.recommender", "Recommender"),
    "RunOptions": ("cobrarec.config", "RunOptions"),
    "UserError": ("cobrarec.errors", "UserError"),
    "evaluate": ("cobrarec.pipeline", "evaluate"),
    "fit": ("cobrarec.pipeline", "fit"),
    "load": ("cobrarec.artifact", "load_artifact"),
    "load_config": ("cobrarec.config", "load_config"),
    "open_live_catalog": ("cobrarec.artifact", "open_live_catalog"),
    "verify": ("cobrarec.artifact", "verify_artifact"),
}

__all__ = [
    "CobraRecError",
    "Config",
    "Progress",
    "Recommendation",
    "Recommendations",
    "Recommender",
    "RunOptions",
    "UserError",
    "evaluate",
    "fit",
    "load",
    "load_config",
    "open_live_catalog",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'cobrarec' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
