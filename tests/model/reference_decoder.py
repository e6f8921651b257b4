"""A decoder that computes one token at a time from its definition, and a model read token by token: slow and obvious."""

import math

import torch
from torch.nn import functional as F


def states_of(decoder, tokens, places, types):
    """States after `tokens` [n, dim] of one sequence, with the item place and the type of each; no batch, no cache, no padding."""
    config = decoder.config
    x = [t + decoder.type_embedding[k] for t, k in zip(tokens, types, strict=True)]
    if config.position_embedding:
        x = [t + decoder.position_embedding[p] for t, p in zip(x, places, strict=True)]
    for block in decoder.blocks:
        normed = [block.norm_attention(t) for t in x]
        out = []
        for i in range(len(x)):
            query = block.query(normed[i]).chunk(config.num_heads)
            mixed = []
            for head in range(config.num_heads):
                logits, values = [], []
                for j in range(i + 1):
                    key, value = block.key_value(normed[j]).chunk(2)
                    logit = query[head] @ key.chunk(config.num_heads)[head] / math.sqrt(len(query[head]))
                    if decoder.relative_bias is not None:
                        distance = min(places[i] - places[j], config.max_history)
                        logit = logit + decoder.relative_bias.weight[head, types[i], types[j], distance]
                    logits.append(logit)
                    values.append(value.chunk(config.num_heads)[head])
                mixed.append(sum(w * v for w, v in zip(torch.stack(logits).softmax(0), values, strict=True)))
            attended = x[i] + block.out(torch.cat(mixed))
            out.append(attended + block.down(F.gelu(block.up(block.norm_feedforward(attended)))))
        x = out
    return [decoder.norm(t) for t in x]


def read(model, rows, items, next_codes=(), day_gap=None, month=None):
    """States after every token of the items `rows` and the codes `next_codes` of the item after them."""
    tokens, places, types = [], [], []
    for place, row in enumerate(rows):
        for level in range(model.num_levels):
            code = int(model.semantic_ids.codes[row, level])
            tokens.append(model.code_embedding.weight[level * model.semantic_ids.codebook_size + code])
        if model.config.use_dense:
            tokens.append(items.vectors[row])
        if model.day_gap_embedding is not None:
            tokens[-1] = tokens[-1] + model.day_gap_embedding.weight[0 if day_gap is None else day_gap[place]]
        if model.month_embedding is not None:
            tokens[-1] = tokens[-1] + model.month_embedding.weight[0 if month is None else month[place]]
        places += [place] * model.num_token_types
        types += range(model.num_token_types)
    for level, code in enumerate(next_codes):
        tokens.append(model.code_embedding.weight[level * model.semantic_ids.codebook_size + code])
        places.append(len(rows))
        types.append(level)
    return states_of(model.decoder, tokens, places, types)


def predictions(model, rows, items, target):
    """Code logits per level, dense query and direct query for one target after one history."""
    codes = [int(c) for c in model.semantic_ids.codes[target]]
    states = read(model, rows, items, codes)
    n, ids = len(rows) * model.num_token_types, model.semantic_ids
    before, last_code = states[n - 1], states[-1]
    direct = None if model.direct_head is None else F.normalize(model.direct_head(before), dim=0)
    logits, prefix = [], 0
    for level in range(model.num_levels):
        one = model.code_heads[level](before if level == 0 else states[n + level - 1]).clone()
        if model.evidence == "exact":
            scores = model.direct_scale * (items.unit @ direct) + items.direct_bias
            for code in range(ids.codebook_size):
                child = int(ids.child[level][prefix, code])
                below = [r for r in range(ids.num_items) if ids.prefix_of_id(level + 1)[ids.id_of_row[r]] == child]
                one[code] = one[code] + model.evidence_gain[level] * scores[below].logsumexp(0) if below else one[code]
        logits.append(one)
        prefix = int(ids.child[level][prefix, codes[level]])
    dense = None
    if model.dense_head is not None:
        dense = last_code if model.skip is None else last_code + model.skip.weight @ before
        dense = F.normalize(model.dense_head(dense), dim=0)
    return logits, dense, direct
