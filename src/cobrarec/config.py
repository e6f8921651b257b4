"""Every setting and its default, written once. YAML in, resolved YAML out.

Hyper-parameters (`Config`) are saved with the model; run options (`RunOptions`) say where and how long to work.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from cobrarec.config_baselines import ContentConfig, CountsConfig, MemoryConfig
from cobrarec.config_errors import explain
from cobrarec.config_run_options import RunOptions as RunOptions
from cobrarec.config_section import Section, Share, keys_of
from cobrarec.errors import ConfigError
from cobrarec.strict_yaml import read_yaml


class DataConfig(Section):
    """How the two tables are read and split."""

    split: str = Field(default="last-two", pattern=r"^(last-two|none|time:0\.\d+)$")
    """`last-two`: each user's last interaction is the test, the one before it the validation.
    `time:0.95`: cut at that quantile of the timestamps. `none`: train on everything."""
    unknown_items: Literal["skip", "error"] = "skip"
    """Interactions with items that the items table lacks: dropped and counted, or refused."""
    text_template: str | None = None
    """Text of an item, for example `"{title}. {brand}"`; default: every column but `item_id`, null ones left out."""
    max_text_characters: int = Field(default=2000, ge=1)
    """Longer item texts are cut here."""


class TextConfig(Section):
    """Frozen text embeddings."""

    engines: tuple[str, ...] = Field(default=("wordllama", "lsa"), min_length=1)
    """Engines whose embeddings are joined: `wordllama`, `lsa`, or `hf:NAME-OR-FOLDER` for a Hugging Face encoder."""
    sif: bool = True
    """Weight words by 1e-3 / (1e-3 + frequency) and remove the first 3 principal components (wordllama and hf)."""
    lsa_dim: int = Field(default=256, ge=2)
    """Dimensions kept by LSA (TF-IDF of words and word pairs, truncated SVD)."""
    lsa_weight: float = Field(default=0.8, gt=0)
    """Weight of the LSA part beside the first engine when engines are joined."""
    hf_max_tokens: int = Field(default=128, ge=8)
    """Tokens of an item's text that a Hugging Face encoder reads."""


class RqvaeConfig(Section):
    """The residual-quantized autoencoder."""

    hidden_dims: tuple[Annotated[int, Field(ge=1)], ...] = (256, 128)
    """Widths of the encoder's hidden layers; the decoder mirrors them."""
    latent_dim: int = Field(default=32, ge=2)
    """Width of what is quantized."""
    commitment_weight: float = Field(default=0.25, ge=0)
    """Weight of the commitment loss."""
    num_steps: int = Field(default=3000, ge=1)
    """Optimizer steps."""
    batch_size: int = Field(default=1024, ge=2)
    """Items a step."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """AdamW learning rate."""
    restart_every: int = Field(default=100, ge=1)
    """Every so many steps, codes that no item of the last steps used restart at random residuals."""


class SemanticIdsConfig(Section):
    """From embeddings to semantic IDs."""

    quantizer: Literal["residual-kmeans", "rqvae"] = "residual-kmeans"
    """How embeddings become codes."""
    num_levels: int = Field(default=1, ge=0, le=8)
    """Codes per item. 0 removes the IDs altogether (the ablation "w/o ID")."""
    codebook_size: int | None = Field(default=None, ge=2, le=65536)
    """Codes per level. null: 128, and from 186,000 items on the power of two nearest to a 1,024th of their number."""
    min_items_per_code: float = Field(default=8.0, ge=1)
    """A level never has more than num_items / min_items_per_code codes (but at least 2)."""
    balanced: bool = True
    """Residual k-means with a cap on how many items of the first level share a code."""
    signal: Literal["text", "text+collaborative"] = "text+collaborative"
    """What is quantized: the text embedding (the paper), or text joined with a collaborative embedding."""
    collaborative_dim: int = Field(default=64, ge=2)
    """Dimensions of the collaborative embedding (SVD of the positive PMI of transitions, training prefixes only)."""
    collaborative_window: int = Field(default=5, ge=1)
    """Items at most this far apart in a history count as a transition."""
    num_iterations: int = Field(default=50, ge=1)
    """Limit of k-means iterations."""
    allow_collapse: bool = False
    """Go on although the IDs do not tell the items apart; the report says so."""
    rqvae: RqvaeConfig = RqvaeConfig()
    """Settings of the quantizer `rqvae`."""


class TextEncoderConfig(Section):
    """The paper's end-to-end text encoder (`model.item.kind: text-encoder`)."""

    tokenizer: str = "catalog"
    """`catalog` trains a byte-pair vocabulary on the item texts; otherwise a folder or name of a Hugging Face tokenizer."""
    vocabulary_size: int = Field(default=8000, ge=64)
    """Size of the vocabulary trained on the catalog."""
    max_tokens: int = Field(default=64, ge=2)
    """Tokens per item, [CLS] included."""
    num_layers: int = Field(default=1, ge=1)
    """Transformer layers."""
    num_heads: int = Field(default=4, ge=1)
    """Attention heads."""
    feedforward_dim: int = Field(default=512, ge=1)
    """Width of the feed-forward layers."""
    dropout: float = Field(default=0.1, ge=0, le=0.99)
    """Dropout."""


