"""A model while it generates, not learns."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from cobrarec.model.cobra import Cobra


@contextmanager
def generating(model: Cobra) -> Iterator[None]:
    """Eval mode without gradient; afterwards the model is as it was. To set the mode of all its parts takes as long as much of a list."""
    was_training = model.training
    if was_training:
        model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        if was_training:
            model.train()
