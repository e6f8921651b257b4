"""Slow, obvious references of the baselines."""

import math
from collections import Counter, defaultdict

import numpy as np
import numpy.typing as npt


def popular_lists(
    train: list[list[int]], histories: list[list[int]], ties: npt.NDArray[np.uint64], k: int, masked: bool
) -> list[list[int]]:
    """The k most frequent items that the history lacks."""
    counts = Counter(row for rows in train for row in rows)
    order = sorted(range(len(ties)), key=lambda row: (-counts[row], int(ties[row])))
    return [[row for row in order if not (masked and row in history)][:k] for history in histories]


def transition_counts(train: list[list[int]], window: int) -> dict[int, dict[int, float]]:
    """count(a, b) = sum of 1 / distance."""
    counts: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for rows in train:
        for place, row in enumerate(rows):
            for distance, later in enumerate(rows[place + 1 : place + 1 + window], start=1):
                counts[row][later] += 1 / distance
    return counts


def transition_lists(
    train: list[list[int]], histories: list[list[int]], ties: npt.NDArray[np.uint64], k: int, window: int, last: int
) -> list[list[int]]:
    """Items by log share of the score, rounded to 1e-5, then popular ones, the history masked."""
    counts = transition_counts(train, window)
    lists = []
    for history, popular in zip(histories, popular_lists(train, histories, ties, len(ties), True), strict=True):
        scores: dict[int, float] = defaultdict(float)
        for from_end, row in enumerate(reversed(history[-last:]), start=1):
            for item, count in counts[row].items():
                scores[item] += count / from_end
        left = {row: score for row, score in scores.items() if row not in history}
        total = sum(left.values())
        scored = sorted(left, key=lambda row: (-round(math.log(left[row] / total) / 1e-5), int(ties[row])))
        lists.append((scored + [row for row in popular if row not in scored])[:k])
    return lists


def content_scores(embeddings: npt.NDArray[np.float32], history: list[int], last: int) -> dict[int, float]:
    """log((1 + cosine) / 2) of every item with a text, with the decayed sum of the last items' unit embeddings; none without a profile."""
    lengths = np.linalg.norm(embeddings.astype(np.float64), axis=1)
    profile = np.zeros(embeddings.shape[1])
    for from_end, row in enumerate(reversed(history[-last:]), start=1):
        if lengths[row] > 0:
            profile += embeddings[row] / lengths[row] / from_end
    if np.linalg.norm(profile) < 1e-9:
        return {}
    profile /= np.linalg.norm(profile)
    with_text = [row for row in range(len(embeddings)) if lengths[row] > 0]
    return {row: math.log((1 + float(profile @ embeddings[row]) / lengths[row]) / 2) for row in with_text}
