"""From the text of an item that training never saw to everything retrieval needs of it: embedding, codes, vector, biases."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cobrarec.model.cobra import Cobra
from cobrarec.model.cold_start import ColdStart
from cobrarec.model.item_tokenizer import ItemTokenizer, TokenTable
from cobrarec.model.item_vectors import ItemVectors
from cobrarec.retrieval.stand_ins import StandIns
from cobrarec.semantic_ids.assigner import CodeAssigner
from cobrarec.semantic_ids.text_embeddings import TextEmbedder


@dataclass(frozen=True, eq=False)
class EncodedItems:
    """What the trained parts say of n items: embeddings `[n, text_dim]`, codes `[n, num_levels]`, vectors and biases."""

    embeddings: npt.NDArray[np.float32]
    codes: npt.NDArray[np.int32]
    items: ItemVectors
    stand_ins: StandIns | None = None
    """Whose transition counts they have; None where nothing is counted."""


@dataclass(frozen=True)
class NewItemTools:
    """What turns the text of an item added later into its codes and its vector."""

    embedder: TextEmbedder
    """Text to frozen embedding."""
    assigner: CodeAssigner
    """Frozen embedding to codes."""
    cold_start: ColdStart
    """Frozen embedding to what stands in for trained parameters of the item."""
    tokenizer: ItemTokenizer | None = None
    """Text to tokens, where the item encoder reads those."""

    def tokens(self, texts: Sequence[str]) -> TokenTable | None:
        """Tokens of texts, where the item encoder reads those."""
        return None if self.tokenizer is None else self.tokenizer.table(texts)

    def encode(self, model: Cobra, texts: Sequence[str], trained_rows: npt.NDArray[np.int64] | None = None) -> EncodedItems:
        """Encode items by their texts.

        Args:
            model: the trained model.
            texts: `[n]`, by the template of the catalog.
            trained_rows: `[n]`, rows of the model's catalog whose trained id embedding and biases an item keeps; -1, or None for all,
                where the text is all that is known.
        """
        embeddings = self.embedder.encode(texts)
        tokens = self.tokens(texts)
        items = self.cold_start.new_items(model, embeddings, None if tokens is None else tokens.ids, trained_rows).to("cpu")
        return EncodedItems(embeddings, self.assigner.encode(embeddings), items)
