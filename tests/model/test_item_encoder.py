import numpy as np
import pytest
import torch
from small_models import TEXT_DIM, embeddings

from cobrarec.config import ItemConfig
from cobrarec.model.item_encoder import IdEncoder, ItemEncoder, ProjectionEncoder


def test_the_vector_is_the_norm_of_projection_and_id_embedding():
    texts = embeddings() * 3 + 5
    encoder = ProjectionEncoder(ItemConfig(), 8, texts)
    rows = torch.tensor([3, 0, 3])
    standardized = torch.from_numpy((texts - texts.mean(0)) / texts.std(0))
    plain = standardized[rows] @ encoder.linear.weight.t() + encoder.linear.bias + encoder.id_embedding.weight[rows]
    assert torch.allclose(encoder(rows), torch.nn.functional.layer_norm(plain, (8,)), atol=1e-5)
    assert torch.allclose(encoder(rows), encoder.encode_all()[rows], atol=1e-6)
    assert abs(float(encoder.id_embedding.weight.detach().std()) - 0.1) < 0.02


def test_without_id_embedding_only_the_text_counts():
    texts = embeddings()
    texts[1] = texts[0]
    encoder = ProjectionEncoder(ItemConfig(id_embedding=False), 8, texts)
    assert encoder.id_embedding is None
    assert torch.equal(*encoder(torch.tensor([0, 1])))


def test_an_item_outside_the_catalog_is_encoded_as_the_same_item_inside():
    texts = embeddings()
    encoder = ProjectionEncoder(ItemConfig(), 8, texts)
    rows = torch.tensor([4, 2])
    ids = encoder.id_embedding.weight[rows]
    new = encoder.encode_new(torch.from_numpy(texts[rows.numpy()]), ids)
    assert torch.allclose(new, encoder(rows), atol=1e-6)
    assert torch.allclose(encoder.encode_with(rows, ids), encoder(rows), atol=1e-6)
    assert torch.allclose(encoder.encode_with(rows, None), encoder.encode_new(torch.from_numpy(texts[rows.numpy()]), None), atol=1e-6)


def test_columns_that_say_nothing_and_empty_texts_stay_finite():
    texts = embeddings()
    texts[5] = 0.0
    assert torch.isfinite(ProjectionEncoder(ItemConfig(), 8, texts).encode_all()).all()
    texts[:, 0] = 7.0
    encoder = ProjectionEncoder(ItemConfig(), 8, texts)
    assert torch.isfinite(encoder.encode_all()).all()
    other = texts[:2].copy()
    other[1] = other[0]
    other[1, 0] = 100.0
    assert torch.equal(*encoder.encode_new(torch.from_numpy(other), None))


def test_the_embeddings_are_not_saved_with_the_weights():
    encoder = ProjectionEncoder(ItemConfig(), 8, embeddings())
    assert set(encoder.state_dict()) == {
        "linear.weight", "linear.bias", "norm.weight", "norm.bias", "id_embedding.weight", "mean", "inverse_deviation",
    }  # fmt: skip
    assert encoder.get_buffer("mean").shape == (TEXT_DIM,)


def test_the_callers_array_is_left_alone():
    texts = embeddings()
    ProjectionEncoder(ItemConfig(), 8, texts)
    assert np.array_equal(texts, embeddings())


def test_an_encoder_of_ids_reads_no_attributes():
    encoder, rows = IdEncoder(ItemConfig(kind="id"), 8, 6), torch.tensor([4, 2])
    ids = encoder.id_embedding.weight
    assert torch.allclose(encoder.encode_all(), torch.nn.functional.layer_norm(ids, (8,)), atol=1e-6)
    assert torch.equal(encoder(rows), encoder.encode_all()[rows])
    assert torch.equal(encoder.encode_new(torch.zeros(2, 3), ids[rows]), encoder(rows))


def test_the_base_class_says_nothing_of_content():
    with pytest.raises(NotImplementedError):
        ItemEncoder(ItemConfig(), 8, 3)(torch.tensor([0]))
    with pytest.raises(NotImplementedError):
        ItemEncoder(ItemConfig(), 8, 3).encode_new(torch.zeros(1, 2), None)
