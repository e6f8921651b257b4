"""Slow, obvious versions of what `retrieval` does fast: loops over users, beams and items."""

import copy
import math

import numpy as np
import torch

from cobrarec.data.interactions import Histories
from cobrarec.model.batch import collate
from cobrarec.model.item_vectors import ItemVectors

WALKED = {}


def logsumexp(values):
    values = [v for v in values if v != -math.inf]
    if not values:
        return -math.inf
    peak = max(values)
    return peak + math.log(sum(math.exp(v - peak) for v in values))


def fused_scores(buckets, log_probs, tau, psi, num_nearest, reading, struck=()):
    """log Phi of one user. `buckets`: per beam item -> similarity, in the order of ties, history left out; `struck`: what filters cut."""

    def by_logit(pair):
        return -round(psi * pair[1] / 1e-5)

    beam_total = logsumexp([tau * phi for phi in log_probs])
    nearest = [dict(sorted(bucket.items(), key=by_logit)[:num_nearest]) for bucket in buckets]
    over_all = logsumexp([psi * s for bucket in nearest for s in bucket.values()])
    scores = {}
    for bucket, near, phi in zip(buckets, nearest, log_probs, strict=True):
        domain = {"bucket": bucket, "candidates": near}.get(reading)
        denominator = over_all if domain is None else logsumexp([psi * s for s in domain.values()])
        left = {item: s for item, s in bucket.items() if item not in struck}
        for item, s in sorted(left.items(), key=by_logit)[:num_nearest]:
            scores[item] = tau * phi - beam_total + psi * s - denominator
    return scores


def ordered(scores, tie_ranks):
    """Items by rounded log score, ties by rank of their hash."""
    return sorted(scores, key=lambda item: (-round(scores[item] / 1e-5), tie_ranks[item]))


def random_codes(num_items, num_levels, codebook_size, seed):
    return np.random.default_rng(seed).integers(0, codebook_size, (num_items, num_levels)).astype(np.int32)


def paths(recommender, history):
    """See `_paths`; what was walked once is remembered, with the model, so that its `id` stays its own."""
    rows = tuple(int(row) for row in history)
    raised = tuple(np.flatnonzero(recommender.info.popularity == 0)) if recommender.config.new_item_level else ()
    key = (id(recommender.model), rows, recommender.config.new_item_level, raised)
    if key not in WALKED:
        WALKED[key] = recommender.model, _paths(recommender.model, raised_items(recommender), recommender.semantic_ids, rows)
    return WALKED[key][1]


def raised_items(recommender):
    """The item vectors with the level of new items in their biases, item by item."""
    items = copy.deepcopy(recommender.items.arrays())
    for row, count in enumerate(recommender.info.popularity):
        if count == 0:
            items["dense_bias"][row] += recommender.config.new_item_level
            items["direct_bias"][row] += recommender.config.new_item_level
    return ItemVectors.from_arrays(items)


@torch.no_grad()
def _paths(model, items, ids, history):
    """phi and the dense query of every ID for one user's rows: {id: (phi, query)}; and phi of every prefix, per level: [{codes: phi}]."""
    batch = collate(Histories.from_lists([history]), None, model.config.decoder.max_history)
    states = model.encode_history(batch, items)
    mass = model.prefix_mass(model.direct_queries(states.last_state), items)
    by_level, found = [{} for _ in range(ids.num_levels)], {}
    for index in range(ids.num_ids):
        cache, state, prefix, phi = model.new_beams(states), states.last_state[:, None], 0, 0.0
        for level in range(ids.num_levels):
            code = int(ids.id_codes[index, level])
            logits = model.code_logits(level, state, torch.tensor([[prefix]]), mass)
            phi += torch.log_softmax(logits, -1)[0, 0, code].item()
            by_level[level][tuple(ids.id_codes[index, : level + 1].tolist())] = phi
            if level:
                cache.select(torch.tensor([[0]]))
            state = model.append_code(states, cache, level, torch.tensor([[code]]))
            prefix = int(ids.child[level][prefix, code])
        query = model.dense_queries(state, states.last_state)
        found[index] = (phi, None if query is None else query[0, 0])
    return found, by_level


