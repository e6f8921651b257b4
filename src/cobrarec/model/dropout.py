"""Dropout that draws 16 random bits per number instead of a random double: four times as fast on a CPU."""

import torch
from jaxtyping import Float
from torch import Tensor

NUM_CHOICES = 1 << 16


def dropout(x: Float[Tensor, "*shape"], rate: float, training: bool) -> Float[Tensor, "*shape"]:
    """`x` with each number set to 0 with probability `rate` (rounded to 1 / 65,536), the others divided by the probability to stay."""
    num_dropped = round(rate * NUM_CHOICES)
    if not training or not num_dropped:
        return x
    bits = torch.empty((x.numel() + 3) // 4, dtype=torch.int64, device=x.device).random_(-(2**63), None)
    choice = bits.view(torch.int16)[: x.numel()].view(x.shape)
    keep = (choice >= num_dropped - NUM_CHOICES // 2).to(x.dtype)
    return x * keep.mul_(NUM_CHOICES / (NUM_CHOICES - num_dropped))
