"""From item texts to token ids for the end-to-end text encoder: a byte-pair vocabulary trained on the catalog, or one that exists."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from cobrarec.config import TextEncoderConfig
from cobrarec.errors import ArtifactError, ConfigError

PADDING, CLS = 0, 1
"""Token ids of our own; those of the vocabulary follow, moved on by two, so that any vocabulary will do."""
NUM_OWN = 2


@dataclass(frozen=True, eq=False)
class TokenTable:
    """Token ids of texts.

    Attributes:
        ids: [n, max_tokens] int32: [CLS], the text's tokens, padding (0) on the right.
        vocabulary_size: one more than the largest id that can occur.
    """

    ids: npt.NDArray[np.int32]
    vocabulary_size: int


class ItemTokenizer:
    """Cuts item texts into tokens, [CLS] first."""

    def __init__(self, tokenizer: Tokenizer, max_tokens: int) -> None:
        self.tokenizer, self.max_tokens = tokenizer, max_tokens
        tokenizer.no_padding()  # a pretrained one brings lengths of its own
        tokenizer.no_truncation()

    @classmethod
    def fit(cls, texts: Sequence[str], config: TextEncoderConfig) -> "ItemTokenizer":
        """Train a vocabulary on `texts`, or read the one that `config.tokenizer` names.

        Raises:
            ConfigError: there is no tokenizer of that name.
        """
        if config.tokenizer == "catalog":
            return cls(_trained(texts, config.vocabulary_size), config.max_tokens)
        path = Path(config.tokenizer)
        try:
            tokenizer = Tokenizer.from_file(str(path / "tokenizer.json" if path.is_dir() else path)) if path.exists() else None
            return cls(tokenizer or Tokenizer.from_pretrained(config.tokenizer), config.max_tokens)
        except Exception as error:  # the library raises bare Exception, whatever is wrong
            raise ConfigError(
                f"`model.item.text_encoder.tokenizer` is {config.tokenizer!r}, which holds no readable tokenizer.json ({error}). "
                "Give a folder with one, the name of a Hugging Face model that can be reached, or `catalog`."
            ) from None

    @property
    def vocabulary_size(self) -> int:
        """Tokens, padding and [CLS] included."""
        return NUM_OWN + self.tokenizer.get_vocab_size()

    def table(self, texts: Sequence[str]) -> TokenTable:
        """Token ids of `texts`; what exceeds `max_tokens` is cut."""
        ids = np.full((len(texts), self.max_tokens), PADDING, np.int32)
        ids[:, 0] = CLS
        for row, encoding in enumerate(self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)):
            tokens = encoding.ids[: self.max_tokens - 1]
            ids[row, 1 : 1 + len(tokens)] = tokens
            ids[row, 1 : 1 + len(tokens)] += NUM_OWN
        return TokenTable(ids, self.vocabulary_size)

    def save(self, path: Path) -> None:
        """Write the vocabulary as JSON."""
        path.write_text(self.tokenizer.to_str(), encoding="utf-8")

    @classmethod
    def load(cls, path: Path, config: TextEncoderConfig) -> "ItemTokenizer":
        """Read what `save` wrote.

        Raises:
            ArtifactError: the file is missing or damaged.
        """
        try:
            return cls(Tokenizer.from_str(path.read_text(encoding="utf-8")), config.max_tokens)
        except Exception as error:  # the library raises bare Exception, whatever is wrong
            raise ArtifactError(f"The tokenizer in {path} cannot be read: {error}. Fit the model again.") from None


def _trained(texts: Sequence[str], vocabulary_size: int) -> Tokenizer:
    """Byte-level byte-pair encoding: no text is outside the vocabulary."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False, min_frequency=2
    )
    tokenizer.train_from_iterator(texts, trainer, length=len(texts))
    return tokenizer
