"""A model while it generates, not learns."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from cobrarec.model.cobra import Cobra


@contextmanager
def generating(model: Cobra) -> Iterator[None]:
    """Eval mode without gradient; afterwards the model is as it was, which is in one mode with all its parts.

    Where that is eval mode nothing is set: to do so takes a good part of the time of a list.
    """
    was_training = model.training
    if was_training:
        model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        if was_training:
            model.train()
