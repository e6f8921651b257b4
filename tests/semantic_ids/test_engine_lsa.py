import numpy as np
import pytest
from themed_catalogs import themed_texts

from cobrarec.config import TextConfig
from cobrarec.errors import ArtifactError
from cobrarec.progress import Silent
from cobrarec.semantic_ids.engine_lsa import LsaEngine


def fit(texts: list[str], dim: int = 256) -> tuple[LsaEngine, np.ndarray]:
    return LsaEngine.fit_encode(texts, TextConfig(lsa_dim=dim), Silent())


@pytest.mark.parametrize("num_texts", [1, 2, 3, 10, 299, 300, 400])
def test_any_number_of_texts_gives_unit_rows(num_texts: int) -> None:
    engine, vectors = fit(themed_texts(num_texts), dim=16)
    assert vectors.shape == (num_texts, engine.dim)
    assert engine.dim <= 16
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-4)


def test_empty_and_unknown_texts_are_zeros() -> None:
    engine, vectors = fit([*themed_texts(20), "", "  "])
    assert not vectors[20:].any()
    assert not engine.encode(["zzzz", ""], Silent()).any()
    assert engine.encode([], Silent()).shape == (0, engine.dim)


def test_texts_that_are_all_empty_give_zeros() -> None:
    engine, vectors = fit(["", " "])
    assert vectors.shape == (2, 1)
    assert not vectors.any()
    assert not engine.encode(["word"], Silent()).any()


def test_themes_are_told_apart() -> None:
    _, vectors = fit(themed_texts(80), dim=8)
    similarity = vectors @ vectors.T
    same = np.arange(80)[:, None] % 4 == np.arange(80)[None] % 4
    assert similarity[same].mean() > similarity[~same].mean() + 0.4


@pytest.mark.parametrize(
    ("first", "near", "far"),
    [
        ("保湿洗面奶温和清洁", "保湿洗面奶", "电吉他琴弦"),
        ("しっとり洗顔フォーム", "洗顔フォーム", "ギターの弦"),
        ("สบู่ล้างหน้า", "ล้างหน้า", "กีตาร์ไฟฟ้า"),
        ("साबुन चेहरे के लिए", "चेहरे साबुन", "गिटार तार"),
        ("мыло для лица", "мыло лица", "струны гитары"),
    ],
)
def test_texts_of_any_language_are_compared_by_what_they_share(first: str, near: str, far: str) -> None:
    _, vectors = fit([first, near, far])
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.1


def test_a_new_item_is_treated_like_those_of_the_catalog() -> None:
    engine, vectors = fit(themed_texts(50), dim=8)
    assert engine.encode(themed_texts(50), Silent()) == pytest.approx(vectors, abs=1e-6)
    assert engine.encode(themed_texts(50)[7:8], Silent())[0] == pytest.approx(vectors[7], abs=1e-6)


def test_saved_state_comes_back_without_pickle(tmp_path) -> None:
    engine, _ = fit([*themed_texts(50), "größe 保湿"], dim=8)
    engine.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["components.npy", "idf.npy", "vocabulary.json"]
    new = ["rose perfume", "größe 保", "7"]
    assert np.array_equal(LsaEngine.load(tmp_path).encode(new, Silent()), engine.encode(new, Silent()))


def test_files_that_do_not_fit_together_are_refused(tmp_path) -> None:
    fit(themed_texts(50))[0].save(tmp_path)
    np.save(tmp_path / "idf.npy", np.zeros(3, np.float32))
    with pytest.raises(ArtifactError, match="different sizes"):
        LsaEngine.load(tmp_path)
