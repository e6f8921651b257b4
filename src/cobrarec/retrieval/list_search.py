"""From a chunk of histories to ranked lists: beam search, search inside the IDs, fusion, order; more beams and a fill for short lists.

log score = (1 - w) * log Phi + w * log p_direct + m * log(1 + 10 * count), w = `direct_weight`, m = `memory_weight`: the fused score of
the cascade, the log-probability that the direct query gives the item over the catalog less the history, and the transition memory.
Catalogs above `exact_catalog_limit` are not scanned: there the direct query scores the items of the beams alone, and its denominator comes
from the centroids (history included) or, where the model keeps none, is left out, which shifts all of a user's log scores alike. The
memory scores the items of the beams alone in every catalog. `new_item_level` is added to both biases of items without training
interactions; the centroids know nothing of it, so that in large catalogs it moves items inside the beams, but no beams.
"""

import copy
import dataclasses
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor

from cobrarec.config import RetrievalConfig
from cobrarec.data.interactions import Histories
from cobrarec.model.cobra import Cobra, ItemVectors
from cobrarec.retrieval.beam_fusion import FusionSettings, Normalizers, beam_normalizers, fuse
from cobrarec.retrieval.beam_search import AllowedItems, Beams, beam_search, prune
from cobrarec.retrieval.encoded_histories import EncodedHistories, RemovedItems, encode_histories, log_softmax_without
from cobrarec.retrieval.found import Found
from cobrarec.retrieval.generating import generating
from cobrarec.retrieval.item_index import Candidates, ExactIndex, ItemIndex, nearest_in_history
from cobrarec.retrieval.list_engine import FusionWeights, Mask, Request
from cobrarec.retrieval.ordering import LOG_SCORE_STEP, log_scores_of_keys, order_keys
from cobrarec.retrieval.recommendations import BEAM, FILL, TERMS, Explanations, RankedLists
from cobrarec.retrieval.score_terms import fusion_weights, has_direct_query, score_formula
from cobrarec.retrieval.transition_memory import TransitionMemory
from cobrarec.semantic_ids.semantic_ids import SemanticIds

NUMBERS_PER_CHUNK = 6_000_000
"""Users are searched together as long as their largest arrays hold about this many numbers."""
MAX_USERS_PER_CHUNK = 256
"""More users at once are no faster on a CPU."""
GPU_FACTOR = 16
"""On a GPU so many times as many numbers, and users, at once: there a chunk costs its launches."""

Search: TypeAlias = Request[AllowedItems]
"""A request whose filter is in the form that beam search reads."""


