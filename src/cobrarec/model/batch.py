"""Batches: where padding is, which items are predicted and which item vectors a step needs. Nobody else knows.

Sequences are padded on the right, so that in a causal decoder no real token ever sees a padded one.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from cobrarec.data.interactions import Histories
from cobrarec.data.timestamps import UNKNOWN_TIME
from cobrarec.semantic_ids.semantic_ids import SemanticIds

NUM_DAY_GAPS = 16
"""Buckets of the gap to the previous item: 0 unknown, else 1 + floor(log2(1 + days)), at most 15."""
NUM_MONTHS = 1201
"""Buckets of the calendar month: 0 unknown, else 1 + months since January 1970, at most 1,200."""
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class Batch:
    """Histories as rectangles of catalog rows."""

    rows: Int[Tensor, "batch length"]
    """Catalog rows, oldest first, padded with 0."""
    mask: Bool[Tensor, "batch length"]
    """True at real items."""
    is_target: Bool[Tensor, "batch length"]
    """True where the item is predicted from those before it; never at place 0; nowhere in generation."""
    encoded_rows: Int[Tensor, " num_encoded"]
    """Distinct catalog rows, ascending, whose vectors a training step needs; empty in generation."""
    index: Int[Tensor, "batch length"]
    """Place of each row in `encoded_rows` (training only)."""
    drawn: Int[Tensor, " num_drawn"]
    """Places in `encoded_rows` of the items drawn uniformly as negatives, repeats included."""
    day_gap: Int[Tensor, "batch length"] | None = None
    """Bucket of the days since the previous item; 0 is unknown."""
    month: Int[Tensor, "batch length"] | None = None
    """Bucket of the calendar month; 0 is unknown."""

    @property
    def lengths(self) -> Int[Tensor, " batch"]:
        """Real items per sequence."""
        return self.mask.sum(1)

    @property
    def num_targets(self) -> int:
        """Predicted items."""
        return int(self.is_target.sum())

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on `device`; a GPU is not waited for."""
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        to_gpu = torch.device(device).type == "cuda"
        moved: dict[str, Any] = {name: None if value is None else value.to(device, non_blocking=to_gpu) for name, value in values.items()}
        return Batch(**moved)


@dataclass(frozen=True)
class Windows:
    """Stretches of `Histories.rows` to train on: targets are places `first_target` to `ends`, read from `starts` on."""

    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    first_target: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def num_targets(self) -> npt.NDArray[np.int64]:
        """Targets of each window."""
        return self.ends - self.first_target


@dataclass(frozen=True)
class Sampling:
    """Which item vectors a training step encodes; made by `Cobra.sampling`."""

    semantic_ids: SemanticIds
    whole_catalog: bool
    """Encode every item, so that draws add none; those of `num_uniform` say which of them are negatives."""
    num_uniform: int = 0
    """Items drawn uniformly from the catalog, beside those of the batch."""
    num_in_bucket: int = 0
    """Items drawn from the buckets of the batch's targets, beside those of the batch."""
    time_dropout: float = 0.0
    """Share of the windows whose times are hidden."""


