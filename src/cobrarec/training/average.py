"""Exponential moving average of the weights: what is evaluated and kept."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from cobrarec.training.interruption import interruption_deferred


class AveragedWeights:
    """average <- d * average + (1 - d) * weights after each step, d = min(decay, (1 + step) / (10 + step)).

    The smaller d of the first steps lets the average forget the weights that training started from. With decay 0 it is the plain weights.
    Buffers are not averaged: the model's own are used.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._decay = decay
        self._parameters = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        self._average = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after `step` steps (from 1)."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, parameter in self._parameters.items():
            self._average[name].lerp_(parameter, 1.0 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model bears the averaged weights inside the block; its own come back bit for bit."""
        own = {name: parameter.detach().clone() for name, parameter in self._parameters.items()}
        try:
            with interruption_deferred():
                self._assign(self._average)
            yield
        finally:
            with interruption_deferred():
                self._assign(own)

    @torch.no_grad()
    def _assign(self, values: Mapping[str, Tensor]) -> None:
        for name, parameter in self._parameters.items():
            parameter.copy_(values[name])

    def state(self) -> dict[str, Tensor]:
        """The averages by parameter name."""
        return dict(self._average)

    @torch.no_grad()
    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Go on from the averages of `state`."""
        for name, average in self._average.items():
            average.copy_(state[name])
