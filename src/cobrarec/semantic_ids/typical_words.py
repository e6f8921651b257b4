"""TypicalWords: names every prefix of the semantic IDs by the words that tell the items below it from those beside it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cobrarec.semantic_ids.phrases import distinct, short_name
from cobrarec.semantic_ids.semantic_ids import SemanticIds
from cobrarec.semantic_ids.word_table import MAX_WORDS, WordTable, is_name, most_often_written, words_of

NUM_WORDS = 3
"""Words of a name."""
MIN_CARRIERS, MIN_CARRIER_SHARE = 2, 0.1
"""Of the items below a prefix so many carry a word that names it, where one does: the brand of a single item is no name for ninety."""
COMMON_SHARE = 0.02
"""Only words of so many of the items can be common ..."""
COMMON_EVENNESS = 0.15
"""... namely where knowing that an item carries the word tells less than this share of what there is to know about its first code. On
Amazon Toys these are toys, games, and, with, set, the, of; the next is toy."""
LEAST_SHARE, LEAST_LIFT = 0.5, 3
"""A common word names a prefix all the same where half of its items carry it, and three times the share that carries it beside: a color,
say, that parts the items of one first code."""
NUM_TYPICAL = 10
"""Words by which the typical items of a prefix are chosen."""
NUM_NAMING = 20
"""Words of which a name is made."""
NUM_READ_ITEMS = 100
"""Items whose texts are read where none of their words is in the table."""

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TypicalWords:
    """The words of every prefix, found when they are asked for.

    The words below a prefix are ordered by their log-likelihood ratio G2 (Dunning: "Accurate Methods for the Statistics of Surprise and
    Coincidence", Computational Linguistics 1993) in the table of two by two: the items below the prefix and the others below its parent,
    with the word and without. So a first code is told from the whole catalog, a second one from those after the same first. Where
    nothing lies beside a prefix, it is told from what lies beside its parent.

    Attributes:
        semantic_ids: the IDs.
        table: the words of the items in the order of `bucket_rows`.
        is_common: `[num_words]`, words that everybody has, such as "the" or what the whole shop sells; see `LEAST_SHARE`.
    """

    semantic_ids: SemanticIds
    table: WordTable
    is_common: npt.NDArray[np.bool_]
    _texts: Sequence[str]
    _item_ranges: tuple[Ints, ...]
    _named: dict[tuple[int, int, int], tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, texts: Sequence[str], semantic_ids: SemanticIds, max_words: int = MAX_WORDS) -> "TypicalWords":
        """Count the words of the items: of `texts`, one a row, those that can be a name and are among the `max_words` most frequent.

        Raises:
            ValueError: there is not one text a row.
        """
        if len(texts) != semantic_ids.num_items:
            raise ValueError(f"There are {len(texts):,} texts for {semantic_ids.num_items:,} items; give one a row of the catalog.")
        table = WordTable.of(texts, semantic_ids.bucket_rows, max_words)
        ranges = tuple(semantic_ids.item_ranges(level) for level in range(semantic_ids.num_levels + 1))
        return cls(semantic_ids, table, common_words(table, ranges[min(1, semantic_ids.num_levels)]), texts, ranges)

    def words(self, level: int, prefix: int, n: int = NUM_WORDS) -> tuple[str, ...]:
        """The up to n most typical words below `prefix` of `level` (0..num_levels), the most typical first.

        At least one where the items have any word. Words that always stand together are one ("Monster High"); see `short_name`.

        Raises:
            ValueError: there is no such level or prefix.
        """
        start, end = self._check(level, prefix)
        key = level, prefix, n
        if key not in self._named:
            words = self._ranked(level, prefix)[0][:NUM_NAMING]
            rows = self.semantic_ids.bucket_rows[start:end]
            if len(words):
                shown = [self.table.shown[word] for word in words.tolist()]
                self._named[key] = short_name(shown, self.table.carriers(start, end, words), lambda place: self._texts[rows[place]], n)
            else:
                self._named[key] = distinct(self._rare_words(rows), n)
        return self._named[key]

    def ranked_words(self, level: int, prefix: int) -> tuple[str, ...]:
        """All single words that can name a prefix, the most typical first: of the first kind of which there is one.

        Kinds: not common, in enough of the items (`MIN_CARRIERS`, `MIN_CARRIER_SHARE`) and in more of them than beside; not common and in
        more of them than beside; not common; any word of the table.

        Raises:
            ValueError: there is no such level or prefix.
        """
        return tuple(self.table.shown[word] for word in self._ranked(level, prefix)[0].tolist())

    def path(self, codes: Sequence[int], n: int = NUM_WORDS) -> tuple[tuple[str, ...], ...]:
        """The words of each code of an ID, or of the beginning of one; empty from the code on that no item has there."""
        named: list[tuple[str, ...]] = []
        prefix = 0
        for level, code in enumerate(codes):
            known = prefix >= 0 and 0 <= code < self.semantic_ids.codebook_size
            prefix = int(self.semantic_ids.child[level][prefix, code]) if known else -1
            named.append(self.words(level + 1, prefix, n) if prefix >= 0 else ())
        return tuple(named)

    def typical_rows(self, level: int, prefix: int, n: int, popularity: Ints | None = None) -> Ints:
        """Rows of up to n items below `prefix` that carry most of its words, each word counted by the share of the items that carry it.

        Of equals those of the larger `popularity` `[num_items]` come first, then the lower row.

        Raises:
            ValueError: there is no such level or prefix.
        """
        start, end = self._check(level, prefix)
        rows = self.semantic_ids.bucket_rows[start:end]
        words, counts = self._ranked(level, prefix)
        weights = np.zeros(self.table.num_words)
        weights[words[:NUM_TYPICAL]] = counts[:NUM_TYPICAL] / max(end - start, 1)
        items = np.repeat(np.arange(end - start), np.diff(self.table.offsets[start : end + 1]))
        carried = np.bincount(items, weights[self.table.words_between(start, end)], minlength=end - start)
        popular = np.zeros(len(rows), np.int64) if popularity is None else popularity[rows]
        return rows[np.lexsort((rows, -popular, -np.round(carried, 9)))[:n]]

    def _check(self, level: int, prefix: int) -> tuple[int, int]:
        """The range of the items below a prefix."""
        num_levels = self.semantic_ids.num_levels
        if not 0 <= level <= num_levels:
            raise ValueError(f"Level {level} was asked for, expected 0..{num_levels}; level 0 has the one empty prefix.")
        ranges = self._item_ranges[level]
        if not 0 <= prefix < len(ranges) - 1:
            raise ValueError(f"Prefix {prefix} of level {level} was asked for, expected 0..{len(ranges) - 2}.")
        return int(ranges[prefix]), int(ranges[prefix + 1])

    def _ranked(self, level: int, prefix: int) -> tuple[Ints, Ints]:
        """Words that name a prefix, the most typical first, and how many of its items carry each; of the best kind that there is."""
        start, end = self._check(level, prefix)
        num_below = end - start
        below = self.table.counts_between(start, end)
        words = np.flatnonzero(below)
        counts = below[words]
        around_start, around_end = self._around(level, prefix)
        num_beside = around_end - around_start - num_below
        beside = self.table.counts_between(around_start, around_end)[words] - counts
        scores = likelihood_ratio(counts, num_below, beside, num_beside)
        is_shared = counts >= max(min(MIN_CARRIERS, num_below), MIN_CARRIER_SHARE * num_below)
        lifted = (counts >= LEAST_SHARE * num_below) & (counts * num_beside >= LEAST_LIFT * num_below * beside) & (num_beside > 0)
        is_own = ~self.is_common[words] | lifted
        order = np.lexsort((words, -counts, -scores))
        for kind in (is_own & is_shared & (scores > 0), is_own & (scores > 0), is_own):
            if kind.any():
                return words[order][kind[order]], counts[order][kind[order]]
        return words[order], counts[order]

    def _around(self, level: int, prefix: int) -> tuple[int, int]:
        """The items below the nearest ancestor that has more than the prefix; the catalog where none has."""
        start, end = self._check(level, prefix)
        around = start, end
        while level and around == (start, end):
            level, prefix = level - 1, int(self.semantic_ids.parent[level - 1][prefix])
            around = self._check(level, prefix)
        return around

    def _rare_words(self, rows: Ints) -> list[str]:
        """Words of items that carry none of the table, read from their texts."""
        words = [word for row in rows[:NUM_READ_ITEMS].tolist() for word in words_of(self._texts[row])]
        return most_often_written([word for word in words if is_name(word)] or words)


def likelihood_ratio(with_below: Ints, num_below: int, with_beside: Ints, num_beside: int) -> Floats:
    """Dunning's G2 of each word, `[num_words]`, negative where the items below carry it less often than those beside.

    G2 = 2 sum O log(O / E) over the four cells: items below and beside, with the word and without; 0 where nothing lies beside.
    """
    if not num_beside:
        return np.zeros(len(with_below))
    num_all, with_word = num_below + num_beside, with_below + with_beside
    total = np.zeros(len(with_below))
    for carrying, num in ((with_below, num_below), (with_beside, num_beside)):
        for observed, expected in ((carrying, with_word * num / num_all), (num - carrying, (num_all - with_word) * num / num_all)):
            total += observed * np.log(np.where(observed > 0, observed, 1) / np.where(observed > 0, expected, 1))
    return 2 * total * np.sign(with_below * num_beside - with_beside * num_below)


def common_words(table: WordTable, item_ranges: Ints) -> npt.NDArray[np.bool_]:
    """Frequent words that lie evenly over the first codes, whatever the language, `[num_words]`.

    Measured by the Kullback-Leibler divergence of the first codes of the items with the word from those of all items, as a share of
    log(number of first codes). `item_ranges` are those of level 1.
    """
    is_common = np.zeros(table.num_words, bool)
    num_items, num_prefixes = len(table.offsets) - 1, len(item_ranges) - 1
    frequent = np.flatnonzero(table.num_carriers >= COMMON_SHARE * num_items)
    place = np.full(table.num_words, -1)
    place[frequent] = np.arange(len(frequent))
    divergence = np.zeros(len(frequent))
    for start, end in zip(item_ranges[:-1].tolist(), item_ranges[1:].tolist(), strict=True):
        found = place[table.words_between(start, end)]
        share = np.bincount(found[found >= 0], minlength=len(frequent)) / table.num_carriers[frequent]
        divergence += share * np.log(np.where(share > 0, share * num_items / max(end - start, 1), 1))
    is_common[frequent] = divergence < COMMON_EVENNESS * np.log(max(num_prefixes, 1))
    return is_common
