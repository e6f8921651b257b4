"""Static token vectors from inside the `wordllama` wheel: no download, about a second for 10,000 texts.

The two files of the wheel are read directly. Importing `wordllama` would configure the process's logging, and its loader looks for the
tokenizer in a folder that the wheel does not have and then tries to download it.
"""

import hashlib
import importlib.util
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from cobrarec.config import TextConfig
from cobrarec.errors import ArtifactError, MissingExtraError
from cobrarec.progress import Progress
from cobrarec.semantic_ids.sif import Sif, token_weights

VERSION = "0.4.0.post1"
TEXTS_PER_CHUNK = 4096


class WordllamaEngine:
    """Mean of static token vectors, SIF-weighted where the configuration says so."""

    def __init__(self, sif: Sif | None = None) -> None:
        """Read the wheel's vectors and tokenizer; `sif` holds the fitted weights, None gives plain means."""
        self.vectors, self.tokenizer, self.fingerprint = _wheel(_package_folder())
        self.sif = sif or Sif.off(*self.vectors.shape)

    @property
    def dim(self) -> int:
        """Width of the embeddings: 256."""
        return self.vectors.shape[1]

    @classmethod
    def fit_encode(cls, texts: Sequence[str], config: TextConfig, progress: Progress) -> tuple["WordllamaEngine", npt.NDArray[np.float32]]:
        """Fit the SIF weights on the catalog's texts; returns the engine and the unit-length embeddings `[num_texts, 256]`."""
        engine = cls()
        counts = engine._token_counts(texts, progress)
        if config.sif:
            total = np.asarray(counts.sum(axis=0)).ravel().astype(np.int64)
            engine.sif = Sif(token_weights(total), engine.sif.components)
        means = engine._weighted_means(counts)
        if config.sif:
            engine.sif = engine.sif.with_components_of(means)
        return engine, engine.sif.finish(means)

    def encode(self, texts: Sequence[str], progress: Progress) -> npt.NDArray[np.float32]:
        """Unit-length embeddings `[num_texts, 256]`; zeros for an empty text."""
        return self.sif.finish(self._weighted_means(self._token_counts(texts, progress)))

    def save(self, folder: Path) -> None:
        """Write the fitted weights and the fingerprint of the wheel's vectors."""
        self.sif.save(folder)
        (folder / "engine.json").write_text(json.dumps({"wordllama": VERSION, "sha256": self.fingerprint}), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "WordllamaEngine":
        """Read what `save` wrote.

        Raises:
            ArtifactError: a file is damaged, or the installed vectors are others than those that were fitted.
        """
        engine = cls(Sif.load(folder))
        if json.loads((folder / "engine.json").read_text(encoding="utf-8"))["sha256"] != engine.fingerprint:
            raise ArtifactError(f"The installed wordllama has other vectors than {folder} needs. pip install wordllama=={VERSION}")
        return engine

    def _token_counts(self, texts: Sequence[str], progress: Progress) -> sparse.csr_matrix:
        """How often each text holds each token, `[num_texts, vocabulary]`."""
        ids: list[npt.NDArray[np.int32]] = [np.zeros(0, np.int32)]
        lengths = np.zeros(len(texts), np.int64)
        for start in progress.track(range(0, len(texts), TEXTS_PER_CHUNK), "text embeddings (wordllama)"):
            chunk = [text if text.strip() else "" for text in texts[start : start + TEXTS_PER_CHUNK]]
            for row, encoding in enumerate(self.tokenizer.encode_batch_fast(chunk, add_special_tokens=False), start):
                ids.append(np.asarray(encoding.ids, np.int32))
                lengths[row] = len(encoding.ids)
        indptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        tokens = np.concatenate(ids)
        counts = sparse.csr_matrix((np.ones(len(tokens), np.float32), tokens, indptr), shape=(len(texts), len(self.vectors)))
        counts.sum_duplicates()
        return counts

    def _weighted_means(self, counts: sparse.csr_matrix) -> npt.NDArray[np.float32]:
        lengths = np.asarray(counts.sum(axis=1)).ravel()
        tokens, columns = np.unique(counts.indices, return_inverse=True)  # few of the vocabulary, where texts are few
        present = sparse.csr_matrix((counts.data, columns, counts.indptr), shape=(len(lengths), len(tokens)))
        sums = present @ (self.vectors[tokens] * self.sif.token_weights[tokens, None])
        return (sums / np.maximum(lengths, 1)[:, None]).astype(np.float32)


@lru_cache(maxsize=1)
def _wheel(folder: Path) -> tuple[npt.NDArray[np.float32], Any, str]:
    """Vectors `[vocabulary, 256]`, tokenizer and the vectors' sha256: the same for all engines, which read them alone."""
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    weights = folder / "weights" / "l2_supercat_256.safetensors"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizers" / "l2_supercat_tokenizer_config.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    vectors = load_file(weights)["embedding.weight"].astype(np.float32)
    return vectors, tokenizer, hashlib.sha256(weights.read_bytes()).hexdigest()


def _package_folder() -> Path:
    spec = importlib.util.find_spec("wordllama")
    if spec is None or spec.origin is None:
        raise MissingExtraError(f"The text engine `wordllama` is not installed. pip install wordllama=={VERSION}")
    return Path(spec.origin).parent
