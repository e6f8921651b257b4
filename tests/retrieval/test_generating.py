import pytest
import torch
from small_world import make_recommender

from cobrarec.retrieval.generating import generating


def test_inside_there_is_neither_dropout_nor_gradient_and_afterwards_all_is_as_it_was():
    model = make_recommender().model
    model.train()
    try:
        with generating(model):
            assert not model.training
            assert not torch.is_grad_enabled()
        assert model.training
        with pytest.raises(ZeroDivisionError), generating(model):
            raise ZeroDivisionError
        assert model.training
        assert torch.is_grad_enabled()
    finally:
        model.eval()
