"""The health card: do the semantic IDs tell the items apart, and would a new item get the right one?"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cobrarec.data.interactions import Histories
from cobrarec.errors import CollapseError
from cobrarec.semantic_ids.collaborative import transitions
from cobrarec.semantic_ids.semantic_ids import SemanticIds

MIN_USED_SHARE = 0.25
MAX_BUCKET_SHARE = 0.20
MIN_ITEMS_FOR_BUCKET_RULE = 100  # the rule on the largest bucket holds above so many items
QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)


@dataclass(frozen=True)
class HealthCard:
    """What the IDs of a catalog are like.

    Attributes:
        num_items, num_levels, codebook_size, num_ids: sizes; `codebook_size` is the effective one.
        used_codes: per level, codes that some item bears.
        perplexity: per level, exp of the entropy of the codes' shares: how many codes it is as good as.
        distinct_id_share: IDs per item. alone_share: items whose ID no other item bears, per item.
        bucket_quantiles: items of an ID at the quantiles 0, 25, 50, 75, 90, 99, 100 %.
        largest_bucket: items of the most crowded ID.
        num_alike_items: items that to the quantizer are the same as another, which is counted once: no quantizer tells them apart.
        largest_told_bucket: the same as `largest_bucket` without them.
        reconstruction_error: mean squared distance to the vector that the codes stand for, relative to the variance.
        num_warm_items: items with a collaborative embedding of their own (all, where the text alone is quantized).
        text_only_level_agreement: per level, share of the warm items whose code is what their text alone, with a regression fitted without
            them, would have given; text_only_agreement: the same for the whole ID. None where there is no warm item.
        same_bucket_share: share of the training transitions whose two items share an ID; None where there is none.
    """

    num_items: int
    num_levels: int
    codebook_size: int
    num_ids: int
    used_codes: tuple[int, ...]
    perplexity: tuple[float, ...]
    distinct_id_share: float
    alone_share: float
    bucket_quantiles: tuple[float, ...]
    largest_bucket: int
    num_alike_items: int
    largest_told_bucket: int
    reconstruction_error: float
    num_warm_items: int
    text_only_level_agreement: tuple[float, ...] | None
    text_only_agreement: float | None
    same_bucket_share: float | None

    @classmethod
    def of(
        cls,
        ids: SemanticIds,
        train: Histories,
        error: float,
        text_codes: npt.NDArray[np.int32],
        warm: npt.NDArray[np.bool_],
        alike: npt.NDArray[np.bool_],
    ) -> "HealthCard":
        """Measure `ids`.

        Args:
            ids: the IDs.
            train: training histories, for the share of transitions within a bucket.
            error: relative reconstruction error.
            text_codes: `[num_items, num_levels]`, what each item's text alone would have given.
            warm: `[num_items]`, the items for which `text_codes` is compared.
            alike: `[num_items]`, the items that are the same as an earlier one in all that is quantized.
        """
        counts = [np.bincount(ids.codes[:, level], minlength=ids.codebook_size) for level in range(ids.num_levels)]
        sizes = np.diff(ids.bucket_offsets)
        equal = ids.codes[warm] == text_codes[warm]
        return cls(
            num_items=ids.num_items,
            num_levels=ids.num_levels,
            codebook_size=ids.codebook_size,
            num_ids=ids.num_ids,
            used_codes=tuple(int((count > 0).sum()) for count in counts),
            perplexity=tuple(perplexity(count) for count in counts),
            distinct_id_share=ids.num_ids / ids.num_items,
            alone_share=float((sizes == 1).sum() / ids.num_items),
            bucket_quantiles=tuple(float(q) for q in np.quantile(sizes, QUANTILES)),
            largest_bucket=int(sizes.max()),
            num_alike_items=int(alike.sum()),
            largest_told_bucket=int(np.bincount(ids.id_of_row[~alike], minlength=1).max()),
            reconstruction_error=error,
            num_warm_items=int(warm.sum()),
            text_only_level_agreement=tuple(float(share) for share in equal.mean(axis=0)) if len(equal) else None,
            text_only_agreement=float(equal.all(axis=1).mean()) if len(equal) else None,
            same_bucket_share=same_bucket_share(ids, train),
        )

    @property
    def collapse_reasons(self) -> tuple[str, ...]:
        """Why these IDs do not tell the items apart; empty where they do. Without levels there is nothing to collapse."""
        if not self.num_levels:
            return ()
        told = self.num_items - self.num_alike_items
        if told < 2 <= self.num_items:
            return ("to the quantizer all items are the same",)
        possible = min(self.codebook_size, told)
        reasons = [
            f"level {level} uses {used} of {possible} codes (fewer than {MIN_USED_SHARE:.0%})"
            for level, used in enumerate(self.used_codes)
            if used < MIN_USED_SHARE * possible
        ]
        share = self.largest_told_bucket / told
        most = max(MAX_BUCKET_SHARE, 2 / self.codebook_size**self.num_levels)  # twice the mean, where few IDs were asked for
        if told > MIN_ITEMS_FOR_BUCKET_RULE and share > most:
            items = "items" if told == self.num_items else "items that differ"
            reasons.append(f"one ID holds {self.largest_told_bucket:,} of {told:,} {items} ({share:.0%}, more than {most:.0%})")
        return tuple(reasons)

    def to_dict(self) -> dict[str, Any]:
        """All figures, ready for JSON."""
        return {**asdict(self), "collapse_reasons": list(self.collapse_reasons)}

    def lines(self) -> list[str]:
        """The card in words, one fact a line."""
        if not self.num_levels:
            return [f"No semantic IDs (num_levels 0): all {self.num_items:,} items share the one empty ID"]
        smallest, _, median, _, ninety, _, largest = self.bucket_quantiles
        lines = [
            f"IDs                     {self.num_ids:,} for {self.num_items:,} items; {self.alone_share:.1%} have one to themselves",
            f"Codes per level         {', '.join(f'{used} of {self.codebook_size}' for used in self.used_codes)} used",
            f"Perplexity              {', '.join(f'{value:.1f}' for value in self.perplexity)}",
            f"Items per ID            smallest {smallest:.0f}, median {median:.0f}, 90 % {ninety:.0f}, largest {largest:.0f}",
            f"Reconstruction error    {self.reconstruction_error:.3f} of the variance",
        ]
        if self.num_alike_items:
            lines.append(f"Nothing to tell apart   {self.num_alike_items:,} items have the text of another and no transition of their own")
        if self.same_bucket_share is not None:
            lines.append(f"Next item in same ID    {self.same_bucket_share:.1%} of the training transitions")
        if self.text_only_agreement is not None and self.text_only_level_agreement is not None:
            levels = ", ".join(f"{share:.1%}" for share in self.text_only_level_agreement)
            whole = f"{self.text_only_agreement:.1%} whole ID ({self.num_warm_items:,} warm items)"
            lines.append(f"Same code by text alone {levels} per level, {whole}")
        return lines + [f"COLLAPSED: {reason}" for reason in self.collapse_reasons]


def check_collapse(card: HealthCard, allow: bool) -> None:
    """Refuse IDs that do not tell the items apart, unless `allow`.

    Raises:
        CollapseError: says why, and the ways out.
    """
    if card.collapse_reasons and not allow:
        raise CollapseError(
            f"The semantic IDs collapsed: {'; '.join(card.collapse_reasons)}. Give the items texts that differ, take another "
            "number of codes (--semantic-ids.codebook-size, --semantic-ids.num-levels) or another quantizer (--semantic-ids.quantizer), "
            "or go on regardless with --allow-collapse."
        )


def perplexity(counts: npt.NDArray[np.int64]) -> float:
    """exp of the entropy of `counts` `[codebook_size]`."""
    shares = counts[counts > 0] / counts.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def same_bucket_share(ids: SemanticIds, histories: Histories) -> float | None:
    """Share of the steps from an item to the next one in which both bear the same ID; None where no history has two items."""
    earlier, later = transitions(histories, 1)
    return float((ids.id_of_row[earlier] == ids.id_of_row[later]).mean()) if len(earlier) else None