class ItemConfig(Section):
    """The item vector."""

    kind: Literal["projection", "text-encoder", "id"] = "projection"
    """`projection`: trained projection of the frozen text embedding. `text-encoder`: the paper's encoder, trained end to end.
    `id`: no text at all."""
    id_embedding: bool = True
    """Add a trained embedding per item; for new items a regression from their text stands in."""
    embedding_dropout: float = Field(default=0.2, ge=0, le=0.99)
    """Dropout on the item vectors that enter the decoder."""
    text_encoder: TextEncoderConfig = TextEncoderConfig()
    """Settings of the kind `text-encoder`."""


class DecoderConfig(Section):
    """The causal Transformer over the interleaved tokens."""

    num_layers: int = Field(default=2, ge=1)
    """Layers."""
    num_heads: int = Field(default=2, ge=1)
    """Attention heads."""
    feedforward_dim: int = Field(default=512, ge=1)
    """Width of the feed-forward layers."""
    dropout: float = Field(default=0.1, ge=0, le=0.99)
    """Dropout."""
    max_history: int = Field(default=30, ge=1)
    """Most recent items that are read."""
    position_embedding: bool = False
    """Add an embedding of the item's position, counted from the start of what is read."""
    relative_bias: bool = True
    """Attention bias per head, pair of token types and distance in items."""
    day_gap: bool = True
    """Add an embedding of the days since the previous item to each item's last token, where times exist."""
    month: bool = True
    """Add an embedding of the calendar month of each history item to its last token, where times exist."""
    time_dropout: float = Field(default=0.1, ge=0, le=1)
    """Share of the training windows whose times are hidden, so that histories without times are served well too."""


class ModelConfig(Section):
    """The model. Not of the paper are `direct_query`, `item_evidence`, `dense_skip`, `identity_heads`, `item_bias`, the item's
    `id_embedding` and the decoder's times and relative positions; the configuration `paper-amazon` does without all of them."""

    dim: int = Field(default=128, ge=2)
    """Width of the decoder and of the item vectors."""
    item: ItemConfig = ItemConfig()
    """The item vector."""
    decoder: DecoderConfig = DecoderConfig()
    """The decoder."""
    use_dense: bool = True
    """False removes the item vectors (the ablation "w/o Dense")."""
    direct_query: bool = True
    """A second query, read at the vector token before any code, with its own whole-catalog loss."""
    item_evidence: Literal["auto", "exact", "centroids", "off"] = "auto"
    """Add to the sparse logits a learned gain times the log of the summed direct scores of the items below each code.
    `auto`: exact up to `exact_catalog_limit` items, then from centroids."""
    exact_catalog_limit: int = Field(default=100_000, ge=1)
    """Catalogs above this size are not scanned whole, neither in training nor in retrieval, but to fill lists that are too short."""
    num_centroids: int = Field(default=4, ge=1)
    """Centroids kept per ID where the sum over its items is approximated."""
    dense_skip: bool = True
    """Add the state at the last vector token, through a matrix that starts as identity, to the dense query's state."""
    identity_heads: bool = True
    """The heads that make the dense and the direct query start as identity: the first prediction is the last item's own vector."""
    item_bias: bool = True
    """A trained bias per item and query, added to the similarities."""
    temperature: float = Field(default=1 / 14, gt=0)
    """Temperature of the cosines in the dense and the direct softmax (starting value where learned)."""
    learned_temperature: bool = True
    """Learn one temperature per query."""


