import pytest
import torch
from small_models import WORDS, embeddings, semantic_ids, small_config, small_model, token_table

from cobrarec.errors import ConfigError
from cobrarec.model.build import build_model
from cobrarec.model.item_encoder import ProjectionEncoder
from cobrarec.model.text_encoder import TextEncoder


@pytest.mark.parametrize("settings", [{}, {"item": WORDS}])
def test_the_seed_decides_the_weights_and_nothing_else_does(settings):
    torch.rand(3)
    one, two, other = (small_model(2, seed, stirred=False, **settings).state_dict() for seed in (5, 5, 6))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_the_global_generator_is_left_as_it_was():
    before = torch.get_rng_state()
    small_model(1)
    assert torch.equal(before, torch.get_rng_state())


def test_the_kind_chooses_the_item_encoder():
    assert isinstance(small_model().item_encoder, ProjectionEncoder)
    assert isinstance(small_model(item=WORDS).item_encoder, TextEncoder)
    with pytest.raises(ConfigError, match="token ids"):
        build_model(small_config(item=WORDS), semantic_ids(), embeddings())


def test_the_first_weights_are_those_of_the_recipe():
    model = small_model(1, stirred=False)
    assert model.dense_temperature.item() == pytest.approx(1 / 14)
    assert not model.code_heads[0].weight.any()
    for identity in (model.skip.weight, model.dense_head.weight, model.direct_head.weight):
        assert torch.equal(identity, torch.eye(16))
    assert not model.dense_head.bias.any()
    assert model.evidence_gain.tolist() == [1.0]
    assert not model.decoder.relative_bias.weight.any()
    assert not model.dense_bias.any()


def test_identity_heads_are_a_switch():
    model = small_model(1, stirred=False, identity_heads=False)
    assert not torch.equal(model.dense_head.weight, torch.eye(16))
    assert torch.equal(model.skip.weight, torch.eye(16))


def test_weights_are_read_back_into_a_new_model():
    model, other = small_model(2, item_evidence="centroids"), small_model(2, seed=9, stirred=False, item_evidence="centroids")
    assert token_table().ids.shape[1] == 9
    other.load_state_dict(model.state_dict())
    assert all(torch.equal(a, other.state_dict()[name]) for name, a in model.state_dict().items())
