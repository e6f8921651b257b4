import pytest
import torch
from small_models import WORDS, token_table

from cobrarec.config import ItemConfig
from cobrarec.model import text_encoder
from cobrarec.model.text_encoder import TextEncoder


def _encoder(dim=8, num_layers=1, **settings):
    words = {**WORDS["text_encoder"], "num_layers": num_layers}
    encoder = TextEncoder(ItemConfig.model_validate({"kind": "text-encoder", "text_encoder": words, **settings}), dim, token_table())
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
    return encoder.eval()


@torch.no_grad()
@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_an_item_alone_has_the_vector_it_has_among_others(num_layers, monkeypatch):
    monkeypatch.setattr(text_encoder, "ITEMS_AT_ONCE", 7)
    encoder = _encoder(num_layers=num_layers)
    together = encoder.encode_all()
    for row in range(len(together)):
        assert torch.allclose(encoder(torch.tensor([row]))[0], together[row], atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("num_layers", [1, 2])
def test_reading_cls_alone_equals_running_every_token_through_every_layer(num_layers):
    encoder, tokens = _encoder(num_layers=num_layers, id_embedding=False), torch.from_numpy(token_table().ids)
    place = torch.arange(tokens.shape[1])
    x = encoder.token_embedding(tokens) + encoder.position_embedding(place) + encoder.type_embedding(place.clamp(max=1))
    for block in encoder.blocks:
        x = block.attend(x, (tokens != 0)[:, None, None])[0]
    assert torch.allclose(encoder.encode_all(), encoder.norm(x[:, 0]), atol=1e-5)


@torch.no_grad()
def test_the_order_of_words_and_every_word_count():
    encoder = _encoder()
    ids = torch.tensor([[1, 7, 8, 9, 0], [1, 9, 8, 7, 0], [1, 7, 8, 0, 0]])
    vectors = encoder.encode_new(ids, None)
    assert (vectors[0] - vectors[1]).abs().max() > 1e-3
    assert (vectors[0] - vectors[2]).abs().max() > 1e-3
    assert torch.allclose(vectors[2], encoder.encode_new(ids[2:, :3], None)[0], atol=1e-5)


def test_no_item_gives_no_vector():
    assert _encoder()(torch.zeros(0, dtype=torch.long)).shape == (0, 8)


def test_an_empty_text_has_a_vector():
    encoder = _encoder()
    empty = encoder.encode_new(torch.tensor([[1, 0, 0]]), None)
    assert torch.isfinite(empty).all()


def test_the_tokens_are_not_saved_with_the_weights():
    assert "tokens" not in _encoder().state_dict()
