import numpy as np
import pytest
import torch
from small_models import WORDS, embeddings, small_model, token_table

from cobrarec.model.cold_start import ColdStart


def _linear_model(**settings):
    """A model whose id embeddings and biases are linear in the text embedding."""
    model, generator = small_model(1, **settings), np.random.default_rng(4)
    maps = {
        name: torch.from_numpy(generator.standard_normal((12, n)).astype(np.float32))
        for name, n in (("id", 16), ("dense", 1), ("direct", 1))
    }
    texts = torch.from_numpy(embeddings())
    with torch.no_grad():
        if model.item_encoder.id_embedding is not None:
            model.item_encoder.id_embedding.weight.copy_(texts @ maps["id"])
        model.dense_bias.copy_((texts @ maps["dense"]).squeeze(1) + 0.5)
        model.direct_bias.copy_((texts @ maps["direct"]).squeeze(1))
    return model


@pytest.mark.parametrize("settings", [{}, {"item": WORDS}, {"item": {"id_embedding": False}}])
def test_what_is_linear_in_the_text_is_found_for_cold_and_new_items(settings):
    model, warm = _linear_model(**settings), np.arange(40) < 30
    truth = model.item_vectors()
    with torch.no_grad():  # what training made of items that no one has taken is not to be trusted
        if model.item_encoder.id_embedding is not None:
            model.item_encoder.id_embedding.weight[30:] = 100.0
        model.dense_bias[30:] = -50.0
        model.direct_bias[30:] = -50.0
    start = ColdStart.fit(model, embeddings(), warm)
    tokens = token_table().ids[30:] if "kind" in settings.get("item", {}) else None
    found = start.item_vectors(model, embeddings(), warm)
    new = start.new_items(model, embeddings()[30:], tokens)
    for name, expected in truth.arrays().items():
        assert torch.equal(found.arrays()[name][:30], expected[:30])
        assert torch.allclose(found.arrays()[name], expected, atol=0.05)
        assert torch.allclose(new.arrays()[name], found.arrays()[name][30:], atol=1e-5)


@pytest.mark.parametrize("settings", [{}, {"item": {"id_embedding": False}}])
def test_written_into_the_model_the_stand_ins_are_its_own(settings):
    model, warm = _linear_model(**settings), np.arange(40) % 4 > 0
    start = ColdStart.fit(model, embeddings(), warm)
    found = start.item_vectors(model, embeddings(), warm)
    start.write_into(model, embeddings(), warm)
    for name, values in model.item_vectors().arrays().items():
        assert torch.allclose(values, found.arrays()[name], atol=1e-6)


def test_without_cold_items_nothing_changes():
    model = small_model(1)
    found = ColdStart.fit(model, embeddings(), np.ones(40, bool)).item_vectors(model, embeddings(), np.ones(40, bool))
    assert all(torch.equal(a, model.item_vectors().arrays()[name]) for name, a in found.arrays().items())


@pytest.mark.parametrize("num_warm", [0, 1, 2])
def test_hardly_any_warm_item_gives_finite_vectors(num_warm):
    model, warm = small_model(1), np.arange(40) < num_warm
    found = ColdStart.fit(model, embeddings(), warm).item_vectors(model, embeddings(), warm)
    assert all(torch.isfinite(a).all() for a in found.arrays().values())


def test_arrays_hold_everything():
    model, warm = small_model(1), np.arange(40) < 30
    start = ColdStart.fit(model, embeddings(), warm)
    again = ColdStart.from_arrays(start.arrays())
    for name, a in start.new_items(model, embeddings()[:3]).arrays().items():
        assert torch.equal(a, again.new_items(model, embeddings()[:3]).arrays()[name])
    assert start.new_items(model, embeddings()[:0]).vectors.shape == (0, 16)
