"""Which words the texts of items carry: a sparse table of items and words, in any script.

A word is counted once an item, whatever its case, and shown as it is most often written. Scripts with spaces are cut at what is no letter,
digit, hyphen or apostrophe; runs of Han characters into overlapping pairs; kana at the change between hiragana and katakana. Thai, Lao,
Khmer and Burmese stay whole between their spaces.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cobrarec.semantic_ids.engine_lsa import COMBINING

NUM_CHARACTERS = 160
"""Of a text that are read, where titles and categories stand."""
MAX_WORDS = 1 << 18
"""The most frequent words, which are counted; in a catalog of 12,000 items all are."""
ITEMS_AT_ONCE = 50_000
HAN, KATAKANA, HIRAGANA = r"\u3005\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff", r"\u30a0-\u30ff", r"\u3040-\u309f"
_SPACED = rf"[\w{COMBINING}]+(?:['’-][\w{COMBINING}]+)*"
_CUT_LETTER = rf"(?![{HAN}{KATAKANA}{HIRAGANA}])[\w{COMBINING}]"
_words_with_spaces = re.compile(_SPACED).findall
_ascii_words = re.compile(r"\w+(?:['-]\w+)*", re.ASCII).findall
_find_words = re.compile(_SPACED).finditer
_words_without = re.compile(rf"[{HAN}]+|[{KATAKANA}]+|[{HIRAGANA}]+|(?:{_CUT_LETTER})+(?:['’-](?:{_CUT_LETTER})+)*").findall
_has_cut_letters = re.compile(rf"[{HAN}{KATAKANA}{HIRAGANA}]").search
_is_han = re.compile(rf"[{HAN}]").match

Ints = npt.NDArray[np.int64]


def words_of(text: str) -> list[str]:
    """The words of a text as they are written, repeated ones too."""
    if text.isascii():
        return _ascii_words(text)
    text = unicodedata.normalize("NFC", text)
    if _has_cut_letters(text) is None:
        return _words_with_spaces(text)
    words: list[str] = []
    for word in _words_without(text):
        words += [word[at : at + 2] for at in range(len(word) - 1)] if len(word) > 2 and _is_han(word) else [word]
    return words


def places_of_words(text: str) -> list[tuple[int, int]]:
    """Start and end of each word in the beginning of a text that is read; runs of Han characters and kana stay whole."""
    return [found.span() for found in _find_words(text[:NUM_CHARACTERS])]


def is_name(word: str) -> bool:
    """Whether a word can name something: two letters or more (one of Han is enough), and no digit first."""
    return not word[0].isdigit() and (sum(map(str.isalpha, word)) >= 2 or _is_han(word) is not None)


def most_often_written(words: Iterable[str]) -> list[str]:
    """Distinct words whatever their case, the most frequent first, each in its most frequent form; equals by the alphabet."""
    forms: dict[str, Counter[str]] = defaultdict(Counter)
    for word in words:
        forms[word.casefold()][word] += 1
    order = sorted(forms, key=lambda folded: (-forms[folded].total(), folded))
    return [min(forms[folded], key=lambda form: (-forms[folded][form], form)) for folded in order]


@dataclass(frozen=True, eq=False)
class WordTable:
    """Items by words, sparse.

    Attributes:
        shown: the words, as most often written, ordered by their case-folded form.
        offsets: `[num_items + 1]`; words: int32: item i carries `words[offsets[i]:offsets[i + 1]]`, ascending places in `shown`.
        num_carriers: int64 `[num_words]`: items that carry each word.
    """

    shown: tuple[str, ...]
    offsets: Ints
    words: npt.NDArray[np.int32]
    num_carriers: Ints

    @classmethod
    def of(cls, texts: Sequence[str], rows: Ints, max_words: int = MAX_WORDS) -> "WordTable":
        """The words of `texts[row]` for `rows`, in their order, that `is_name` and are among the `max_words` most frequent."""
        surfaces, lengths, tokens = _read(texts, rows)
        folded_of_surface, folded = _folded(surfaces)
        items = np.repeat(np.arange(len(rows)), lengths)
        word = folded_of_surface[tokens]
        named = word >= 0
        pairs = np.sort(items[named] * max(len(folded), 1) + word[named])
        pairs = pairs[np.diff(pairs, prepend=-1) > 0]  # each once; numpy's own unique takes five times as long
        items, word = np.divmod(pairs, max(len(folded), 1))
        carriers = np.bincount(word, minlength=len(folded))
        kept = np.sort(np.lexsort((np.arange(len(folded)), -carriers))[:max_words])
        place = np.full(len(folded), -1, np.int32)
        place[kept] = np.arange(len(kept), dtype=np.int32)
        items, words = items[place[word] >= 0], place[word[place[word] >= 0]]
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(np.bincount(items, minlength=len(rows)), out=offsets[1:])
        forms = _most_written_forms(surfaces, np.bincount(tokens, minlength=len(surfaces)), folded_of_surface, len(folded))
        return cls(tuple(forms[number] for number in kept), offsets, words, carriers[kept])

    @property
    def num_words(self) -> int:
        """Words that are counted."""
        return len(self.shown)

    def words_between(self, start: int, end: int) -> npt.NDArray[np.int32]:
        """What items `start` to `end - 1` carry, item after item."""
        return self.words[self.offsets[start] : self.offsets[end]]

    def counts_between(self, start: int, end: int) -> Ints:
        """`[num_words]`, the items of `start` to `end - 1` that carry each word."""
        if end - start == len(self.offsets) - 1:
            return self.num_carriers
        return np.bincount(self.words_between(start, end), minlength=self.num_words)

    def carriers(self, start: int, end: int, words: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """`[end - start, len(words)]`, which of the items `start` to `end - 1` carry which of some words."""
        column = np.full(self.num_words, -1)
        column[words] = np.arange(len(words))
        columns = column[self.words_between(start, end)]
        items = np.repeat(np.arange(end - start), np.diff(self.offsets[start : end + 1]))
        carried = np.zeros((end - start, len(words)), bool)
        carried[items[columns >= 0], columns[columns >= 0]] = True
        return carried


def _read(texts: Sequence[str], rows: Ints) -> tuple[list[str], Ints, Ints]:
    """The distinct written words, how many each item has, and their numbers, item after item."""
    number_of: defaultdict[str, int] = defaultdict()
    number_of.default_factory = number_of.__len__
    lengths, parts = np.zeros(len(rows), np.int64), [np.zeros(0, np.int64)]
    for start in range(0, len(rows), ITEMS_AT_ONCE):
        numbers: list[int] = []
        for place, row in enumerate(rows[start : start + ITEMS_AT_ONCE].tolist(), start):
            found = words_of(texts[row][:NUM_CHARACTERS])
            lengths[place] = len(found)
            numbers += map(number_of.__getitem__, found)
        parts.append(np.array(numbers, np.int64))
    return list(number_of), lengths, np.concatenate(parts)


def _folded(surfaces: Sequence[str]) -> tuple[Ints, list[str]]:
    """`[num_surfaces]`, the case-folded word of each written one, by the alphabet, or -1 for no name; and these words."""
    folded = [surface.casefold() if is_name(surface) else None for surface in surfaces]
    words = sorted({word for word in folded if word is not None})
    number_of: dict[str | None, int] = {word: number for number, word in enumerate(words)}
    return np.array([number_of.get(word, -1) for word in folded], np.int64), words


def _most_written_forms(surfaces: Sequence[str], times: Ints, folded_of_surface: Ints, num_folded: int) -> list[str]:
    forms, most = [""] * num_folded, [0] * num_folded
    for surface, count, folded in zip(surfaces, times.tolist(), folded_of_surface.tolist(), strict=True):
        if folded >= 0 and (count > most[folded] or (count == most[folded] and surface < forms[folded])):
            forms[folded], most[folded] = surface, count
    return forms
