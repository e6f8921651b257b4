import json
import sys

import numpy as np
import pytest
from themed_catalogs import themed_texts

from cobrarec.config import TextConfig
from cobrarec.errors import ArtifactError, MissingExtraError
from cobrarec.progress import Silent
from cobrarec.semantic_ids import engine_wordllama
from cobrarec.semantic_ids.engine_wordllama import WordllamaEngine

TEXTS = [*themed_texts(60), "", "   "]
ENGINE, VECTORS = WordllamaEngine.fit_encode(TEXTS, TextConfig(), Silent())


def test_rows_have_unit_length_and_empty_texts_are_zeros() -> None:
    assert VECTORS.shape == (62, 256) == (62, ENGINE.dim)
    assert np.linalg.norm(VECTORS[:60], axis=1) == pytest.approx(1, abs=1e-5)
    assert not VECTORS[60:].any()


def test_a_text_is_the_weighted_mean_of_its_token_vectors() -> None:
    text = "red lipstick, red gloss"
    ids = ENGINE.tokenizer.encode(text, add_special_tokens=False).ids
    mean = np.mean([ENGINE.sif.token_weights[token] * ENGINE.vectors[token] for token in ids], axis=0)
    rest = mean - sum((mean @ component) * component for component in ENGINE.sif.components)
    assert ENGINE.encode([text], Silent())[0] == pytest.approx(rest / np.linalg.norm(rest), abs=1e-5)


def test_frequencies_are_those_of_the_catalog() -> None:
    ids = [token for text in TEXTS if text.strip() for token in ENGINE.tokenizer.encode(text, add_special_tokens=False).ids]
    token = ids[0]
    assert ENGINE.sif.token_weights[token] == pytest.approx(1e-3 / (1e-3 + ids.count(token) / len(ids)))


def test_a_new_item_is_treated_like_those_of_the_catalog() -> None:
    assert ENGINE.encode(TEXTS, Silent()) == pytest.approx(VECTORS, abs=1e-6)
    alone = np.concatenate([ENGINE.encode([text], Silent()) for text in TEXTS])
    assert alone == pytest.approx(VECTORS, abs=1e-6)


def test_what_every_text_repeats_no_longer_makes_them_alike() -> None:
    texts = [f"brand new high quality product with free shipping and money back guarantee: {text}" for text in themed_texts(60)]
    different = np.arange(60)[:, None] % 4 != np.arange(60)[None] % 4

    def likeness(sif: bool) -> float:
        vectors = WordllamaEngine.fit_encode(texts, TextConfig(sif=sif), Silent())[1]
        return float((vectors @ vectors.T)[different].mean())

    assert abs(likeness(sif=True)) < likeness(sif=False) / 3


def test_the_wheel_is_never_imported() -> None:
    assert "wordllama" not in sys.modules


def test_saved_weights_come_back_and_other_vectors_are_refused(tmp_path) -> None:
    ENGINE.save(tmp_path)
    assert np.array_equal(WordllamaEngine.load(tmp_path).encode(TEXTS, Silent()), ENGINE.encode(TEXTS, Silent()))
    (tmp_path / "engine.json").write_text(json.dumps({"wordllama": "1", "sha256": "0"}))
    with pytest.raises(ArtifactError, match="pip install wordllama=="):
        WordllamaEngine.load(tmp_path)


def test_without_the_wheel_the_pip_line_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_wordllama.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="pip install wordllama=="):
        WordllamaEngine()


def test_no_texts_give_no_rows() -> None:
    assert ENGINE.encode([], Silent()).shape == (0, 256)