class LossConfig(Section):
    """Equations 7 to 9 and the direct query's loss."""

    sparse_weight: float = Field(default=1.0, ge=0)
    """Weight of the sparse loss (eq. 7)."""
    dense_weight: float = Field(default=1.0, ge=0)
    """Weight of the dense loss (eq. 8)."""
    direct_weight: float = Field(default=1.0, ge=0)
    """Weight of the direct query's loss."""
    dense_negatives: Literal["bucket", "catalog", "sampled", "batch"] = "bucket"
    """Softmax of the dense loss over: the items of the target's ID; the catalog; batch and sampled items; the batch (the paper)."""
    direct_negatives: Literal["auto", "catalog", "sampled", "batch"] = "auto"
    """Softmax of the direct loss; `auto` is the catalog up to `exact_catalog_limit` items, else batch and sampled items."""
    num_sampled: int = Field(default=2048, ge=0)
    """Catalog items drawn uniformly per step for `sampled`."""
    logq_correction: bool = False
    """Subtract, from the logit of each negative of `sampled` and `batch`, the log of how often such a batch is expected to hold the item
    (at most once). Above `exact_catalog_limit` items, `bucket` and `auto` do so whatever is said here: they stand for sums over all."""


class TrainingConfig(Section):
    """The training loop."""

    num_epochs: int | None = Field(default=None, ge=1)
    """Passes over the training targets; the learning rate ends with them. null: 6; times the cube root of 200,000 / targets from there on,
    of 65,536 / targets below that; times targets / item / 30 from there on, but not more than 2; at least 3, at most 16."""
    targets_per_batch: int = Field(default=1024, ge=1)
    """Predicted items a step, over users of similar history length. Fewer, but not below 128, where an epoch would have less than 32
    steps."""
    learning_rate: float = Field(default=3e-3, gt=0)
    """AdamW peak learning rate."""
    id_embedding_rate_factor: float = Field(default=5.0, gt=0)
    """Learning rate of the id embeddings relative to the rest."""
    scale_rate_factor: float = Field(default=10.0, gt=0)
    """Learning rate of temperatures and gains relative to the rest."""
    betas: tuple[Share, Share] = (0.9, 0.98)
    """AdamW's decay rates."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Decay of matrices, embeddings excluded."""
    warmup_fraction: float = Field(default=0.1, ge=0, le=1)
    """Share of the steps with a rising learning rate."""
    final_rate_fraction: float = Field(default=0.02, ge=0, le=1)
    """Learning rate at the end of the cosine, relative to the peak."""
    gradient_clip: float = Field(default=5.0, gt=0)
    """Largest gradient norm."""
    ema_decay: float = Field(default=0.995, ge=0, lt=1)
    """Decay of the averaged weights that are evaluated and kept; 0 keeps the plain weights."""
    patience: int = Field(default=3, ge=0)
    """Epochs without a better validation NDCG@10 before stopping; 0 never stops early and keeps the last epoch."""
    max_valid_users: int = Field(default=5000, ge=1)
    """Users, drawn by seed, on whom each epoch is validated; the final validation reads all."""
    checkpoint_seconds: float = Field(default=60.0, gt=0)
    """Seconds between checkpoints."""


