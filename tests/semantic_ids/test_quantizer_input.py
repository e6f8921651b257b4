import numpy as np
import pytest
from themed_catalogs import themed_histories, themed_texts

from cobrarec.config import SemanticIdsConfig, TextConfig
from cobrarec.data.interactions import Histories
from cobrarec.semantic_ids.quantizer_input import QuantizerInput
from cobrarec.semantic_ids.text_embeddings import TextEmbedder

CONFIG = SemanticIdsConfig(collaborative_dim=8)


def embeddings(num_items: int = 40) -> np.ndarray:
    return TextEmbedder.fit_encode(themed_texts(num_items), TextConfig(engines=("lsa",)))[1]


def test_both_parts_have_unit_length() -> None:
    _, rows, text_only, warm = QuantizerInput.fit(embeddings(), themed_histories(40, 100), CONFIG, 0)
    assert warm.all()
    for given in (rows, text_only):
        assert np.linalg.norm(given[:, :8], axis=1) == pytest.approx(1, abs=1e-4)
        assert np.linalg.norm(given[:, 8:], axis=1) == pytest.approx(1, abs=1e-4)


def test_items_without_training_interactions_are_treated_like_new_ones() -> None:
    everyone = themed_histories(40, 100)
    train = Histories.from_lists([[row for row in everyone.of(user).tolist() if row % 10] for user in range(100)])
    x = embeddings()
    inputs, rows, _, warm = QuantizerInput.fit(x, train, CONFIG, 0)
    assert np.flatnonzero(~warm).tolist() == [0, 10, 20, 30]
    assert np.array_equal(rows[~warm], inputs.text_only(x)[~warm])


def test_the_text_tells_what_is_bought_together() -> None:
    x = embeddings()
    inputs, rows, text_only, _ = QuantizerInput.fit(x, themed_histories(40, 400), CONFIG, 0)
    for told in (text_only, inputs.text_only(x)):
        assert (rows[:, :8] * told[:, :8]).sum(axis=1).mean() > 0.5


def test_text_that_tells_nothing_is_not_helped_by_what_the_item_itself_was_bought_with() -> None:
    x = np.random.default_rng(0).normal(size=(40, 30)).astype(np.float32)
    _, rows, text_only, _ = QuantizerInput.fit(x, themed_histories(40, 400), CONFIG, 0)
    apart = rows[:, :8] - rows[:, :8].mean(axis=0)
    assert (apart * text_only[:, :8]).sum(axis=1).mean() < 0.02


def test_text_alone_is_the_unit_length_embedding() -> None:
    x = embeddings()
    inputs, rows, text_only, warm = QuantizerInput.fit(x, Histories.from_lists([[0, 1]]), SemanticIdsConfig(signal="text"), 0)
    assert warm.all()
    assert np.array_equal(rows, text_only)
    assert np.array_equal(rows, inputs.text_only(x))
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1, abs=1e-4)


def test_an_empty_text_is_zeros_and_not_minus_the_mean() -> None:
    x = embeddings()
    x[3] = 0
    inputs, rows, _, _ = QuantizerInput.fit(x, themed_histories(40, 100), CONFIG, 0)
    assert not rows[3, 8:].any()
    assert not inputs.text_only(x[3:4])[0, 8:].any()


def test_no_interactions_at_all_leave_the_text() -> None:
    _, rows, _, warm = QuantizerInput.fit(embeddings(), Histories.from_lists([[0]]), CONFIG, 0)
    assert not warm.any()
    assert np.isfinite(rows).all()
    assert len(np.unique(rows, axis=0)) > 10


@pytest.mark.parametrize("signal", ["text", "text+collaborative"])
def test_arrays_are_the_whole_state(signal: str) -> None:
    x = embeddings()
    inputs = QuantizerInput.fit(x, themed_histories(40, 100), SemanticIdsConfig.model_validate({"signal": signal}), 0)[0]
    assert np.array_equal(QuantizerInput.from_arrays(inputs.arrays()).text_only(x), inputs.text_only(x))
