"""One order for everything that is ranked: log scores rounded to 1e-5, ties by a fixed rank (for items a seeded hash of their ids).

The rounded score and the tie's rank are packed into one integer, so that a plain top-k is the whole order, with nothing left to chance.
"""

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor

LOG_SCORE_STEP = 1e-5
"""Log scores are rounded to this before they are ordered: closer ones are ties."""
LOG_SCORE_RANGE = 2e4
"""Log scores beyond (probabilities under 1e-8685) are taken as this far from 0, so that 2**62 holds them for 10**9 things."""


def order_keys(
    log_scores: Float[Tensor, "*shape"], things: Int[Tensor, "*shape"], tie_ranks: Int[Tensor, " num_things"]
) -> Int[Tensor, "*shape"]:
    """One integer each, whose descending order is the order of rank; -1 where the log score is -inf."""
    num_things = len(tie_ranks)
    bounded = log_scores.double().clamp(-LOG_SCORE_RANGE, LOG_SCORE_RANGE)
    steps = torch.round((bounded + LOG_SCORE_RANGE) / LOG_SCORE_STEP).to(torch.int64)
    return torch.where(torch.isneginf(log_scores), -1, steps * num_things + (num_things - 1 - torch.take(tie_ranks, things)))


def log_scores_of_keys(keys: Int[Tensor, "*shape"], num_things: int) -> Float[Tensor, "*shape"]:
    """The rounded log scores inside `order_keys`, float64; -inf where the key is -1."""
    log_scores = torch.round((keys // num_things).double() - LOG_SCORE_RANGE / LOG_SCORE_STEP) * LOG_SCORE_STEP
    return torch.where(keys < 0, -torch.inf, log_scores)


def rounded(log_scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The nearest multiples of `LOG_SCORE_STEP`."""
    return np.round(log_scores / LOG_SCORE_STEP) * LOG_SCORE_STEP


def tie_ranks_of(tie_breakers: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Place of each item in the ascending order of `tie_breakers`."""
    order = np.argsort(tie_breakers, kind="stable")
    ranks = np.empty(len(order), np.int64)
    ranks[order] = np.arange(len(order))
    return ranks
