"""Latent semantic analysis: TF-IDF of words and word pairs, then truncated SVD. No weights at all.

Any language: scripts that write words without spaces (Chinese, Japanese, Thai, Lao, Khmer, Burmese) are cut into characters, so that
"words and word pairs" are characters and character pairs there.
"""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from cobrarec.config import TextConfig
from cobrarec.errors import ArtifactError
from cobrarec.progress import Progress
from cobrarec.semantic_ids.sif import load_array, unit_rows

UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
COMBINING = r"\u0300-\u036f\u0900-\u0dff"  # accents and Indic vowel signs, which \w leaves out
TOKEN_PATTERN = rf"(?:(?![{UNSPACED}])[\w{COMBINING}])+|[{UNSPACED}]"
MAX_FEATURES = 100_000
MIN_TEXTS = 3  # a word pair of one or two texts says nothing about others ...
SMALL_CATALOG = 300  # ... except where there are few texts
SVD_SEED = 0
FINGERPRINT = "lsa-1"  # raised when the rules above change: no outside weights decide


class LsaEngine:
    """Fitted vocabulary, inverse document frequencies and components."""

    def __init__(self, vocabulary: dict[str, int], idf: npt.NDArray[np.float32], components: npt.NDArray[np.float32]) -> None:
        """Take the fitted state: `idf` `[num_features]`, `components` `[dim, num_features]`."""
        self.vocabulary = vocabulary
        self.idf = idf
        self.components = components

    @property
    def dim(self) -> int:
        """Width of the embeddings: `lsa_dim`, or fewer where the texts span less."""
        return self.components.shape[0]

    @classmethod
    def fit_encode(cls, texts: Sequence[str], config: TextConfig, progress: Progress) -> tuple["LsaEngine", npt.NDArray[np.float32]]:
        """Fit on the catalog's texts; returns the engine and the unit-length embeddings `[num_texts, dim]`."""
        from sklearn.utils.extmath import randomized_svd

        progress.update("text embeddings (lsa)", 0, 1)
        vectorizer = _vectorizer(min_df=MIN_TEXTS if len(texts) >= SMALL_CATALOG else 1, max_features=MAX_FEATURES)
        try:
            features = vectorizer.fit_transform(texts)
        except ValueError:  # no text holds a word that occurs often enough
            return cls({}, np.zeros(0, np.float32), np.zeros((1, 0), np.float32)), np.zeros((len(texts), 1), np.float32)
        dim = min(config.lsa_dim, *features.shape)
        components = randomized_svd(features, dim, n_iter=3, random_state=SVD_SEED)[2]
        vocabulary = {word: int(index) for word, index in vectorizer.vocabulary_.items()}
        engine = cls(vocabulary, vectorizer.idf_.astype(np.float32), components.astype(np.float32))
        progress.update("text embeddings (lsa)", 1, 1)
        return engine, engine._project(features)

    def encode(self, texts: Sequence[str], progress: Progress) -> npt.NDArray[np.float32]:
        """Unit-length embeddings `[num_texts, dim]`; zeros for a text without a known word."""
        if not self.vocabulary or not texts:
            return np.zeros((len(texts), self.dim), np.float32)
        return self._project(self._fitted.transform(texts))

    @cached_property
    def _fitted(self) -> Any:
        """The vectorizer, which looks through the whole vocabulary at its first call."""
        vectorizer = _vectorizer(vocabulary=self.vocabulary)
        vectorizer.idf_ = self.idf
        return vectorizer

    def save(self, folder: Path) -> None:
        """Write the vocabulary as JSON and two `.npy` files."""
        (folder / "vocabulary.json").write_text(json.dumps(self.vocabulary, ensure_ascii=False), encoding="utf-8")
        np.save(folder / "idf.npy", self.idf)
        np.save(folder / "components.npy", self.components)

    @classmethod
    def load(cls, folder: Path) -> "LsaEngine":
        """Read what `save` wrote.

        Raises:
            ArtifactError: a file is missing or damaged, or the files do not fit together.
        """
        vocabulary = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
        engine = cls(vocabulary, load_array(folder / "idf.npy"), load_array(folder / "components.npy"))
        if not len(vocabulary) == len(engine.idf) == engine.components.shape[-1]:
            raise ArtifactError(f"{folder} holds a vocabulary and components of different sizes. Build the semantic IDs again.")
        return engine

    def _project(self, features: Any) -> npt.NDArray[np.float32]:
        vectors = np.asarray(features @ self.components.T, np.float32)
        vectors[np.linalg.norm(vectors, axis=1) < 1e-6] = 0  # features are unit rows; less is the rounding of a row outside the components
        return unit_rows(vectors)


def _vectorizer(**settings: Any) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(token_pattern=TOKEN_PATTERN, ngram_range=(1, 2), sublinear_tf=True, dtype=np.float32, **settings)
