"""Any Hugging Face encoder by folder or name; pooling and projections are read from its own files.

`modules.json` and `1_Pooling/config.json` (the format of sentence-transformers) say how token states become one vector; an encoder without
them, T5 included, is mean-pooled. Encoder-decoder models run their encoder alone. Weights are read from safetensors only, never unpickled.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cobrarec.config import TextConfig
from cobrarec.errors import ArtifactError, ConfigError, MissingExtraError
from cobrarec.progress import Progress
from cobrarec.semantic_ids.encoder_pooling import Pooling
from cobrarec.semantic_ids.sif import Sif, token_weights

TEXTS_PER_BATCH = 64
DOWNLOADED = ["*.json", "*.txt", "*.model", "*.safetensors"]
Tokens = list[list[int]]


class HuggingFaceEngine:
    """A frozen encoder; with `sif`, mean pooling is weighted by word rarity and the common components are removed."""

    def __init__(self, name: str, max_tokens: int, sif: Sif | None = None) -> None:
        """Find the encoder.

        Args:
            name: a folder, or a name on the Hugging Face hub (taken from the local cache, downloaded where it is not there).
            max_tokens: tokens of a text that are read, special ones included; fewer where the encoder can read no more.
            sif: fitted weights; None pools plainly.

        Raises:
            ConfigError: no such folder or name, or its pooling is of an unknown kind.
            MissingExtraError: `transformers` is not installed.
        """
        self.transformers = _transformers()
        self.name = name
        self.folder = find_folder(name)
        self.pooling = Pooling.of(self.folder)
        self.tokenizer = self.transformers.AutoTokenizer.from_pretrained(str(self.folder), local_files_only=True)
        self.config = self.transformers.AutoConfig.from_pretrained(str(self.folder), local_files_only=True)
        num_positions = getattr(self.config.get_text_config(), "max_position_embeddings", max_tokens)
        self.max_tokens = min(max_tokens, self.tokenizer.model_max_length, num_positions)
        vocabulary_size = max(len(self.tokenizer), self.config.get_text_config().vocab_size)
        self.sif = sif or Sif.off(vocabulary_size, self.dim)
        self.device = "cpu"  # as torch names it
        self._model: Any = None

    @property
    def dim(self) -> int:
        """Width of the embeddings: the encoder's, or that of its last projection."""
        return self.pooling.dim or int(self.config.get_text_config().hidden_size)

    @property
    def fingerprint(self) -> str:
        """sha256 of the encoder's weights, tokenizer and pooling files."""
        digest = hashlib.sha256()
        for path in sorted(p for p in self.folder.rglob("*") if p.suffix in (".safetensors", ".json", ".txt", ".model")):
            digest.update(path.relative_to(self.folder).as_posix().encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    @classmethod
    def fit_encode(
        cls, name: str, texts: Sequence[str], config: TextConfig, progress: Progress, device: str = "cpu"
    ) -> tuple["HuggingFaceEngine", npt.NDArray[np.float32]]:
        """Fit the SIF weights on the catalog's texts; returns the engine and the unit-length embeddings `[num_texts, dim]`."""
        engine = cls(name, config.hf_max_tokens)
        engine.device = device
        tokens, inverse = engine._tokenize(texts)
        if config.sif and tokens:
            occurrences = np.repeat(np.arange(len(tokens)), [len(t) for t in tokens])
            times = np.bincount(inverse[inverse >= 0], minlength=len(tokens))[occurrences]
            counts = np.bincount(np.concatenate(tokens), weights=times, minlength=len(engine.sif.token_weights))
            engine.sif = Sif(token_weights(counts.astype(np.int64)), engine.sif.components)
        vectors = _scatter(engine._pool(tokens, progress), inverse)
        if config.sif:
            engine.sif = engine.sif.with_components_of(vectors)
        return engine, engine.sif.finish(vectors)

    def encode(self, texts: Sequence[str], progress: Progress) -> npt.NDArray[np.float32]:
        """Unit-length embeddings `[num_texts, dim]`; zeros for an empty text. Each distinct text is encoded once."""
        tokens, inverse = self._tokenize(texts)
        return self.sif.finish(_scatter(self._pool(tokens, progress), inverse))

    def save(self, folder: Path) -> None:
        """Write the fitted weights, where the encoder was found and its fingerprint; the encoder itself is not copied."""
        self.sif.save(folder)
        description = {"name": self.name, "max_tokens": self.max_tokens, "sha256": self.fingerprint}
        (folder / "engine.json").write_text(json.dumps(description), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "HuggingFaceEngine":
        """Read what `save` wrote.

        Raises:
            ArtifactError: a file is damaged, or the encoder is another one than that which was fitted.
            ConfigError: the encoder is no longer where it was.
        """
        description = json.loads((folder / "engine.json").read_text(encoding="utf-8"))
        engine = cls(description["name"], description["max_tokens"], Sif.load(folder))
        if engine.fingerprint != description["sha256"]:
            raise ArtifactError(f"The encoder `{engine.name}` has changed since {folder} was fitted with it. Restore it or fit again.")
        return engine

    def _tokenize(self, texts: Sequence[str]) -> tuple[Tokens, npt.NDArray[np.int64]]:
        """Token ids of each distinct text that is not empty, and for every text its place among them (-1: empty)."""
        places: dict[str, int] = {}
        inverse = np.array([places.setdefault(text, len(places)) if text.strip() else -1 for text in texts], np.int64)
        if not places:
            return [], inverse
        encoded = self.tokenizer(list(places), truncation=True, max_length=self.max_tokens, padding=False, verbose=False)
        return list(encoded["input_ids"]), inverse

    def _pool(self, tokens: Tokens, progress: Progress) -> npt.NDArray[np.float32]:
        """One pooled vector per tokenized text, `[len(tokens), dim]`; texts of similar length go through together."""
        import torch

        vectors = np.zeros((len(tokens), self.dim), np.float32)
        order = np.argsort([-len(t) for t in tokens], kind="stable")
        weights = torch.from_numpy(self.sif.token_weights).to(self.device)
        pad = self.tokenizer.pad_token_id or 0
        with torch.inference_mode():
            for start in progress.track(range(0, len(tokens), TEXTS_PER_BATCH), f"text embeddings ({self.name})"):
                places = order[start : start + TEXTS_PER_BATCH]
                width = max(len(tokens[place]) for place in places)
                ids = torch.tensor([tokens[place] + [pad] * (width - len(tokens[place])) for place in places]).to(self.device)
                mask = torch.tensor([[1] * len(tokens[place]) + [0] * (width - len(tokens[place])) for place in places]).to(self.device)
                states = self._encoder()(input_ids=ids, attention_mask=mask).last_hidden_state.float()
                vectors[places] = self.pooling.apply(states, mask, weights[ids]).cpu().numpy()
        return vectors

    def _encoder(self) -> Any:
        if self._model is None:
            kind = self.transformers.AutoModelForTextEncoding if self.config.is_encoder_decoder else self.transformers.AutoModel
            self._model = kind.from_pretrained(str(self.folder), local_files_only=True, use_safetensors=True, dtype="float32").eval()
            self._model.to(self.device)
        return self._model


def find_folder(name: str) -> Path:
    """The folder that holds the encoder `name`: itself, or its snapshot in the hub's cache, downloaded where it is not there.

    Raises:
        ConfigError: there is no such folder, no such name, or no network to ask for it; or its weights are not safetensors.
    """
    folder = Path(name).expanduser()
    if not folder.is_dir():
        if name.startswith((".", "~", "/")) or name.count("/") > 1 or os.sep == "\\" and "\\" in name:
            raise ConfigError(f"No folder {folder} with an encoder. Give `hf:` a folder that holds config.json and model.safetensors.")
        folder = _snapshot(name)
    if not (folder / "config.json").exists() or not any(folder.glob("*.safetensors")):
        raise ConfigError(f"{folder} lacks config.json or *.safetensors. Save the encoder there with `save_pretrained`.")
    return folder


def _snapshot(name: str) -> Path:
    _transformers()  # the hub's client comes with it
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, local_files_only=True, allow_patterns=DOWNLOADED))
    except Exception:  # noqa: BLE001 - whatever the reason, it is not in the cache
        try:
            return Path(snapshot_download(name, allow_patterns=DOWNLOADED))
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            message = f"The encoder `{name}` is neither a folder nor reachable on the hub ({reason}). Give `hf:` a folder."
            raise ConfigError(message) from None


def _transformers() -> Any:
    try:
        import transformers
    except ImportError:
        raise MissingExtraError("Text engines `hf:...` need transformers, which is not installed. pip install 'cobrarec[hf]'") from None
    return transformers


def _scatter(vectors: npt.NDArray[np.float32], inverse: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """Row `inverse[i]` of `vectors` for each text i; zeros where it is -1."""
    result = np.zeros((len(inverse), vectors.shape[1]), np.float32)
    result[inverse >= 0] = vectors[inverse[inverse >= 0]]
    return result