class ListSearch:
    """The engine of the network: everything that stays the same between chunks."""

    read_settings = frozenset(RetrievalConfig.model_fields)

    def __init__(
        self,
        model: Cobra,
        items: ItemVectors,
        semantic_ids: SemanticIds,
        tie_ranks: npt.NDArray[np.int64],
        config: RetrievalConfig,
        memory: TransitionMemory | None = None,
        is_new: npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """`tie_ranks[row]`: place of the item in the order that breaks ties. Delisted items are in no list, but in histories.

        `is_new[row]`: whether nobody has taken the item in training; None: all were taken.
        """
        device = items.vectors.device
        self.model, self.semantic_ids, self.config, self.memory = model, semantic_ids, config, memory
        self.device = device
        self.is_listed = torch.from_numpy(semantic_ids.is_listed).to(device)
        self.is_new = torch.zeros_like(self.is_listed) if is_new is None else torch.from_numpy(is_new).to(device)
        self.items = items
        self.tables = model.tables
        self.tie_ranks = torch.from_numpy(tie_ranks).to(device)
        self.num_items = semantic_ids.num_items
        self.codebook_size = semantic_ids.codebook_size
        self.largest_buckets = np.cumsum(np.sort(np.diff(semantic_ids.bucket_offsets))[::-1]).tolist()
        self.scans = self.num_items <= model.config.exact_catalog_limit
        self.index = ExactIndex(items.unit, items.dense_bias * model.dense_temperature.detach(), semantic_ids, tie_ranks)
        self._read_settings()

    def __repr__(self) -> str:
        return f"{self.tables.num_levels} x {self.codebook_size} codes, dim {self.model.config.dim}"

    @property
    def codes(self) -> npt.NDArray[np.int32]:
        """Semantic IDs `[num_items, num_levels]`."""
        return self.semantic_ids.codes

    @property
    def unit_vectors(self) -> Tensor:
        """Item vectors `[num_items, dim]` of length 1."""
        return self.items.unit

    @property
    def max_history(self) -> int:
        """Latest items of a history that the decoder reads."""
        return self.model.config.decoder.max_history

    @property
    def weights(self) -> FusionWeights:
        """What the lists are ordered by beside the cascade."""
        return fusion_weights(self.model, self.memory is not None, self.config)

    @property
    def score_formula(self) -> str:
        """Which terms make a score, in words."""
        return score_formula(self.config, self.weights)

    def with_config(self, config: RetrievalConfig) -> "ListSearch":
        """The same search under other settings; tables and vectors are shared."""
        twin = copy.copy(self)
        twin.config = config
        twin._read_settings()
        return twin

    def _read_settings(self) -> None:
        """Everything that follows from the settings; vectors are not copied."""
        self.settings = FusionSettings.of(self.config, 1 / self.model.dense_temperature.item())
        model, items = self.model, self.items
        if level := self.config.new_item_level:
            items = items.with_level(self.is_new, level)
        self.listed_items = items.listed_only(self.is_listed)
        self.index = self.index.with_biases(items.dense_bias * model.dense_temperature.detach())
        self.direct_index: ItemIndex | None = None
        if has_direct_query(model) and not self.scans:
            self.direct_index = self.index.with_biases(items.direct_bias * model.direct_temperature.detach())

    def users_per_chunk(self, num_beams: int | None = None) -> int:
        """How many users to search at once, for arrays of about `NUMBERS_PER_CHUNK`; by default with the beams of the settings."""
        num_beams = min(num_beams or self.config.num_beams, self.tables.num_ids)
        found = 3 * self.largest_buckets[num_beams - 1]  # several arrays, float64
        tree = num_beams * (self.codebook_size if self.tables.num_levels > 1 else 1)
        state = num_beams * self.model.config.dim * (1 + self.tables.num_levels)
        largest = max(self.num_items if self.scans else 0, found, tree, state, 1)
        factor = GPU_FACTOR if self.device.type == "cuda" else 1
        return max(1, min(factor * MAX_USERS_PER_CHUNK, factor * NUMBERS_PER_CHUNK // largest))

    def lists(self, histories: Histories, request: Request[Mask]) -> list[RankedLists]:
        """Ranked lists of one chunk of users, each with at least one item; one set for each of the request's weights."""
        allowed = None
        if request.allowed is not None:
            allowed = AllowedItems(torch.from_numpy(request.allowed).to(self.device) & self.is_listed, self.tables)
        search = Request(request.k, request.weights, allowed, request.explain)
        with generating(self.model):
            return self._lists(histories, search, self.config.num_beams, None)

    def nearest(self, history: npt.NDArray[np.int64], listed: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """For each listed row the row of the history whose vector has the largest cosine with it, the latest of equals."""
        return nearest_in_history(self.items.unit, history, listed)

    def _lists(self, histories: Histories, request: Search, num_beams: int, normalizers: Normalizers | None) -> list[RankedLists]:
        removed = RemovedItems.none(self.device)
        if not self.config.include_history:
            removed = RemovedItems.of(histories, self.semantic_ids.is_listed, self.device)
        scan = self.scans and (request.explain or any(weights.direct for weights in request.weights))
        encoded = encode_histories(self.model, self.listed_items, histories, removed, scan)
        if normalizers is None and request.allowed is not None:
            normalizers = self._unfiltered_normalizers(encoded, num_beams)
        found, normalizers = self._find(encoded, num_beams, request.allowed, normalizers)
        if self.memory is not None and any(weights.memory for weights in request.weights):
            found = dataclasses.replace(found, log_memory=self._log_memory(histories, found))
        lists = [self._ordered(found, request, weights) for weights in request.weights]
        missing = (self._num_wanted(removed, histories.num_users, request) - found.num_found()).cpu().numpy()
        short = np.flatnonzero(missing > 0) if self.config.fill else np.zeros(0, dtype=np.int64)
        if len(short) == 0:
            return lists
        grows = torch.isfinite(found.beams.log_probs[:, -1]).cpu().numpy()[short] & (num_beams < self.tables.num_ids)
        grows &= self.config.fusion == "beam-fusion"
        self._grow(short[grows], histories, request, num_beams, (lists, normalizers))
        for ranked in lists:
            self._fill(ranked, short[~grows], encoded, found, request)
        return lists

    def _num_wanted(self, removed: RemovedItems, num_users: int, request: Search) -> Int[Tensor, " batch"]:
        """How many items each list should hold: k, or what the filters and the history leave."""
        rows, total = removed.users, self.semantic_ids.num_listed
        if request.allowed is not None:
            rows, total = removed.users[request.allowed.rows[removed.rows]], request.allowed.num_items
        return (total - torch.bincount(rows, minlength=num_users)).clamp(max=request.k)

    def _grow(
        self,
        users: npt.NDArray[np.int64],
        histories: Histories,
        request: Search,
        num_beams: int,
        results: tuple[list[RankedLists], Normalizers],
    ) -> None:
        """Search again with twice the beams for the users whose beams hold too few items, and write their lists over the short ones."""
        lists, normalizers = results
        wider = min(2 * num_beams, self.tables.num_ids)
        step = self.users_per_chunk(wider)
        for part in (users[start : start + step] for start in range(0, len(users), step)):
            chosen = torch.from_numpy(part).to(self.device)
            grown = self._lists(histories.select(part), request, wider, normalizers.select(chosen))
            for ranked, replacement in zip(lists, grown, strict=True):
                ranked.write(part, replacement)

    def _find(
        self, encoded: EncodedHistories, num_beams: int, allowed: AllowedItems | None, normalizers: Normalizers | None
    ) -> tuple[Found, Normalizers]:
        """Beams, their items and the parts of their scores."""
        removed, states = encoded.removed, encoded.states
        beams = self._beams(encoded, num_beams, allowed)
        dense = self.model.dense_queries(beams.states, states.last_state)
        ids = beams.ids.flatten()
        places = removed.pairs(beams.ids, self.tables)
        candidates = self.index.search(None if dense is None else dense.flatten(0, 1), ids, *places)
        kept = None if allowed is None else allowed.rows[candidates.rows]
        fused, normalizers = fuse(candidates, beams.log_probs, self.settings, kept, normalizers)
        log_direct = self._log_direct(encoded, candidates, ids, places)
        return Found(beams, dense, candidates, fused, fused.log_scores(candidates), log_direct, None), normalizers

    def _beams(self, encoded: EncodedHistories, num_beams: int, allowed: AllowedItems | None) -> Beams:
        pruning = prune(self.tables, encoded.removed.users, encoded.removed.rows, allowed)
        beams = beam_search(self.model, encoded.states, self.tables, num_beams, encoded.mass, pruning)
        if self.config.fusion == "top-id":
            return Beams(beams.ids[:, :1], beams.log_probs[:, :1], beams.states[:, :1])
        return beams

    def _unfiltered_normalizers(self, encoded: EncodedHistories, num_beams: int) -> Normalizers:
        """Those of the search without filters, whose items are looked at only where the second softmax runs over all of them."""
        if self.settings.similarity_softmax == "all":
            return self._find(encoded, num_beams, None, None)[1]
        over_beams = beam_normalizers(self._beams(encoded, num_beams, None).log_probs, self.settings.tau)
        return Normalizers(beams=over_beams, all_items=torch.zeros_like(over_beams))

    def _log_direct(
        self, encoded: EncodedHistories, candidates: Candidates, ids: Int[Tensor, " num_pairs"], places: tuple[Tensor, Tensor]
    ) -> Float[Tensor, " num_candidates"] | None:
        """The direct query's log-probability of each candidate, float64; see the top of the file for large catalogs."""
        num_users = len(encoded.states.last_state)
        users = candidates.pairs // (len(ids) // num_users)
        if encoded.log_direct is not None:
            return encoded.log_direct.view(-1).index_select(0, users * self.num_items + candidates.rows).double()
        if self.direct_index is None or encoded.direct_query is None:
            return None
        queries = encoded.direct_query.repeat_interleave(len(ids) // num_users, 0)
        similarities = self.direct_index.search(queries, ids, *places).similarities
        return (similarities / self.model.direct_temperature - encoded.direct_normalizer[users, 0]).double()

    def _log_memory(self, histories: Histories, found: Found) -> Float[Tensor, " num_candidates"]:
        """What the transition memory says of each candidate, float64."""
        assert self.memory is not None
        log_scores = self.memory.log_scores_at(histories, found.users.cpu().numpy(), found.candidates.rows.cpu().numpy())
        return torch.from_numpy(log_scores).to(self.device)

    def _ordered(self, found: Found, request: Search, weights: FusionWeights) -> RankedLists:
        """The best k candidates of each user."""
        log_scores = found.log_phi
        if weights.direct and found.log_direct is not None:
            mixed = (1 - weights.direct) * log_scores + weights.direct * found.log_direct
            log_scores = torch.where(torch.isneginf(found.log_phi), -torch.inf, mixed)
        if weights.memory and found.log_memory is not None:
            log_scores = log_scores + weights.memory * found.log_memory
        candidates, bounds, users = found.candidates, found.bounds, found.users
        width = int(bounds.diff().max()) if len(users) else 0
        keys = torch.full((len(bounds) - 1, max(width, 1)), -1, dtype=torch.int64, device=self.device)
        place = torch.arange(len(users), device=self.device) - bounds[users]
        keys[users, place] = order_keys(log_scores, candidates.rows, self.tie_ranks)
        keys, place = torch.topk(keys, min(request.k, keys.shape[1]), dim=1)
        listed = keys >= 0
        place = (bounds[:-1, None] + place).masked_fill(~listed, 0)
        return RankedLists(
            rows=_masked(candidates.rows, place, listed, -1).to(torch.int32).cpu().numpy(),
            log_scores=log_scores_of_keys(keys, self.num_items).cpu().numpy(),
            sources=torch.where(listed, BEAM, -1).to(torch.int8).cpu().numpy(),
            num_beams=torch.isfinite(found.beams.log_probs).sum(1).cpu().numpy(),
            explanations=self._explanations(found, place, listed, weights) if request.explain else None,
        ).padded(request.k)

    def _explanations(self, found: Found, place: Int[Tensor, "batch k"], listed: Tensor, weights: FusionWeights) -> Explanations:
        """What made the scores of the candidates at `place`."""
        candidates, nan = found.candidates, torch.nan
        pairs = _masked(candidates.pairs, place, listed, 0)
        rows = _masked(candidates.rows, place, listed, 0)
        beam = torch.where(listed, found.fused.log_beam[pairs], nan)
        probability = torch.where(listed, found.beams.log_probs.flatten().double().exp()[pairs], nan)
        cosines = torch.full(place.shape, nan, dtype=torch.float64, device=self.device)
        if found.dense_queries is not None:
            products = (found.dense_queries.flatten(0, 1)[pairs] * self.items.unit[rows]).sum(-1)
            cosines = torch.where(listed, products.double(), nan)
        weight = weights.direct if found.log_direct is not None else 0.0
        terms = {"beam": (1 - weight) * beam, "similarity": (1 - weight) * _masked(found.fused.log_similarity, place, listed, nan)}
        if found.log_direct is not None:
            terms["direct"] = weight * _masked(found.log_direct, place, listed, nan)
        if found.log_memory is not None:
            terms["memory"] = weights.memory * _masked(found.log_memory, place, listed, nan)
        arrays = {name: term.cpu().numpy() for name, term in terms.items()}
        missing = {name: np.full(place.shape, np.nan) for name in TERMS if name not in arrays}
        return Explanations(probability.cpu().numpy(), cosines.cpu().numpy(), arrays | missing)

    def _fill(self, ranked: RankedLists, users: npt.NDArray[np.int64], encoded: EncodedHistories, found: Found, request: Search) -> None:
        """Append the nearest items of the whole catalog to short lists: by the direct query, else by the best beam's dense query.

        Their log scores are the list's lowest plus the query's log-probability. The one place that scans a large catalog too.
        """
        step = max(1, NUMBERS_PER_CHUNK // self.num_items)
        for part in (users[start : start + step] for start in range(0, len(users), step)):
            chosen = torch.from_numpy(part).to(self.device)
            queries, logits = self._fill_logits(chosen, encoded, found)
            log_probs = log_softmax_without(logits, encoded.removed.select(chosen, len(found.beams.ids))).double()
            lengths = torch.from_numpy(ranked.lengths[part]).to(self.device)
            lowest = torch.from_numpy(ranked.log_scores[part]).to(self.device).gather(1, (lengths - 1).clamp(min=0)[:, None])
            log_scores = torch.where(lengths[:, None] > 0, lowest, 0.0) + log_probs.clamp(max=0) - LOG_SCORE_STEP
            listed = torch.from_numpy(ranked.rows[part].astype(np.int64)).to(self.device)
            owners = torch.arange(len(part), device=self.device)[:, None].expand_as(listed)
            log_scores[owners[listed >= 0], listed[listed >= 0]] = -torch.inf
            if request.allowed is not None:
                log_scores.masked_fill_(~request.allowed.rows, -torch.inf)
            rows = torch.arange(self.num_items, device=self.device).expand_as(log_scores)
            keys, rows = torch.topk(order_keys(log_scores, rows, self.tie_ranks), min(request.k, self.num_items), dim=1)
            more = self._filling(keys, rows, queries, request.explain)
            ranked.append(part, more)

    def _filling(self, keys: Int[Tensor, "chosen k"], rows: Int[Tensor, "chosen k"], queries: Tensor | None, explain: bool) -> RankedLists:
        """Lists of filled items; where asked for with explanations, which have cosines if there are `queries`."""
        chosen, k = keys.shape
        more = RankedLists.empty(chosen, k, Explanations.empty(chosen, k, TERMS) if explain else None)
        more.rows[:] = rows.masked_fill(keys < 0, -1).cpu().numpy()
        more.log_scores[:] = log_scores_of_keys(keys, self.num_items).cpu().numpy()
        more.sources[:] = np.where(more.rows >= 0, FILL, -1)
        if more.explanations is not None:
            if queries is not None:
                more.explanations.cosines[:] = (queries[:, None] * self.items.unit[rows]).sum(-1).cpu().numpy()
            more.explanations.terms["fill"][:] = more.log_scores
        return more

    def _fill_logits(
        self, users: Int[Tensor, " chosen"], encoded: EncodedHistories, found: Found
    ) -> tuple[Float[Tensor, "chosen dim"] | None, Float[Tensor, "chosen num_items"]]:
        """The query that fills, and its scores of the whole catalog (all 0, so by hash, where the model has neither query)."""
        if encoded.direct_query is not None:
            query = encoded.direct_query[users]
            return query, self.model.direct_logits(query, self.listed_items, None)
        if found.dense_queries is not None:
            query = found.dense_queries[users, 0]
            return query, self.model.dense_logits(query, self.listed_items, None)
        return None, torch.where(self.is_listed, 0.0, -torch.inf).expand(len(users), -1).clone()


def _masked(values: Tensor, place: Int[Tensor, "batch k"], listed: Tensor, missing: float | int) -> Tensor:
    """values[place] where something is listed, else `missing`; also of no values at all."""
    if len(values) == 0:
        return torch.full(place.shape, missing, dtype=values.dtype, device=values.device)
    return torch.where(listed, values[place], missing)