class RetrievalConfig(Section):
    """Generation and BeamFusion."""

    num_beams: int = Field(default=20, ge=1)
    """M, the IDs kept by beam search."""
    items_per_beam: int | None = Field(default=None, ge=1)
    """N, the nearest items taken per beam; null takes all of the ID's items."""
    tau: float = Field(default=1.0, ge=0)
    """Weight of the beam score inside its softmax (eq. 14)."""
    psi: float | None = Field(default=None, ge=0)
    """Weight of the cosine inside its softmax (eq. 14); null takes the trained 1 / temperature."""
    fusion: Literal["beam-fusion", "top-id"] = "beam-fusion"
    """`top-id` is the ablation "w/o BeamFusion": the best ID, then its nearest items."""
    similarity_softmax: Literal["bucket", "candidates", "all"] = "bucket"
    """The second softmax runs over all of C(ID) less the history, over the beam's N, or over all M x N."""
    direct_weight: float | None = Field(default=None, ge=0, le=1)
    """Share of the direct query's log-probability in the score; null: chosen on validation in `fit`."""
    memory_weight: float | None = Field(default=None, ge=0)
    """Weight of the transition memory: this times log(1 + 10 x transition count) is added; null: chosen on validation; 0: no memory."""
    new_item_level: float = Field(default=0.0, ge=-100, le=100)
    """Added before each softmax to the logits of items that nobody has taken in training; above 0 the lists hold more of them."""
    fill: bool = True
    """Lengthen short lists: more beams first, then the nearest of the whole catalog (without a network: popular items), ranked below."""
    include_history: bool = False
    """Recommend items of the history too (repeat consumption)."""


class Config(Section):
    """All hyper-parameters of a run."""

    name: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9_.-]{0,39}$")
    """What metrics and report call it; null: the ranker's name. It changes no result."""
    ranker: Literal["cobra", "counts", "content", "popularity"] = "cobra"
    """What recommends: the network (`cobra`), transition counts, neighbors by text, or popularity. The last three train no network: they
    read `data`, `training.max_valid_users`, `retrieval.include_history`, `retrieval.fill` and their own section, `content` also `text`."""
    data: DataConfig = DataConfig()
    """How the tables are read and split."""
    text: TextConfig = TextConfig()
    """Frozen text embeddings."""
    semantic_ids: SemanticIdsConfig = SemanticIdsConfig()
    """Semantic IDs."""
    model: ModelConfig = ModelConfig()
    """The model."""
    loss: LossConfig = LossConfig()
    """The losses."""
    training: TrainingConfig = TrainingConfig()
    """The training loop."""
    retrieval: RetrievalConfig = RetrievalConfig()
    """Generation and fusion."""
    memory: MemoryConfig = MemoryConfig()
    """The transition memory."""
    counts: CountsConfig = CountsConfig()
    """Transition counts."""
    content: ContentConfig = ContentConfig()
    """Content neighbors."""

    @property
    def shown_name(self) -> str:
        """`name`, or the ranker's."""
        return self.name or self.ranker


def parse_config(values: dict[str, Any], source: str = "the configuration") -> Config:
    """Check `values` and return the configuration; `source` names where they came from in an error."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(" ".join(explain(one, source, keys_of(Config)) for one in error.errors())) from None


def packaged_configs() -> dict[str, Path]:
    """The files of the packaged configurations by name."""
    return {file.stem: file for file in sorted((Path(__file__).parent / "configs").glob("*.yaml"))}


def load_config(source: str | Path) -> Config:
    """Read a YAML file of settings, or the packaged configuration of that name; what it does not name keeps its default."""
    packaged = packaged_configs()
    path = packaged.get(str(source), Path(source))
    values = read_yaml(path, f"No configuration {path}. Give a YAML file or one of the packaged names: {', '.join(packaged)}.")
    if values is not None and not isinstance(values, dict):
        raise ConfigError(f"{path} holds {type(values).__name__}, expected sections such as `model:` with settings below them.")
    return parse_config(values or {}, str(source))


def dump_config(config: Config) -> str:
    """The resolved configuration as YAML, every field present."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
