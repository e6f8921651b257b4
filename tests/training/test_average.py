"""The averaged weights."""

import pytest
import torch
from torch import nn

from cobrarec.training.average import AveragedWeights


def model(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, value)
    return layer


def test_the_average_follows_the_recursion() -> None:
    layer = model(1.0)
    average = AveragedWeights(layer, 0.5)
    expected = 1.0
    for step, value in enumerate([2.0, 3.0, 5.0, 8.0] * 5, start=1):
        nn.init.constant_(layer.weight, value)
        average.update(step)
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * value
    assert average.state()["weight"].item() == pytest.approx(expected, rel=1e-5)


def test_decay_zero_is_the_plain_weights_bit_for_bit() -> None:
    layer = nn.Linear(5, 5)
    average = AveragedWeights(layer, 0.0)
    nn.init.normal_(layer.weight, generator=torch.Generator().manual_seed(0))
    average.update(1)
    assert torch.equal(average.state()["weight"], layer.weight)


def test_the_model_bears_the_average_inside_the_block_only_even_when_it_fails() -> None:
    layer = model(1.0)
    average = AveragedWeights(layer, 0.5)
    nn.init.constant_(layer.weight, 1 / 3)
    with pytest.raises(KeyboardInterrupt), average.applied():  # noqa: PT012
        assert layer.weight.item() == 1.0
        raise KeyboardInterrupt
    assert torch.equal(layer.weight, torch.full((1, 1), 1 / 3))


def test_a_saved_average_goes_on() -> None:
    average = AveragedWeights(model(1.0), 0.5)
    average.load_state({"weight": torch.full((1, 1), 7.0)})
    assert average.state()["weight"].item() == 7.0
