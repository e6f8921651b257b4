import numpy as np
import pytest
from themed_catalogs import themed_histories, themed_texts

from cobrarec.config import SemanticIdsConfig, TextConfig
from cobrarec.data.interactions import Histories
from cobrarec.errors import ArtifactError
from cobrarec.semantic_ids.assigner import CodeAssigner, fit_semantic_ids, reconstruction_error
from cobrarec.semantic_ids.text_embeddings import TextEmbedder

NUM_ITEMS = 120
TRAIN = themed_histories(NUM_ITEMS, 300)
EMBEDDER, EMBEDDINGS = TextEmbedder.fit_encode(themed_texts(NUM_ITEMS), TextConfig(engines=("lsa",), lsa_dim=32))


def config(**settings: object) -> SemanticIdsConfig:
    small = {"hidden_dims": [16], "latent_dim": 8, "num_steps": 80, "restart_every": 20}
    return SemanticIdsConfig.model_validate({"codebook_size": 8, "collaborative_dim": 8, "rqvae": small, **settings})


@pytest.mark.parametrize("quantizer", ["residual-kmeans", "rqvae"])
@pytest.mark.parametrize("num_levels", [0, 1, 2, 3, 4])
def test_every_item_has_an_id_and_the_assigner_survives_the_disk(tmp_path, quantizer: str, num_levels: int) -> None:
    result = fit_semantic_ids(EMBEDDINGS, TRAIN, config(num_levels=num_levels, quantizer=quantizer), 0)
    assert result.semantic_ids.codes.shape == (NUM_ITEMS, num_levels)
    assert result.health_card.num_levels == num_levels
    assert result.health_card.lines()
    result.assigner.save(tmp_path)
    codes = CodeAssigner.load(tmp_path).encode(EMBEDDINGS)
    assert codes.shape == (NUM_ITEMS, num_levels)
    assert np.array_equal(codes, result.assigner.encode(EMBEDDINGS))


def test_ids_follow_the_themes() -> None:
    result = fit_semantic_ids(EMBEDDINGS, TRAIN, config(num_levels=1, codebook_size=4), 0)
    pairs = {(int(code), row % 4) for row, code in enumerate(result.semantic_ids.codes[:, 0])}
    assert len(pairs) == 4
    assert result.health_card.same_bucket_share == 1
    assert result.health_card.text_only_agreement == 1


def test_a_new_item_gets_the_code_of_its_theme() -> None:
    result = fit_semantic_ids(EMBEDDINGS, TRAIN, config(num_levels=1, codebook_size=4), 0)
    new = EMBEDDER.encode(["guitar amp chord", "rose perfume spray bottle"])
    assert result.assigner.encode(new)[:, 0].tolist() == [result.semantic_ids.codes[3, 0], result.semantic_ids.codes[2, 0]]


def test_the_codebook_shrinks_with_the_catalog() -> None:
    result = fit_semantic_ids(EMBEDDINGS, TRAIN, config(codebook_size=128), 0)
    assert result.semantic_ids.codebook_size == result.health_card.codebook_size == NUM_ITEMS // 8


@pytest.mark.parametrize("quantizer", ["residual-kmeans", "rqvae"])
def test_items_that_nothing_tells_apart_collapse(quantizer: str) -> None:
    result = fit_semantic_ids(np.zeros((NUM_ITEMS, 5), np.float32), Histories.from_lists([[0]]), config(quantizer=quantizer), 0)
    assert result.health_card.largest_bucket == NUM_ITEMS
    assert len(result.health_card.collapse_reasons) == 1


def test_a_set_without_texts_may_have_many_items_without_transitions() -> None:
    walks = Histories.from_lists([[(start + step) % 140 for step in range(9)] for start in range(140)])
    result = fit_semantic_ids(np.zeros((200, 5), np.float32), walks, config(codebook_size=16), 0)
    assert result.health_card.num_alike_items == 59
    assert result.health_card.largest_bucket >= 60
    assert result.health_card.collapse_reasons == ()


def test_a_catalog_of_few_different_texts_may_have_many_items_without_transitions() -> None:
    texts = np.eye(2, dtype=np.float32)[(np.arange(300) % 10 == 0).astype(int)]
    walks = Histories.from_lists([[(start + step) % 100 for step in range(9)] for start in range(100)])
    result = fit_semantic_ids(texts, walks, config(codebook_size=16), 0)
    assert result.health_card.num_alike_items == 198
    assert result.health_card.largest_bucket >= 180
    assert result.health_card.collapse_reasons == ()


def test_two_items_are_enough() -> None:
    result = fit_semantic_ids(EMBEDDINGS[:2], Histories.from_lists([[0, 1, 0]]), config(num_levels=3), 0)
    assert result.semantic_ids.num_ids == 2
    assert result.health_card.collapse_reasons == ()


def test_only_training_interactions_decide() -> None:
    held_out = Histories.from_lists([[*TRAIN.of(user).tolist(), 7, 9] for user in range(TRAIN.num_users)])
    prefix = Histories(held_out.user_ids, held_out.starts, held_out.ends - 2, held_out.rows)
    a, b = (fit_semantic_ids(EMBEDDINGS, train, config(num_levels=2), 0) for train in (TRAIN, prefix))
    assert np.array_equal(a.semantic_ids.codes, b.semantic_ids.codes)
    assert a.health_card == b.health_card


def test_reconstruction_error_is_relative_to_the_variance() -> None:
    x = np.array([[0.0], [2.0]], np.float32)
    assert reconstruction_error(x, x) == 0
    assert reconstruction_error(x, np.ones((2, 1), np.float32)) == 1
    assert reconstruction_error(x * 0, x * 0) == 0


def test_a_damaged_assigner_is_refused(tmp_path) -> None:
    fit_semantic_ids(EMBEDDINGS, TRAIN, config(), 0).assigner.save(tmp_path)
    path = tmp_path / "code_assigner.safetensors"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ArtifactError, match="damaged or missing"):
        CodeAssigner.load(tmp_path)
    with pytest.raises(ArtifactError, match="damaged or missing"):
        CodeAssigner.load(tmp_path / "nowhere")
