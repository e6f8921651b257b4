"""From embeddings to semantic IDs: fit the input and the quantizer, give every item its codes, and measure how healthy they are."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cobrarec.config import SemanticIdsConfig
from cobrarec.data.interactions import Histories
from cobrarec.errors import ArtifactError
from cobrarec.progress import Progress, Silent
from cobrarec.semantic_ids.health_card import HealthCard
from cobrarec.semantic_ids.quantizer import Quantizer, effective_codebook_size
from cobrarec.semantic_ids.quantizer_input import QuantizerInput
from cobrarec.semantic_ids.residual_kmeans import distinct_rows
from cobrarec.semantic_ids.semantic_ids import SemanticIds

FORMAT = 2
FILE = "code_assigner.safetensors"
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class CodeAssigner:
    """Codes of new items from their text embedding alone. `quantizer` is None where there are no levels."""

    config: SemanticIdsConfig
    inputs: QuantizerInput
    quantizer: Quantizer | None

    def encode(self, embeddings: Floats) -> npt.NDArray[np.int32]:
        """Codes `[n, num_levels]` for text embeddings `[n, text_dim]`."""
        if self.quantizer is None:
            return np.zeros((len(embeddings), 0), np.int32)
        return self.quantizer.encode(self.inputs.text_only(embeddings))

    def save(self, folder: Path) -> None:
        """Write `code_assigner.safetensors`: all arrays, with the configuration in its header."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        arrays = {f"input.{name}": array for name, array in self.inputs.arrays().items()}
        if self.quantizer is not None:
            arrays |= {f"quantizer.{name}": np.ascontiguousarray(array) for name, array in self.quantizer.arrays().items()}
        # one key, because a header's keys have no fixed order: the same assigner gives the same bytes
        about = {"format": FORMAT, "config": self.config.model_dump(mode="json")}
        save_file(arrays, folder / FILE, {"about": json.dumps(about, sort_keys=True)})

    @classmethod
    def load(cls, folder: Path) -> "CodeAssigner":
        """Read what `save` wrote.

        Raises:
            ArtifactError: the file is missing, damaged or of another version.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(folder / FILE, framework="np") as file:
                header = json.loads(file.metadata()["about"])
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            if header["format"] != FORMAT:
                raise ArtifactError(f"{folder / FILE} is of format {header['format']}, expected {FORMAT}.")
            config = SemanticIdsConfig.model_validate(header["config"])
            inputs = QuantizerInput.from_arrays(_below("input.", arrays))
            quantizer = _quantizer_class(config).from_arrays(_below("quantizer.", arrays), config) if config.num_levels else None
            return cls(config, inputs, quantizer)
        except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(f"{folder / FILE} is damaged or missing: {' '.join(str(error).split())}") from None


@dataclass(frozen=True, eq=False)
class SemanticIdResult:
    """The IDs, what gives new items theirs, and the health card."""

    semantic_ids: SemanticIds
    assigner: CodeAssigner
    health_card: HealthCard


def fit_semantic_ids(
    embeddings: Floats, train: Histories, config: SemanticIdsConfig, seed: int, progress: Progress | None = None
) -> SemanticIdResult:
    """Quantize the catalog. Collapse is reported on the card; `check_collapse` refuses it.

    Args:
        embeddings: text embeddings `[num_items, text_dim]`.
        train: training histories; nothing else of the interactions is read.
        config: levels, codes, quantizer and signal.
        seed: decides every random choice.
        progress: told how far it is.
    """
    progress = progress or Silent()
    inputs, rows, text_only, warm = QuantizerInput.fit(embeddings, train, config, seed)
    alike = _alike(rows)
    size = effective_codebook_size(config, len(embeddings))
    if not config.num_levels:
        ids = SemanticIds.from_codes(np.zeros((len(embeddings), 0), np.int32), size)
        card = HealthCard.of(ids, train, 1.0, ids.codes, warm, alike)
        return SemanticIdResult(ids, CodeAssigner(config, inputs, None), card)
    quantizer, codes = _quantizer_class(config).fit(rows, config, seed, progress)
    ids = SemanticIds.from_codes(codes, size)
    error = reconstruction_error(rows, quantizer.decode(codes))
    card = HealthCard.of(ids, train, error, quantizer.encode(text_only), warm, alike)
    return SemanticIdResult(ids, CodeAssigner(config, inputs, quantizer), card)


def card_of_codes(ids: SemanticIds, embeddings: Floats, train: Histories, assigner: CodeAssigner) -> HealthCard:
    """The health card of codes that are given, most of them from before; distances are to what the texts alone give."""
    rows = assigner.inputs.text_only(embeddings)
    alike = _alike(rows)
    warm = train.item_counts(ids.num_items) > 0
    if assigner.quantizer is None:
        return HealthCard.of(ids, train, 1.0, ids.codes, warm, alike)
    error = reconstruction_error(rows, assigner.quantizer.decode(ids.codes))
    return HealthCard.of(ids, train, error, assigner.quantizer.encode(rows), warm, alike)


def _alike(rows: Floats) -> npt.NDArray[np.bool_]:
    """`[num_items]`, items that to the quantizer are the same as one before them."""
    alike = np.ones(len(rows), np.bool_)
    alike[np.unique(distinct_rows(rows)[1], return_index=True)[1]] = False
    return alike


def reconstruction_error(rows: Floats, decoded: Floats) -> float:
    """Mean squared distance of `decoded` to `rows`, relative to the variance of `rows`; 0 where nothing varies and nothing is off."""
    variance = float(((rows - rows.mean(axis=0)) ** 2).sum(axis=1).mean())
    error = float(((rows - decoded) ** 2).sum(axis=1).mean())
    return error / variance if variance > 1e-12 else 0.0


def _quantizer_class(config: SemanticIdsConfig) -> type[Quantizer]:
    if config.quantizer == "rqvae":
        from cobrarec.semantic_ids.rqvae import Rqvae  # loads torch

        return Rqvae
    from cobrarec.semantic_ids.residual_kmeans import ResidualKmeans

    return ResidualKmeans


def _below(prefix: str, arrays: dict[str, Floats]) -> dict[str, Floats]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
