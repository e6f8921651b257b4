"""Vectors at length 1, with a way back that passes few times over memory: a whole catalog is normalized in every step."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

SMALLEST_NORM = 1e-12
"""Shorter vectors are divided by this."""


def unit_vectors(vectors: Float[Tensor, "*n dim"]) -> Float[Tensor, "*n dim"]:
    """Each vector divided by its length."""
    return _UnitVectors.apply(vectors)  # type: ignore[no-untyped-call]


class _UnitVectors(torch.autograd.Function):
    """u = x / |x|; the gradient of x is (g - (g.u) u) / |x|."""

    @staticmethod
    def forward(ctx: Any, vectors: Tensor) -> Tensor:
        """Divide by the length, which is kept."""
        norm = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True).clamp_min_(SMALLEST_NORM)
        unit = vectors / norm
        ctx.save_for_backward(unit, norm)
        return unit

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """The part of the gradient that turns the vector."""
        unit, norm = ctx.saved_tensors
        along = (gradient * unit).sum(-1, keepdim=True)
        return torch.addcmul(gradient, unit, along, value=-1).div_(norm)
