"""The losses by their equations: a loop over targets and plain sums of exponentials in double precision."""

import math

import torch


def sparse(logits, codes):
    """Equation 7 for one target: minus the log of the probabilities of its codes."""
    return sum(-float(one.double().log_softmax(0)[code]) for one, code in zip(logits, codes, strict=True))


def contrastive(query, scale, vectors, bias, positive, negatives, corrections=None):
    """Equation 8 for one target: softmax over it and its negatives, a set that never holds itself."""

    def logit(row):
        cosine = float(torch.nn.functional.cosine_similarity(query.double(), vectors[row].double(), dim=0))
        return scale * cosine + float(bias[row])

    negatives = {int(row) for row in negatives} - {int(positive)}
    terms = [logit(positive)] + [logit(row) - (corrections or {}).get(row, 0.0) for row in sorted(negatives)]
    return math.log(sum(math.exp(term) for term in terms)) - logit(positive)
