"""Unit vectors against torch's own, forwards and backwards."""

import torch
from torch.nn import functional as F

from cobrarec.model.unit_vectors import unit_vectors


def _vectors() -> torch.Tensor:
    vectors = torch.randn(4, 5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    vectors[1, 2] = 1e-6
    return vectors.requires_grad_()


def test_unit_vectors_and_their_gradient_are_those_of_torch() -> None:
    ours, theirs = _vectors(), _vectors()
    weight = torch.randn(4, 5, 7, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (unit_vectors(ours) * weight).sum().backward()
    (F.normalize(theirs, dim=-1) * weight).sum().backward()
    torch.testing.assert_close(unit_vectors(ours), F.normalize(theirs, dim=-1))
    torch.testing.assert_close(ours.grad, theirs.grad)


def test_a_gradient_along_the_vector_does_not_change_it() -> None:
    vectors = _vectors()
    unit = unit_vectors(vectors)
    (unit * unit.detach()).sum().backward()
    torch.testing.assert_close(vectors.grad, torch.zeros_like(vectors), atol=1e-9, rtol=0)


def test_a_zero_vector_stays_zero_and_its_gradient_finite() -> None:
    vectors = torch.zeros(2, 3, requires_grad=True)
    unit = unit_vectors(vectors)
    unit.sum().backward()
    assert vectors.grad is not None
    assert bool(unit.eq(0).all())
    assert bool(vectors.grad.isfinite().all())