def best_ids(recommender, by_level, num_beams, left):
    """The IDs that beam search keeps: level after level the `num_beams` best prefixes that have an item in `left`."""
    ids = recommender.semantic_ids
    kept = {()}
    for level, phis in enumerate(by_level):
        alive = {tuple(ids.codes[row, : level + 1].tolist()) for row in left}
        reached = [prefix for prefix in phis if prefix in alive and prefix[:-1] in kept]
        kept = set(sorted(reached, key=lambda prefix: (-round(phis[prefix] / 1e-5), prefix))[:num_beams])
    return [index for index in range(ids.num_ids) if tuple(ids.id_codes[index].tolist()) in kept]


@torch.no_grad()
def slow_scores(recommender, history, num_beams, struck=()):
    """Log scores of all items that the beams of one user hold, item by item. Neither more beams nor a fill."""
    model, items, ids, config = recommender.model, raised_items(recommender), recommender.semantic_ids, recommender.config
    removed = set() if config.include_history else {int(row) for row in history}
    left = set(np.flatnonzero(ids.is_listed).tolist()) - removed
    found, by_level = paths(recommender, history)
    unit = torch.nn.functional.normalize(items.vectors, dim=1)

    def bucket(index):
        query = found[index][1]
        rows = sorted((int(row) for row in ids.bucket(index) if int(row) not in removed), key=lambda row: recommender._tie_ranks[row])
        if query is None:
            return dict.fromkeys(rows, 0.0)
        return {row: (query @ unit[row] + model.dense_temperature * items.dense_bias[row]).item() for row in rows}

    psi = config.psi if config.psi is not None else 1 / model.dense_temperature.item()
    parts = []
    for candidates in (left, left - set(struck)):
        kept = best_ids(recommender, by_level, num_beams, candidates)
        parts.append(([bucket(index) for index in kept], [found[index][0] for index in kept]))
    numbers = (config.tau, psi, config.items_per_beam, config.similarity_softmax)
    phi = fused_scores(*parts[0], *numbers, struck) if not struck else filtered_scores(parts, numbers, struck)
    weight, memory = recommender.weights.direct, recommender.weights.memory
    if weight:
        direct = direct_log_probs(recommender, history, removed)
        phi = {row: (1 - weight) * score + weight * direct[row] for row, score in phi.items()}
    if memory:
        counted = recommender.network.memory.scores(Histories.from_lists([history])).toarray()[0]
        phi = {row: score + memory * math.log(1 + 10 * counted[row]) for row, score in phi.items()}
    return phi


def filtered_scores(parts, numbers, struck):
    """log Phi under filters: beams found with them, normalizers of the beams found without."""
    tau, psi, num_nearest, reading = numbers
    (buckets, log_probs), (own_buckets, own_log_probs) = parts
    shift = logsumexp([tau * phi for phi in own_log_probs]) - logsumexp([tau * phi for phi in log_probs])
    if reading == "all":
        totals = []
        for group in (own_buckets, buckets):
            near = [sorted(bucket.values(), reverse=True)[:num_nearest] for bucket in group]
            totals.append(logsumexp([psi * s for values in near for s in values]))
        shift += totals[0] - totals[1]
    scores = fused_scores(own_buckets, own_log_probs, tau, psi, num_nearest, reading, struck)
    return {row: score + shift for row, score in scores.items()}


@torch.no_grad()
def direct_log_probs(recommender, history, removed):
    """The direct query's log-probabilities over the catalog less what is removed."""
    model, items = recommender.model, raised_items(recommender)
    batch = collate(Histories.from_lists([history]), None, model.config.decoder.max_history)
    query = model.direct_queries(model.encode_history(batch, items).last_state)[0]
    unit = torch.nn.functional.normalize(items.vectors, dim=1)
    logits = {}
    for row in range(len(unit)):
        if row not in removed and recommender.semantic_ids.is_listed[row]:
            logits[row] = (query @ unit[row] / model.direct_temperature + items.direct_bias[row]).item()
    total = logsumexp(list(logits.values()))
    return {row: logit - total for row, logit in logits.items()}
