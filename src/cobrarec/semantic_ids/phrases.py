"""From ranked words to a short name: words that stand together become a phrase, words that say the same are said once."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from cobrarec.semantic_ids.word_table import most_often_written, places_of_words

TOGETHER = 0.6
"""Items with both words over items with either, from which on they may be a phrase."""
SAME = 0.8
"""... from which on the second says nothing new."""
NUM_SAMPLES = 20
"""Texts in which phrases are looked for, of the items that carry the first word; half of them must have the phrase."""
LONGEST = 5
"""Words of a phrase."""
GAPS = frozenset(" ,&+/'’-")
"""What may stand between the words of a phrase, at most three of them: "Melissa & Doug" is one, "Games > Puzzles" are two."""

Bools = npt.NDArray[np.bool_]
TextOf = Callable[[int], str]


def short_name(words: Sequence[str], carriers: Bools, text_of: TextOf, n: int) -> tuple[str, ...]:
    """Up to n words or phrases, in the order of `words`.

    Left out is what differs in an ending only, or stands in the same items, as an earlier one and is no phrase with it.

    Args:
        words: ranked, the most typical first.
        carriers: `[num_items, num_words]`, the items that carry each.
        text_of: the text of an item, by its place in `carriers`.
        n: length of the name.
    """
    counts = carriers.sum(axis=0)
    both = (carriers.T.astype(np.float32) @ carriers.astype(np.float32)).astype(np.float64)
    alike = both / np.maximum(counts[:, None] + counts[None, :] - both, 1)
    name: list[str] = []
    said: list[int] = []
    for word in range(len(words)):
        if len(name) == n:
            break
        if any(differ_in_an_ending(words[word], words[other]) or alike[word, other] >= SAME for other in said):
            continue
        near = [other for other in range(len(words)) if other not in (word, *said) and alike[word, other] >= TOGETHER]
        phrase, members = _phrase(word, near, words, _samples(carriers[:, word], text_of))
        name.append(phrase)
        said += members
    return tuple(name)


def distinct(words: Sequence[str], n: int) -> tuple[str, ...]:
    """The first n words that differ in more than an ending."""
    chosen: list[str] = []
    for word in words:
        if len(chosen) < n and not any(differ_in_an_ending(word, other) for other in chosen):
            chosen.append(word)
    return tuple(chosen)


def differ_in_an_ending(first: str, second: str) -> bool:
    """Whether one word of at least three letters is the beginning of the other, which has at most two more: doll, dolls."""
    short, long = sorted((first.casefold(), second.casefold()), key=len)
    return len(short) >= 3 and len(long) - len(short) <= 2 and long.startswith(short)


def _samples(carries: Bools, text_of: TextOf) -> list[str]:
    places = np.flatnonzero(carries)
    return [text_of(int(place)) for place in places[np.linspace(0, len(places) - 1, min(NUM_SAMPLES, len(places))).astype(int)]]


def _phrase(word: int, near: Sequence[int], words: Sequence[str], samples: Sequence[str]) -> tuple[str, list[int]]:
    """The longest phrase that grows from a word by the words near it, one at a time; and which these are."""
    phrase, members, left = words[word], [word], list(near) if len(samples) > 1 else []
    places = [places_of_words(text) for text in samples] if left else []
    while len(members) < LONGEST:
        for other in left:
            sought = {words[member].casefold() for member in (*members, other)}
            found = [span for text, spans in zip(samples, places, strict=True) if (span := _span(text, spans, sought))]
            if 2 * len(found) >= len(samples):
                phrase, members = most_often_written(found)[0], [*members, other]
                left.remove(other)
                break
        else:
            break
    return phrase, members


def _span(text: str, spans: Sequence[tuple[int, int]], sought: set[str]) -> str | None:
    """The part of `text` that is these words one after the other, in any order; None where there is none."""
    for first in range(len(spans) - len(sought) + 1):
        window = spans[first : first + len(sought)]
        if {text[start:end].casefold() for start, end in window} == sought:
            gaps = [text[left[1] : right[0]] for left, right in zip(window, window[1:], strict=False)]
            if all(len(gap) <= 3 and GAPS.issuperset(gap) for gap in gaps):
                return text[window[0][0] : window[-1][1]]
    return None
