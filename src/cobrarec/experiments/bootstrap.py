"""Paired bootstrap over users: how far the difference of two models can be trusted, given the users that there are."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from cobrarec.errors import DataError
from cobrarec.experiments.records import Ranks

SeedRanks: TypeAlias = Mapping[int, Ranks]
"""A model's ranks by seed."""
NUM_SAMPLES = 1000
METRICS = ("recall@10", "ndcg@10")
K = 10
_SAMPLES_PER_CHUNK = 50


@dataclass(frozen=True)
class Difference:
    """One model's mean less another's, and the interval that holds 95 % of the resampled differences."""

    mean: float
    low: float
    high: float


def user_values(ranks: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Recall@10 and NDCG@10 of each user with one target, `[num_users, 2]`, from its rank (0: not listed)."""
    hit = (ranks > 0) & (ranks <= K)
    return np.stack([hit, np.where(hit, 1 / np.log2(np.maximum(ranks, 1) + 1.0), 0.0)], axis=1).astype(np.float64)


def mean_values(seeds: Sequence[Ranks]) -> npt.NDArray[np.float64]:
    """Per-user values averaged over the seeds of a model; raises DataError where these are not the same users."""
    if len({(one.users, len(one.ranks)) for one in seeds}) != 1:
        raise DataError("The rank files of one model are of other users. Run the experiment again on one and the same data.")
    return np.mean([user_values(one.ranks) for one in seeds], axis=0)


def compare(
    first: SeedRanks, others: Mapping[str, SeedRanks], num_samples: int = NUM_SAMPLES, seed: int = 0, paired: Collection[str] = ()
) -> dict[str, dict[str, Difference]]:
    """`first` less each of the `others`, by name and metric; the same draws of users serve all.

    Each is the mean over its seeds. Where seeds have targets of their own, as with ties shuffled by the seed, and for the names in
    `paired`, whose seeds are one training with those of `first`, the mean is over the seeds that both have; a model without any in
    common is left out.

    Raises:
        DataError: the files are not of the same users, or, of one seed, not of the same targets.
    """
    apart = {}
    for name, other in others.items():
        _refuse_other_data(first, other)
        takes_all = name not in paired and _targets(first) == _targets(other)
        pair = [first, other] if takes_all else _with_shared_seeds(first, other)
        if all(pair):
            values, beside = (mean_values(list(one.values())) for one in pair)
            apart[name] = values - beside
    found: dict[str, dict[str, Difference]] = {}
    if apart:
        columns = np.concatenate(list(apart.values()), axis=1)
        means, limits = iter(columns.mean(0).tolist()), iter(intervals(columns, num_samples, seed).tolist())
        for name in apart:
            found[name] = {metric: Difference(next(means), *next(limits)) for metric in METRICS}
    return found


def _targets(seeds: SeedRanks) -> set[str]:
    return {one.targets for one in seeds.values()}


def _with_shared_seeds(first: SeedRanks, second: SeedRanks) -> list[SeedRanks]:
    shared = sorted(first.keys() & second.keys())
    return [{seed: one[seed] for seed in shared} for one in (first, second)]


def intervals(values: npt.NDArray[np.float64], num_samples: int = NUM_SAMPLES, seed: int = 0) -> npt.NDArray[np.float64]:
    """The 2.5 % and 97.5 % quantiles `[num_columns, 2]` of the column means over users drawn with replacement.

    Args:
        values: `[num_users, num_columns]`.
        num_samples: how often as many users are drawn as there are.
        seed: of the draws.
    """
    rng, num_users = np.random.default_rng(seed), len(values)
    means = np.empty((num_samples, values.shape[1]))
    for start in range(0, num_samples, _SAMPLES_PER_CHUNK):
        size = min(_SAMPLES_PER_CHUNK, num_samples - start)
        drawn = rng.integers(num_users, size=(size, num_users)) + num_users * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * num_users).reshape(size, num_users)
        means[start : start + size] = counts.astype(np.float64) @ values / num_users
    return np.quantile(means, [0.025, 0.975], axis=0).T


def _refuse_other_data(first: SeedRanks, second: SeedRanks) -> None:
    way_out = "Run the experiment again on one and the same data."
    if {one.users for one in first.values()} != {one.users for one in second.values()}:
        raise DataError(f"The rank files of the two models are of other users. {way_out}")
    for shared in first.keys() & second.keys():
        if first[shared].targets != second[shared].targets:
            raise DataError(f"The rank files of seed {shared} are of other targets. {way_out}")