def training_windows(train: Histories, max_history: int) -> Windows:
    """Cut histories into windows of at most `max_history` + 1 items.

    Every item but a user's first is the target of exactly one window. Windows of long histories overlap, so that each target has
    at least half of `max_history` items before it, or all there are. Users with one item have no window.
    """
    width = max_history + 1
    stride = width - (max_history + 1) // 2
    long_enough = np.flatnonzero(train.lengths >= 2)
    starts, ends = train.starts[long_enough], train.ends[long_enough]
    num_windows = 1 + np.maximum(0, -(-(ends - starts - width) // stride))
    user = np.repeat(np.arange(len(long_enough)), num_windows)
    number = np.arange(len(user)) - np.repeat(np.cumsum(num_windows) - num_windows, num_windows)
    last = np.minimum(starts[user] + width + number * stride, ends[user])
    first = np.maximum(last - width, starts[user])
    first_target = np.where(number == 0, first + 1, starts[user] + width + (number - 1) * stride)
    return Windows(first, last, first_target)


def batches_by_length(windows: Windows, targets_per_batch: int, generator: np.random.Generator) -> list[npt.NDArray[np.int64]]:
    """Split all windows into batches of about `targets_per_batch` targets and of similar lengths, in random order.

    Returns: indices into `windows`, one array a batch; every window is in exactly one.
    """
    if not len(windows):
        return []
    order = np.lexsort((generator.random(len(windows)), windows.ends - windows.starts))
    targets = windows.num_targets[order]
    middle = np.cumsum(targets) - targets / 2
    num_batches = max(1, round(targets.sum() / targets_per_batch))
    batch_of = np.floor(middle * num_batches / targets.sum()).astype(np.int64)
    batches = np.split(order, np.flatnonzero(np.diff(batch_of)) + 1)
    return [batches[i] for i in generator.permutation(len(batches))]


def training_batch(
    train: Histories, windows: Windows, chosen: npt.NDArray[np.int64], sampling: Sampling, generator: np.random.Generator
) -> Batch:
    """The batch of the windows `chosen`; `generator` draws the negatives and hides the times that `sampling` asks for."""
    starts, ends = windows.starts[chosen], windows.ends[chosen]
    rows, mask, day_gap, month = _rectangle(train, starts, ends)
    if sampling.time_dropout and day_gap is not None:
        shown = generator.random(len(chosen))[:, None] >= sampling.time_dropout
        day_gap, month = np.where(shown, day_gap, 0), np.where(shown, month, 0)
    is_target = mask & (np.arange(rows.shape[1]) >= (windows.first_target[chosen] - starts)[:, None])
    uniform = generator.integers(sampling.semantic_ids.num_items, size=sampling.num_uniform)
    if sampling.whole_catalog:
        encoded = np.arange(sampling.semantic_ids.num_items)
    else:
        encoded = np.unique(np.concatenate([rows[mask], uniform, _drawn_in_buckets(rows[is_target], sampling, generator)]))
    index, drawn = np.where(mask, np.searchsorted(encoded, rows), 0), np.searchsorted(encoded, uniform)
    return _as_batch(rows, mask, is_target, encoded, index, drawn, day_gap, month)


def collate(histories: Histories, users: npt.NDArray[np.int64] | None, max_history: int) -> Batch:
    """The last `max_history` items of `users` (all of them if None), for generation.

    Users without items get an empty mask; `Cobra.encode_history` does not accept them.
    """
    chosen = slice(None) if users is None else users
    ends = histories.ends[chosen]
    starts = np.maximum(histories.starts[chosen], ends - max_history)
    rows, mask, day_gap, month = _rectangle(histories, starts, ends)
    return _as_batch(rows, mask, np.zeros_like(mask), np.zeros(0, np.int64), np.zeros_like(rows), np.zeros(0, np.int64), day_gap, month)


def _rectangle(histories: Histories, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> tuple[Any, Any, Any, Any]:
    """Rows, mask, day gaps and months of the stretches `starts` to `ends`, padded on the right with 0."""
    place = np.arange(max(1, int((ends - starts).max(initial=0))))
    mask = place < (ends - starts)[:, None]
    flat = np.where(mask, starts[:, None] + place, 0)
    rows = np.where(mask, histories.rows[flat], 0).astype(np.int64) if len(histories.rows) else np.zeros(flat.shape, np.int64)
    if histories.timestamps is None or not len(histories.rows):
        return rows, mask, None, None
    seconds = histories.timestamps[flat]
    return rows, mask, np.where(mask, day_gap_bucket(seconds), 0), np.where(mask, month_bucket(seconds), 0)


def day_gap_bucket(seconds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Buckets of the days since the item before, along the last axis; 0 (unknown) at the first item and beside an unknown time."""
    unknown = seconds == UNKNOWN_TIME
    seconds = np.where(unknown, 0, seconds)
    unknown[..., 1:] |= unknown[..., :-1].copy()
    days = np.maximum(np.diff(seconds, axis=-1, prepend=seconds[..., :1]), 0) // SECONDS_PER_DAY
    bucket = np.minimum(1 + np.floor(np.log2(1 + days)).astype(np.int64), NUM_DAY_GAPS - 1)
    bucket[..., :1] = 0
    return np.where(unknown, 0, bucket)


def month_bucket(seconds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Buckets of the calendar month (UTC) of times in seconds since 1970, 0 where unknown; outside 1970 to 2069 the nearest."""
    months = seconds.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
    return np.where(seconds == UNKNOWN_TIME, 0, np.clip(months, 0, NUM_MONTHS - 2) + 1)


def _drawn_in_buckets(targets: npt.NDArray[np.int64], sampling: Sampling, generator: np.random.Generator) -> npt.NDArray[np.int64]:
    """Rows of negatives from the buckets of random `targets`."""
    if not sampling.num_in_bucket or not len(targets):
        return np.zeros(0, np.int64)
    ids = sampling.semantic_ids
    bucket = ids.id_of_row[targets[generator.integers(len(targets), size=sampling.num_in_bucket)]]
    return ids.bucket_rows[generator.integers(ids.bucket_offsets[bucket], ids.bucket_offsets[bucket + 1])]


def _as_batch(*arrays: npt.NDArray[Any] | None) -> Batch:
    """The fields of `Batch` in their order, as tensors."""
    return Batch(*(None if a is None else torch.from_numpy(np.ascontiguousarray(a)) for a in arrays))  # type: ignore[arg-type]
