import numpy as np
import pytest
from themed_catalogs import themed_texts

from cobrarec.config import TextConfig
from cobrarec.errors import ArtifactError, ConfigError, MissingExtraError
from cobrarec.semantic_ids.engine_lsa import LsaEngine
from cobrarec.semantic_ids.text_embeddings import TextEmbedder, cached_embeddings

TEXTS = [*themed_texts(30), ""]
CONFIG = TextConfig(lsa_dim=8)


def test_engines_are_joined_with_their_weights_and_empty_texts_are_zeros() -> None:
    embedder, embeddings = TextEmbedder.fit_encode(TEXTS, CONFIG)
    assert embeddings.shape == (31, 264) == (31, embedder.dim)
    assert embeddings.dtype == np.float32
    assert np.linalg.norm(embeddings[:30, :256], axis=1) == pytest.approx(1, abs=1e-4)
    assert np.linalg.norm(embeddings[:30, 256:], axis=1) == pytest.approx(0.8, abs=1e-4)
    assert not embeddings[30].any()


def test_lsa_alone_has_weight_one() -> None:
    embeddings = TextEmbedder.fit_encode(TEXTS, TextConfig(engines=("lsa",)))[1]
    assert np.linalg.norm(embeddings[:30], axis=1) == pytest.approx(1, abs=1e-4)


def test_fit_and_encode_give_what_fit_encode_gives() -> None:
    embeddings = TextEmbedder.fit_encode(TEXTS, CONFIG)[1]
    assert TextEmbedder.fit(TEXTS, CONFIG).encode(TEXTS) == pytest.approx(embeddings, abs=1e-5)


def test_a_saved_embedder_treats_new_texts_the_same(tmp_path) -> None:
    embedder = TextEmbedder.fit(TEXTS, CONFIG)
    embedder.save(tmp_path)
    new = ["red lipstick", "", "nothing known 42"]
    assert np.array_equal(TextEmbedder.load(tmp_path).encode(new), embedder.encode(new))


@pytest.mark.parametrize("damage", ["gone", "cut", "format", "missing file"])
def test_a_damaged_embedder_is_refused(tmp_path, damage: str) -> None:
    TextEmbedder.fit(TEXTS, CONFIG).save(tmp_path)
    path = tmp_path / "embedder.json"
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_text(path.read_text()[:30])
    elif damage == "format":
        path.write_text(path.read_text().replace('"format": 1', '"format": 9'))
    else:
        (tmp_path / "engine-1" / "idf.npy").unlink()
    with pytest.raises(ArtifactError):
        TextEmbedder.load(tmp_path)


@pytest.mark.parametrize("name", ["word2vec", "hf:"])
def test_an_unknown_engine_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="Unknown text engine"):
        TextEmbedder.fit(TEXTS, TextConfig(engines=(name,)))


def test_an_encoder_that_is_not_there_is_named() -> None:
    with pytest.raises((ConfigError, MissingExtraError), match="No folder|transformers"):
        TextEmbedder.fit(TEXTS, TextConfig(engines=("hf:/nowhere/encoder",)))


def count_fits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    fits: list[int] = []
    original = LsaEngine.fit_encode.__func__  # type: ignore[attr-defined]

    def counted(cls: type, *args: object) -> object:
        fits.append(1)
        return original(cls, *args)

    monkeypatch.setattr(LsaEngine, "fit_encode", classmethod(counted))
    return fits


def test_the_same_texts_are_embedded_once(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = count_fits(monkeypatch)
    config = TextConfig(engines=("lsa",), lsa_dim=8)
    first = cached_embeddings(TEXTS, config, tmp_path / "cache")
    second = cached_embeddings(TEXTS, config, tmp_path / "cache")
    assert len(fits) == 1
    assert np.array_equal(first[1], second[1])
    assert np.array_equal(first[0].encode(["rose"]), second[0].encode(["rose"]))


def test_runs_share_a_cache_and_keep_their_own(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = count_fits(monkeypatch)
    config, shared = TextConfig(engines=("lsa",), lsa_dim=8), tmp_path / "shared"
    first = cached_embeddings(TEXTS, config, tmp_path / "first", shared=shared)[1]
    second = cached_embeddings(TEXTS, config, tmp_path / "second", shared=shared)[1]
    (entry,) = shared.iterdir()
    (entry / "embeddings.npy").write_bytes(b"damaged")
    assert np.array_equal(cached_embeddings(TEXTS, config, tmp_path / "second")[1], first)
    third = cached_embeddings(TEXTS, config, tmp_path / "first", shared=shared)[1]
    assert len(fits) == 1
    assert np.array_equal(first, second)
    assert np.array_equal(first, third)
    assert np.array_equal(np.load(entry / "embeddings.npy"), first)


def test_other_texts_another_order_and_other_settings_are_embedded_anew(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    fits = count_fits(monkeypatch)
    config = TextConfig(engines=("lsa",), lsa_dim=8)
    for texts, settings in [
        (TEXTS, config),
        (TEXTS[::-1], config),
        ([*TEXTS[:-2], TEXTS[-2] + "x", ""], config),
        (TEXTS, TextConfig(engines=("lsa",), lsa_dim=4)),
    ]:
        cached_embeddings(texts, settings, tmp_path)
    assert len(fits) == 4


@pytest.mark.parametrize("name", ["embeddings.npy", "embedder.json"])
def test_a_damaged_entry_is_made_anew(tmp_path, name: str) -> None:
    first = cached_embeddings(TEXTS, CONFIG, tmp_path)[1]
    (entry,) = tmp_path.iterdir()
    (entry / name).write_bytes((entry / name).read_bytes()[:50])
    assert np.array_equal(cached_embeddings(TEXTS, CONFIG, tmp_path)[1], first)
    assert [path.name for path in tmp_path.iterdir()] == [entry.name]
    assert len(np.load(entry / "embeddings.npy")) == len(TEXTS)
