"""Cobra: codes and vectors interleaved, read by one causal decoder that predicts the next code, then the next vector.

Ours -> the paper's: item vector -> v_t, code embeddings -> e_t, state at the vector token -> what eq. 3 and 4 read, dense query ->
v_hat (eq. 5, 6). Beyond the paper, each a switch: a direct query, evidence for codes from it, a skip into the dense query, item biases.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from cobrarec.config import LossConfig, ModelConfig
from cobrarec.config_checks import can_scan_catalog, check_model, check_negatives
from cobrarec.data.interactions import Histories
from cobrarec.model.batch import NUM_DAY_GAPS, NUM_MONTHS, Batch, Sampling, month_bucket
from cobrarec.model.cobra_output import CobraOutput
from cobrarec.model.decoder import BeamCache, Cache, Decoder
from cobrarec.model.dropout import dropout
from cobrarec.model.id_tables import IdTables
from cobrarec.model.item_encoder import ItemEncoder
from cobrarec.model.item_evidence import CentroidEvidence, evidence_logits, exact_log_sums
from cobrarec.model.item_vectors import ItemVectors
from cobrarec.model.unit_vectors import unit_vectors
from cobrarec.semantic_ids.semantic_ids import SemanticIds

__all__ = ["Cobra", "CobraOutput", "HistoryStates", "ItemVectors"]

ROWS_AT_ONCE = 8192
"""Items encoded at a time outside of training."""


@dataclass(frozen=True)
class HistoryStates:
    """Histories that the decoder has read."""

    last_state: Float[Tensor, "batch dim"]
    """State at the last token of the last item."""
    lengths: Int[Tensor, " batch"]
    cache: Cache


class Cobra(nn.Module):
    """The model. Item vectors and semantic IDs are borders: it knows neither texts nor users."""

    def __init__(self, config: ModelConfig, semantic_ids: SemanticIds, item_encoder: ItemEncoder) -> None:
        super().__init__()
        _check(config, semantic_ids, item_encoder)
        self.config, self.semantic_ids = config, semantic_ids
        self.tables, self.item_encoder = IdTables(semantic_ids), item_encoder
        num_levels, codes, dim = semantic_ids.num_levels, semantic_ids.codebook_size, config.dim
        self.num_levels, self.num_token_types = num_levels, num_levels + config.use_dense
        self.decoder = Decoder(config.decoder, dim, self.num_token_types)
        self.code_embedding = nn.Embedding(max(1, num_levels * codes), dim)
        self.code_heads = nn.ModuleList(_zero_linear(dim, codes) for _ in range(num_levels))
        self.day_gap_embedding = _zero_embedding(NUM_DAY_GAPS, dim) if config.decoder.day_gap else None
        self.month_embedding = _zero_embedding(NUM_MONTHS, dim) if config.decoder.month else None
        self.register_buffer("last_month", torch.tensor(NUM_MONTHS - 1))
        self.dense_head = _query_head(config) if config.use_dense else None
        self.skip = nn.Linear(dim, dim, bias=False) if config.use_dense and config.dense_skip and num_levels else None
        if self.skip is not None:
            nn.init.eye_(self.skip.weight)
        self.direct_head = _query_head(config) if config.use_dense and config.direct_query else None
        self.dense_scale = nn.Parameter(torch.tensor(1 / config.temperature), requires_grad=config.learned_temperature)
        self.direct_scale = nn.Parameter(torch.tensor(1 / config.temperature), requires_grad=config.learned_temperature)
        self.dense_bias = nn.Parameter(torch.zeros(item_encoder.num_items), requires_grad=config.item_bias)
        self.direct_bias = nn.Parameter(torch.zeros(item_encoder.num_items), requires_grad=config.item_bias)
        self.evidence = self._resolve_evidence()
        self.evidence_gain = nn.Parameter(torch.ones(num_levels), requires_grad=self.evidence != "off")
        uses = self.evidence == "centroids"
        self.centroids = CentroidEvidence(self.tables, dim, config.num_centroids, config.exact_catalog_limit) if uses else None

    def _resolve_evidence(self) -> str:
        """`exact`, `centroids` or `off`."""
        wanted = self.config.item_evidence
        if wanted == "off" or self.direct_head is None or not self.num_levels:
            return "off"
        return ("exact" if self.scans_catalog else "centroids") if wanted == "auto" else wanted

    @property
    def scans_catalog(self) -> bool:
        """Whether every item's vector is affordable in every step."""
        return can_scan_catalog(self.config, self.item_encoder.num_items)

    @property
    def dense_temperature(self) -> Float[Tensor, ""]:
        """What the cosine with the dense query is divided by."""
        return 1 / self.dense_scale

    @property
    def direct_temperature(self) -> Float[Tensor, ""]:
        """What the cosine with the direct query is divided by."""
        return 1 / self.direct_scale

    # ------------------------------------------------------------------ training

    def forward(self, batch: Batch) -> CobraOutput:
        """Predictions for all True in `is_target`, in row-major order."""
        encoded = self.encode(batch)
        return self.predict(batch, encoded, encoded, encoded)

    def encode(self, batch: Batch) -> Float[Tensor, "num_encoded dim"]:
        """Item vectors of `batch.encoded_rows`, each encoded once."""
        if len(batch.encoded_rows) == self.item_encoder.num_items:
            return self.item_encoder.encode_all()
        return self.item_encoder(batch.encoded_rows)

    def predict(
        self,
        batch: Batch,
        inputs: Float[Tensor, "num_encoded dim"],
        targets: Float[Tensor, "num_encoded dim"],
        negatives: Float[Tensor, "num_encoded dim"],
    ) -> CobraOutput:
        """`forward` with the vectors of `encoded_rows` given in each of their three roles, so that gradients can be told apart."""
        tokens = self._tokens(batch, _take(inputs, batch.index) if self.config.use_dense else None)
        states = self.decoder(tokens)
        place = batch.is_target.flatten().nonzero().squeeze(1)
        rows, index = batch.rows.flatten()[place], batch.index.flatten()[place]
        own = states.flatten(0, 1).index_select(0, place)
        before = states[:, :, -1].flatten(0, 1).index_select(0, place - 1)
        unit, scale = unit_vectors(negatives), self.direct_scale
        is_whole = len(batch.encoded_rows) == self.item_encoder.num_items
        by_bucket = unit.index_select(0, self.tables.bucket_rows) if is_whole else None
        direct_bias, dense_bias = self.direct_bias[batch.encoded_rows], self.dense_bias[batch.encoded_rows]
        direct_query = self.direct_queries(before)
        log_sums: tuple[Tensor | None, ...] | None = None
        if direct_query is not None and self.evidence == "exact":
            assert by_bucket is not None, "exact evidence needs the whole catalog; see `sampling`"
            log_sums = exact_log_sums(self.tables, by_bucket, direct_query * scale, direct_bias)
        elif direct_query is not None and self.centroids is not None:
            log_sums = self.centroids.log_sums(self.tables, direct_query * scale)
        logits = []
        for level in range(self.num_levels):
            state = (before if level == 0 else own[:, level - 1])[:, None]
            prefixes = self.tables.prefix_of_rows(level, rows)[:, None]
            logits.append(self.code_logits(level, state, prefixes, log_sums and log_sums[1:]).squeeze(1))
        last_code = own[:, self.num_levels - 1] if self.num_levels else before
        dense = self.dense_queries(last_code[:, None], before)
        return CobraOutput(
            target_rows=rows,
            target_index=index,
            sparse_logits=tuple(logits),
            dense_query=dense if dense is None else dense.squeeze(1),
            direct_query=direct_query,
            encoded_rows=batch.encoded_rows,
            encoded=unit,
            encoded_by_bucket=by_bucket,
            target_vectors=unit_vectors(_take(targets, index)),
            dense_scale=self.dense_scale,
            direct_scale=scale,
            dense_bias=dense_bias,
            direct_bias=direct_bias,
            direct_log_sum=log_sums[0].squeeze(1) if log_sums and log_sums[0] is not None and self.evidence == "exact" else None,
            tables=self.tables,
        )

    def limit_times(self, train: Histories) -> None:
        """Read months after the last one of the training histories as that one, and no times at all where these have none."""
        last_month = 0 if train.timestamps is None else int(month_bucket(train.timestamps[train.places()]).max(initial=0))
        self.get_buffer("last_month").fill_(last_month)

    def sampling(self, loss: LossConfig) -> Sampling:
        """Which item vectors a training step encodes and whose times it hides, for `training_batch`.

        Raises:
            ConfigError: `catalog` negatives, where the catalog cannot be encoded in every step.
        """
        check_negatives(self.config, loss, self.item_encoder.num_items)
        scans, time_dropout = self.scans_catalog, self.config.decoder.time_dropout
        used = [(self.dense_head, loss.dense_negatives), (self.direct_head, loss.direct_negatives)]
        kinds = {kind for head, kind in used if head is not None}
        if scans and (self.evidence == "exact" or kinds & {"bucket", "catalog", "auto"}):
            return Sampling(self.semantic_ids, True, loss.num_sampled if "sampled" in kinds else 0, time_dropout=time_dropout)
        uniform = loss.num_sampled if kinds & {"sampled", "auto"} else 0
        return Sampling(self.semantic_ids, False, uniform, loss.num_sampled if "bucket" in kinds else 0, time_dropout)

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """Trained parameters: `id_embeddings`, `scales` (temperatures, gains), `matrices` (to be decayed), `others`."""
        groups: dict[str, list[nn.Parameter]] = {"id_embeddings": [], "scales": [], "matrices": [], "others": []}
        matrices = {id(module.weight) for module in self.modules() if isinstance(module, nn.Linear)}
        for name, parameter in self.named_parameters():
            if name == "item_encoder.id_embedding.weight":
                group = "id_embeddings"
            elif name in ("dense_scale", "direct_scale", "evidence_gain"):
                group = "scales"
            else:
                group = "matrices" if id(parameter) in matrices else "others"
            if parameter.requires_grad:
                groups[group].append(parameter)
        return groups

    @torch.no_grad()
    def refresh_evidence(self, items: ItemVectors | None = None) -> None:
        """Recompute the clusters that stand for the items below each prefix, from `items` or the present vectors."""
        if self.centroids is not None:
            items = self.item_vectors() if items is None else items
            self.centroids.refresh(self.tables, items.unit, items.direct_bias)

    # ---------------------------------------------------------------- generation

    @torch.no_grad()
    def item_vectors(self) -> ItemVectors:
        """Vectors and biases of the whole catalog, without gradient or dropout."""
        was_training = self.training
        self.eval()
        rows = torch.arange(self.item_encoder.num_items, device=self.dense_bias.device)
        vectors = torch.cat([self.item_encoder(part) for part in torch.split(rows, ROWS_AT_ONCE)])
        self.train(was_training)
        return ItemVectors(vectors, self.dense_bias.detach().clone(), self.direct_bias.detach().clone())

    def with_semantic_ids(self, semantic_ids: SemanticIds) -> "Cobra":
        """The same weights, not copied, over the IDs of a changed catalog; call `refresh_evidence` with its vectors before use."""
        twin = copy.copy(self)
        twin._modules = dict(self._modules)  # what is set below must not be set in this one
        twin.semantic_ids, twin.tables = semantic_ids, IdTables(semantic_ids).to(self.dense_bias.device)
        if self.centroids is not None:
            twin.centroids = CentroidEvidence(twin.tables, self.config.dim, self.config.num_centroids, self.config.exact_catalog_limit)
        return twin

    def encode_history(self, batch: Batch, items: ItemVectors) -> HistoryStates:
        """Read histories, each with at least one item."""
        lengths = batch.lengths
        if not bool((lengths > 0).all()):
            raise ValueError("A history without items has no state; leave such users out of the batch.")
        tokens = self._tokens(batch, items.vectors[batch.rows] if self.config.use_dense else None)
        last_state, cache = self.decoder.prefill(tokens, batch.mask)
        return HistoryStates(last_state, lengths, cache)

    def new_beams(self, history: HistoryStates) -> BeamCache:
        """Where beams over `history` keep what they append. The first `append_code` fixes their number, `select` changes it."""
        return BeamCache(len(history.cache.keys), self.num_levels)

    def prefix_mass(self, direct_query: Float[Tensor, "batch dim"] | None, items: ItemVectors) -> tuple[Tensor | None, ...] | None:
        """Evidence for `code_logits`: per level l the log-sums of direct scores below all prefixes of l + 1, [batch, prefixes]."""
        if direct_query is None or self.evidence == "off":
            return None
        queries = direct_query * self.direct_scale
        if self.centroids is not None:
            return self.centroids.log_sums(self.tables, queries)[1:]
        return exact_log_sums(self.tables, items.unit_in_order(self.tables.bucket_rows), queries, items.direct_bias)[1:]

    def code_logits(
        self,
        level: int,
        states: Float[Tensor, "batch beams dim"],
        prefixes: Int[Tensor, "batch beams"],
        mass: Sequence[Tensor | None] | None,
    ) -> Float[Tensor, "batch beams codes"]:
        """Logits of all codes of `level`; codes that no item has below the prefix get no evidence.

        Args:
            level: the level whose code comes next.
            states: state at the last code (level 0: at the history's last token, one beam).
            prefixes: prefix index of each beam at `level` (level 0: zeros).
            mass: what `prefix_mass` gave.
        """
        logits = self.code_heads[level](states)
        log_sums = None if mass is None else mass[level]
        if log_sums is None:
            return logits
        child = self.tables.children_of(level, prefixes)
        return logits + evidence_logits(log_sums, child.flatten(1), self.evidence_gain[level]).view_as(child)

    def append_code(
        self, history: HistoryStates, beams: BeamCache, level: int, codes: Int[Tensor, "batch beams"]
    ) -> Float[Tensor, "batch beams dim"]:
        """Append each beam's code of `level` and return the states at it."""
        return self.decoder.extend(self.code_embedding(codes + level * self.tables.codebook_size), level, history.cache, beams)

    def direct_queries(self, last_state: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch dim"] | None:
        """Unit-length direct queries from the states at the histories' last vector tokens."""
        return None if self.direct_head is None else unit_vectors(self.direct_head(last_state))

    def dense_queries(
        self, code_states: Float[Tensor, "batch beams dim"], last_state: Float[Tensor, "batch dim"]
    ) -> Float[Tensor, "batch beams dim"] | None:
        """Unit-length dense predictions: head(state at the last code + W * state at the last vector token) (eq. 5, 6).

        Without levels both states are the one at the last vector token: give it as the only beam.
        """
        if self.dense_head is None:
            return None
        states = code_states if self.skip is None else code_states + self.skip(last_state)[:, None]
        return unit_vectors(self.dense_head(states))

    def direct_logits(
        self, query: Float[Tensor, "*some dim"], items: ItemVectors, rows: Int[Tensor, "*some n"] | None = None
    ) -> Float[Tensor, "*some n"]:
        """cos / temperature + bias of the direct query with the whole catalog or `rows`."""
        return items.logits(query * self.direct_scale, items.direct_bias, rows)

    def dense_logits(
        self, query: Float[Tensor, "*some dim"], items: ItemVectors, rows: Int[Tensor, "*some n"] | None = None
    ) -> Float[Tensor, "*some n"]:
        """cos / temperature + bias of the dense query with the whole catalog or `rows`."""
        return items.logits(query * self.dense_scale, items.dense_bias, rows)

    def _tokens(self, batch: Batch, vectors: Float[Tensor, "batch length dim"] | None) -> Float[Tensor, "batch length types dim"]:
        """Codes, then the vector, of every item."""
        level = torch.arange(self.num_levels, device=batch.rows.device)
        others = self.code_embedding(self.tables.codes[batch.rows] + level * self.tables.codebook_size)
        if vectors is None:
            others, last = others[:, :, :-1], others[:, :, -1]
        else:
            last = dropout(vectors, self.config.item.embedding_dropout, self.training)
        last_month = self.get_buffer("last_month")
        month = None if batch.month is None else batch.month.minimum(last_month)
        day_gap = None if batch.day_gap is None else batch.day_gap * (last_month > 0)
        for embedding, bucket in ((self.day_gap_embedding, day_gap), (self.month_embedding, month)):
            if embedding is not None:
                last = last + embedding(torch.zeros_like(batch.rows) if bucket is None else bucket)
        return torch.cat([others, last[:, :, None]], 2)


def _take(vectors: Tensor, index: Tensor) -> Tensor:
    """`vectors[index]`, whose way back is much faster than that of indexing."""
    return vectors.index_select(0, index.flatten()).view(*index.shape, -1)


def _query_head(config: ModelConfig) -> nn.Linear:
    """From a state to a query. As identity: item vectors pass the residual stream, so the last item's neighbors come first at the start."""
    linear = nn.Linear(config.dim, config.dim)
    if config.identity_heads:
        nn.init.eye_(linear.weight)
        nn.init.zeros_(linear.bias)
    return linear


def _zero_linear(dim: int, num_outputs: int) -> nn.Linear:
    linear = nn.Linear(dim, num_outputs)
    nn.init.zeros_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


def _zero_embedding(num: int, dim: int) -> nn.Embedding:
    """Starts at 0, so that what training never sees, such as later months, says nothing."""
    embedding = nn.Embedding(num, dim)
    nn.init.zeros_(embedding.weight)
    return embedding


def _check(config: ModelConfig, semantic_ids: SemanticIds, item_encoder: ItemEncoder) -> None:
    check_model(config, semantic_ids.num_levels, item_encoder.num_items)
    if semantic_ids.num_items != item_encoder.num_items:
        raise ValueError(f"semantic_ids has {semantic_ids.num_items} items, item_encoder {item_encoder.num_items}.")
