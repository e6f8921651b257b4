"""Frozen text embeddings: engines behind one interface, joined, saved without pickle and cached by content."""

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from cobrarec.config import TextConfig
from cobrarec.errors import ArtifactError, ConfigError
from cobrarec.progress import Progress, Silent
from cobrarec.semantic_ids import engine_lsa
from cobrarec.semantic_ids.engine_huggingface import HuggingFaceEngine
from cobrarec.semantic_ids.engine_lsa import LsaEngine
from cobrarec.semantic_ids.engine_wordllama import WordllamaEngine

FORMAT = 1


@runtime_checkable
class TextEngine(Protocol):
    """What turns texts into unit-length rows (zeros for a text that says nothing)."""

    @property
    def dim(self) -> int:
        """Width of the embeddings."""
        ...

    def encode(self, texts: Sequence[str], progress: Progress) -> npt.NDArray[np.float32]:
        """Embeddings `[num_texts, dim]`."""
        ...

    def save(self, folder: Path) -> None:
        """Write the fitted state into an existing, empty folder."""
        ...


class TextEmbedder:
    """The configured engines, joined: row = [first engine : weight x second engine : ...], each block of unit length."""

    def __init__(self, config: TextConfig, engines: Sequence[TextEngine]) -> None:
        """Join fitted `engines`, in the order of `config.engines`."""
        self.config = config
        self.engines = tuple(engines)

    @property
    def dim(self) -> int:
        """Width of the joined embeddings."""
        return sum(engine.dim for engine in self.engines)

    @classmethod
    def fit(cls, texts: Sequence[str], config: TextConfig, progress: Progress | None = None) -> "TextEmbedder":
        """Fit what the engines learn from the catalog's texts (word frequencies, components)."""
        return cls.fit_encode(texts, config, progress)[0]

    @classmethod
    def fit_encode(
        cls, texts: Sequence[str], config: TextConfig, progress: Progress | None = None, device: str = "cpu"
    ) -> tuple["TextEmbedder", npt.NDArray[np.float32]]:
        """Fit, and return the embeddings `[num_texts, dim]` of the same texts too: one pass through the encoder.

        Raises:
            ConfigError: an unknown engine, or an encoder that is not there.
            MissingExtraError: the engine's library is not installed.
        """
        fitted = [_fit_engine(name, texts, config, progress or Silent(), device) for name in config.engines]
        embedder = cls(config, [engine for engine, _ in fitted])
        return embedder, embedder._join([block for _, block in fitted])

    def encode(self, texts: Sequence[str], progress: Progress | None = None) -> npt.NDArray[np.float32]:
        """Embeddings `[num_texts, dim]`; a row of zeros for an empty text."""
        return self._join([engine.encode(texts, progress or Silent()) for engine in self.engines])

    def save(self, folder: Path) -> None:
        """Write the fitted state: JSON and `.npy` files, one folder per engine. Pretrained weights are not copied, their sha256 is kept."""
        folder.mkdir(parents=True, exist_ok=True)
        description = {"format": FORMAT, "config": self.config.model_dump(mode="json"), "dim": self.dim}
        (folder / "embedder.json").write_text(json.dumps(description, indent=1), encoding="utf-8")
        for number, engine in enumerate(self.engines):
            (folder / f"engine-{number}").mkdir(exist_ok=True)
            engine.save(folder / f"engine-{number}")

    @classmethod
    def load(cls, folder: Path) -> "TextEmbedder":
        """Read what `save` wrote.

        Raises:
            ArtifactError: a file is missing, damaged or of another version, or the pretrained weights have changed.
        """
        try:
            description = json.loads((folder / "embedder.json").read_text(encoding="utf-8"))
            if description["format"] != FORMAT:
                raise ArtifactError(f"{folder} holds text embeddings of format {description['format']}, expected {FORMAT}.")
            config = TextConfig.model_validate(description["config"])
            names = enumerate(config.engines)
            return cls(config, [_engine_class(name).load(folder / f"engine-{number}") for number, name in names])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"The text embedder in {folder} is damaged: {' '.join(str(error).split())}") from None

    def _join(self, blocks: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        weights = [self.config.lsa_weight if name == "lsa" and place else 1.0 for place, name in enumerate(self.config.engines)]
        return np.concatenate([np.float32(weight) * block for weight, block in zip(weights, blocks, strict=True)], axis=1)


def cached_embeddings(
    texts: Sequence[str],
    config: TextConfig,
    cache_folder: Path,
    progress: Progress | None = None,
    shared: Path | None = None,
    device: str = "cpu",
) -> tuple[TextEmbedder, npt.NDArray[np.float32]]:
    """The fitted embedder and the embeddings `[num_texts, dim]`, from a cache where the same texts were embedded before.

    The key is a hash of the texts, the settings and the engines' weights. A damaged entry is made anew.

    Args:
        texts: one a catalog row.
        config: the engines.
        cache_folder: where they lie afterwards in any case.
        progress: told how far an engine is.
        shared: a further cache, which other runs look into too.
        device: where an encoder computes, as torch names it.
    """
    key = _content_key(texts, config)
    folders = [cache_folder, *([] if shared is None else [shared])]
    entries = [_read_entry(folder / key, len(texts)) for folder in folders]
    found = next((entry for entry in entries if entry is not None), None)
    embedder, embeddings = TextEmbedder.fit_encode(texts, config, progress, device) if found is None else found
    for folder, entry in zip(folders, entries, strict=True):
        if entry is None:
            _write_entry(folder / key, embedder, embeddings)
    return embedder, embeddings


def _read_entry(entry: Path, num_texts: int) -> tuple[TextEmbedder, npt.NDArray[np.float32]] | None:
    """What a cache holds; None where it is not there or damaged."""
    try:
        embedder, embeddings = TextEmbedder.load(entry), np.load(entry / "embeddings.npy", allow_pickle=False)
    except (ArtifactError, OSError, ValueError, EOFError):
        return None
    return (embedder, embeddings) if embeddings.shape == (num_texts, embedder.dim) and embeddings.dtype == np.float32 else None


def _write_entry(entry: Path, embedder: TextEmbedder, embeddings: npt.NDArray[np.float32]) -> None:
    """Beside and then renamed, because other runs may write the same."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=".new-", dir=entry.parent))
    try:
        embedder.save(beside)
        np.save(beside / "embeddings.npy", embeddings)
        shutil.rmtree(entry, ignore_errors=True)
        with contextlib.suppress(OSError):  # another run was faster
            beside.rename(entry)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _engine_class(name: str) -> type[WordllamaEngine] | type[LsaEngine] | type[HuggingFaceEngine]:
    if name == "wordllama":
        return WordllamaEngine
    if name == "lsa":
        return LsaEngine
    if name.startswith("hf:") and len(name) > 3:
        return HuggingFaceEngine
    raise ConfigError(f"Unknown text engine `{name}`; `text.engines` takes `wordllama`, `lsa` and `hf:NAME-OR-FOLDER`.")


def _fit_engine(
    name: str, texts: Sequence[str], config: TextConfig, progress: Progress, device: str
) -> tuple[TextEngine, npt.NDArray[np.float32]]:
    kind = _engine_class(name)
    if kind is HuggingFaceEngine:
        return HuggingFaceEngine.fit_encode(name.removeprefix("hf:"), texts, config, progress, device)
    return (WordllamaEngine if kind is WordllamaEngine else LsaEngine).fit_encode(texts, config, progress)


def _content_key(texts: Sequence[str], config: TextConfig) -> str:
    digest = hashlib.sha256(f"{FORMAT}{config.model_dump_json()}".encode())
    for name in config.engines:
        digest.update(_fingerprint(name, config).encode())
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:32]


def _fingerprint(name: str, config: TextConfig) -> str:
    """Changes whenever the engine would give the same texts other embeddings."""
    kind = _engine_class(name)
    if kind is HuggingFaceEngine:
        return HuggingFaceEngine(name.removeprefix("hf:"), config.hf_max_tokens).fingerprint
    return WordllamaEngine().fingerprint if kind is WordllamaEngine else engine_lsa.FINGERPRINT
